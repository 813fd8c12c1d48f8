"""Reads a flat folder whose file names hold the class: ``Abyssinian_12.jpg``.

The pattern is given, or it is the one of ``FILE_NAME_PATTERNS`` that every image's name fits.
"""

from __future__ import annotations

import os
import re

from lince.annotations import RejectedItem
from lince.errors import UsageError
from lince.formats.builders.classification_table import ClassificationTableBuilder, shorten_list, sort_class_names
from lince.formats.csv_classes import reader as csv_classes_reader
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED, infer_part_splits
from lince.storage import image_files
from lince.storage.scan import looks_like_image, reject_non_image
from lince.storage.tree import DataLocation, FileTree

NAME = "names"
# No name fits two of these: the character before the number decides.
FILE_NAME_PATTERNS = ("{class}_{n}", "{class}-{n}", "{class}.{n}", "{class} {n}", "{class} ({n})", "{class}_({n})")
_SAMPLE_SIZE = 1000
# Names that cameras and programs give, and names of splits: with a number behind, they are no class.
_CAMERA_NAMES = re.compile(
    r"(img|image|imagen|imagem|dsc[fn]?|dscn?|pxl|mvimg|vid|frame|photo|foto|pic|picture|p|cam|screenshot|whatsapp.*"
    rf"|{'|'.join(SPLIT_WORDS)}|.*\d{{6}}.*|\d*)",
    re.IGNORECASE,
)


def detect(location: DataLocation) -> str | None:
    """Return the pattern and the classes that the file names give; ``None`` when no pattern fits every name.

    Folders with a CSV table of classes are left to the format ``csv``. Of a large folder, up to 1000 names are sampled.
    """
    if location.file or csv_classes_reader.detect(location):
        return None
    stems = [
        _stem(name) for folder, _split in _image_folders(location.tree) for name in _sample_names(location.tree, folder)
    ]
    pattern = _find_pattern(stems)
    if pattern is None:
        return None
    names = sort_class_names({_class_from_stem(compile_pattern(pattern), stem) or "" for stem in stems})
    return _("file names such as {pattern}, classes {names}").format(pattern=pattern, names=shorten_list(names))


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read file names by ``options.pattern``, or by the pattern that every image's name fits.

    In a pattern ``{class}`` is the class, ``{n}`` a number and any other ``{word}`` some text; the rest is literal. The
    file suffix is not part of it. Images whose names do not fit are rejected. Raise ``UsageError`` when no pattern was
    given and none fits.
    """
    tree = location.tree
    regex = compile_pattern(options.pattern or _require_pattern(location))
    builder = ClassificationTableBuilder()
    for folder, split in _image_folders(tree):
        prefix = f"{folder}/" if folder else ""
        for name in tree.listing.list_files(folder):
            class_name = _class_from_stem(regex, _stem(name))
            if class_name is not None:
                builder.add_images([prefix + name], class_name, split)
            elif looks_like_image(name):
                builder.reject(RejectedItem(prefix + name, _("its name does not match the pattern"), _("rename it")))
            else:
                builder.reject(reject_non_image(prefix + name))
    return builder.build_table(tree, NAME, progress)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for a pattern such as ``{class}_{n}``, with the class in its group ``name``.

    Every placeholder matches as little text as it can; ``{n}`` matches digits only. Raise ``UsageError`` unless the
    pattern has ``{class}`` exactly once.
    """
    parts = re.split(r"\{(\w+)\}", pattern)
    if parts[1::2].count("class") != 1:
        raise UsageError(
            _("The pattern '{pattern}' does not contain the class.").format(pattern=pattern),
            _("Expected {class_word} once, such as {example}.").format(class_word="{class}", example="{class}_{n}"),
        )
    group_by_word = {"class": "(?P<name>.+?)", "n": "[0-9]+"}
    regex_parts = [re.escape(part) if i % 2 == 0 else group_by_word.get(part, ".+?") for i, part in enumerate(parts)]
    return re.compile("".join(regex_parts), re.DOTALL)


def _require_pattern(location: DataLocation) -> str:
    """Return the pattern that all image names fit; raise ``UsageError`` with an unfit name as example."""
    stems = [
        _stem(name)
        for folder, _split in _image_folders(location.tree)
        for name in image_files.list_images(location.tree, folder)
    ]
    pattern = _find_pattern(stems)
    if pattern is not None:
        return pattern
    raise UsageError(
        _("The class cannot be read from the file names in {path}, for example '{example}'.").format(
            path=location.path, example=_unmatched_name(stems)
        ),
        _("Expected every name to match one of: {patterns}.").format(patterns=", ".join(FILE_NAME_PATTERNS)),
        _("Give the position of the class with --pattern, such as {example}.").format(example="{class}_{n}"),
    )


def _find_pattern(stems: list[str]) -> str | None:
    """Return the pattern that every one of ``stems`` fits, ``None`` when there is none.

    It must give at least two classes of two images each on average, and none that is a name given by cameras.
    """
    for pattern in FILE_NAME_PATTERNS:
        regex = compile_pattern(pattern)
        classes = [_class_from_stem(regex, stem) for stem in stems]
        class_names = {name for name in classes if name is not None}
        if (
            None not in classes
            and 2 <= len(class_names) <= len(stems) // 2
            and not any(map(_CAMERA_NAMES.fullmatch, class_names))
        ):
            return pattern
    return None


def _unmatched_name(stems: list[str]) -> str:
    """Return the first of ``stems`` that the best fitting pattern does not match, as an example."""
    best_pattern = max(
        FILE_NAME_PATTERNS,
        key=lambda pattern: sum(_class_from_stem(compile_pattern(pattern), stem) is not None for stem in stems),
    )
    regex = compile_pattern(best_pattern)
    return next((stem for stem in stems if _class_from_stem(regex, stem) is None), stems[0] if stems else "")


def _class_from_stem(regex: re.Pattern[str], stem: str) -> str | None:
    """Return the class in a file name without suffix; ``None`` when the name does not fit."""
    match = regex.fullmatch(stem)
    return match["name"].strip() or None if match else None


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _sample_names(tree: FileTree, folder: str) -> list[str]:
    """Return up to 1000 image names of ``folder``, evenly spaced over their order."""
    names = image_files.list_images(tree, folder)
    return names[:: -(-len(names) // _SAMPLE_SIZE) or 1]


def _image_folders(tree: FileTree, within: str = "") -> list[tuple[str, int]]:
    """Return (folder of images, split) for each folder that holds the images.

    It is the folder ``within`` itself, else the split folders in it (train, val, test and their synonyms), else its
    folder ``images`` by the same rule. Empty when there is none.
    """
    if image_files.list_images(tree, within):
        return [(within, UNASSIGNED)]
    prefix = f"{within}/" if within else ""
    folders = {name.lower(): prefix + name for name in tree.listing.list_folders(within)}
    parts = infer_part_splits(tree.listing.list_folders(within))
    splits = [(prefix + name, split) for name, split in parts.items() if image_files.list_images(tree, prefix + name)]
    if splits or "images" not in folders:
        return splits
    return _image_folders(tree, folders["images"])


FORMAT = Format(NAME, detect, read, Capability.LABELS | Capability.SPLITS)
