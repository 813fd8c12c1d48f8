"""A flat folder whose file names hold the class: ``Abyssinian_12.jpg``; the pattern is found or asked for."""

from __future__ import annotations

import os
import re

from lince.annotations import RejectedItem
from lince.errors import UsageError
from lince.formats.builders.classification_table import ClassificationTableBuilder, shorten_list, sort_class_names
from lince.formats.csv_classes import reader as csv_classes_reader
from lince.formats.format import Capability, Format
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage import image_files
from lince.storage.scan import looks_like_image, reject_non_image
from lince.storage.tree import DataLocation, FileTree

NAME = "names"
# No name fits two of these: what stands before the number decides.
FILE_NAME_PATTERNS = ("{class}_{n}", "{class}-{n}", "{class}.{n}", "{class} {n}", "{class} ({n})", "{class}_({n})")
_SAMPLE_SIZE = 1000
# What cameras and programs call photos, and parts of a set; a number after such a word is no class.
_CAMERA_NAMES = re.compile(
    r"(img|image|imagen|imagem|dsc[fn]?|dscn?|pxl|mvimg|vid|frame|photo|foto|pic|picture|p|cam|screenshot|whatsapp.*"
    rf"|{'|'.join(SPLIT_WORDS)}|.*\d{{6}}.*|\d*)",
    re.IGNORECASE,
)


def detect(place: DataLocation) -> str | None:
    """Return what speaks for file names that hold the class; ``None`` when no pattern fits every name.

    Where a table says the class of each file, the names are not asked.
    """
    if place.file or csv_classes_reader.detect(place):
        return None
    stems = [_stem(name) for folder, _split in _image_folders(place.tree) for name in _sample_names(place.tree, folder)]
    pattern = _find_pattern(stems)
    if pattern is None:
        return None
    names = sort_class_names({_class_from_stem(compile_pattern(pattern), stem) or "" for stem in stems})
    return _("file names such as {pattern}, classes {names}").format(pattern=pattern, names=shorten_list(names))


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read file names by ``options.pattern``, or by the pattern that every image's name fits.

    In a pattern ``{class}`` is the class, ``{n}`` a number, any other ``{word}`` some text, and the rest stands for
    itself; the ending is left aside. Raise ``UsageError`` when no pattern was given and none fits.
    """
    tree = place.tree
    expression = compile_pattern(options.pattern or _require_pattern(place))
    columns = ClassificationTableBuilder()
    for folder, split in _image_folders(tree):
        prefix = f"{folder}/" if folder else ""
        for name in tree.listing.list_files(folder):
            class_name = _class_from_stem(expression, _stem(name))
            if class_name is not None:
                columns.add_images([prefix + name], class_name, split)
            elif looks_like_image(name):
                columns.reject(RejectedItem(prefix + name, _("its name does not fit the pattern"), _("rename it")))
            else:
                columns.reject(reject_non_image(prefix + name))
    return columns.build_table(tree, NAME, progress)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the expression for a pattern such as ``{class}_{n}``; raise ``UsageError`` when it names no class."""
    parts = re.split(r"\{(\w+)\}", pattern)
    if parts[1::2].count("class") != 1:
        raise UsageError(
            _("The pattern '{pattern}' does not say where the class stands.").format(pattern=pattern),
            _("Expected {class_word} once, such as {example}.").format(class_word="{class}", example="{class}_{n}"),
        )
    words = {"class": "(?P<name>.+?)", "n": "[0-9]+"}
    pieces = [re.escape(part) if i % 2 == 0 else words.get(part, ".+?") for i, part in enumerate(parts)]
    return re.compile("".join(pieces), re.DOTALL)


def _require_pattern(place: DataLocation) -> str:
    stems = [
        _stem(name)
        for folder, _split in _image_folders(place.tree)
        for name in image_files.list_images(place.tree, folder)
    ]
    pattern = _find_pattern(stems)
    if pattern is not None:
        return pattern
    raise UsageError(
        _("The file names in {path} show no class by themselves, '{example}' for one.").format(
            path=place.path, example=_unmatched_name(stems)
        ),
        _("Expected every name to fit one of: {patterns}.").format(patterns=", ".join(FILE_NAME_PATTERNS)),
        _("Say where the class stands with --pattern, such as {example}.").format(example="{class}_{n}"),
    )


def _find_pattern(stems: list[str]) -> str | None:
    """Return the pattern that every one of ``stems`` fits and that gives at least two likely classes."""
    for pattern in FILE_NAME_PATTERNS:
        expression = compile_pattern(pattern)
        found = [_class_from_stem(expression, stem) for stem in stems]
        names = {name for name in found if name is not None}
        if None not in found and 2 <= len(names) <= len(stems) // 2 and not any(map(_CAMERA_NAMES.fullmatch, names)):
            return pattern
    return None


def _unmatched_name(stems: list[str]) -> str:
    best = max(
        FILE_NAME_PATTERNS,
        key=lambda pattern: sum(_class_from_stem(compile_pattern(pattern), stem) is not None for stem in stems),
    )
    expression = compile_pattern(best)
    return next((stem for stem in stems if _class_from_stem(expression, stem) is None), stems[0] if stems else "")


def _class_from_stem(expression: re.Pattern[str], stem: str) -> str | None:
    match = expression.fullmatch(stem)
    return match["name"].strip() or None if match else None


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _sample_names(tree: FileTree, folder: str) -> list[str]:
    """Return up to a thousand names of images in ``folder``, from its first to its last."""
    found = image_files.list_images(tree, folder)
    return found[:: -(-len(found) // _SAMPLE_SIZE) or 1]


def _image_folders(tree: FileTree, within: str = "") -> list[tuple[str, int]]:
    """Return (folder of images, split): the folder itself, its folder ``images``, or train, val and test below it."""
    if image_files.list_images(tree, within):
        return [(within, UNASSIGNED)]
    prefix = f"{within}/" if within else ""
    names = {name.lower(): prefix + name for name in tree.listing.list_folders(within)}
    splits = [(folder, SPLIT_WORDS[word]) for word, folder in names.items() if word in SPLIT_WORDS]
    splits = [(folder, split) for folder, split in splits if image_files.list_images(tree, folder)]
    if splits or "images" not in names:
        return splits
    return _image_folders(tree, names["images"])


FORMAT = Format(NAME, detect, read, Capability.LABELS | Capability.SPLITS)
