"""Class folders: ``daisy/*.jpg, tulips/*.jpg``, or the same below ``train``, ``val`` and ``test``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lince.annotations import RejectedItem
from lince.errors import AmbiguousError, UsageError
from lince.formats.builders.classification_table import ClassificationTableBuilder, shorten_list, sort_class_names
from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage import image_files
from lince.storage.scan import is_hidden_folder, looks_like_image
from lince.storage.tree import DataLocation, FileTree

NAME = "folders"
# What other tools call the folders that hold photos, or what is drawn on them, of every class.
_NON_CLASS_FOLDERS = {
    "images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "annotations", "annotation", "annots",
    "labels", "label", "masks", "mask", "segmentations", "segmentation", "segmentationclass",
    "segmentationobject", "gtfine", "gtcoarse", "ground_truth", "groundtruth", "imagesets",
    "obj_train_data", "obj_valid_data", "obj_test_data",
}  # fmt: skip
_INVALID_NAME = re.compile(r"[/\\\0]|^\s|\s$")
_UNASSIGNED_FOLDER = "unassigned"  # beside train, val and test: what is in none of them
_SPLIT_FOLDER = re.compile(rf"({'|'.join(SPLIT_WORDS)})[-_ ]?[0-9]*", re.IGNORECASE)  # such as train2017


def detect(place: DataLocation) -> str | None:
    """Return what speaks for class folders; ``None`` when there are not at least two of them."""
    names = [] if place.file else _all_class_names(place.tree)
    if len(names) < 2 or all(map(_SPLIT_FOLDER.fullmatch, names)):
        return None
    return _("{count} class folders: {names}").format(count=len(names), names=shorten_list(names))


def find_single_class_folder(place: DataLocation) -> str | None:
    """Return the only folder that could be a class, where there is one alone and no photo beside it."""
    if place.file or any(map(looks_like_image, place.tree.listing.list_files())):
        return None
    names = _all_class_names(place.tree)
    return names[0] if len(names) == 1 and not _SPLIT_FOLDER.fullmatch(names[0]) else None


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read class folders; every file in or below a class folder is an image of that class or is rejected."""
    tree, columns = place.tree, ClassificationTableBuilder()
    levels = _find_split_folders(tree)
    _require_only_split_folders(place, levels)
    for folder, split in levels:
        prefix = f"{folder}/" if folder else ""
        for refusal in _reject_strays(tree, folder):
            columns.reject(refusal)
        for name in _class_folders(tree, folder):
            below = tree.listing.iterate_files(prefix + name)
            columns.add_images((f"{prefix}{name}/{file}" for file in below), name, split)
    if levels[0][0]:
        for refusal in _reject_strays(tree, "", {folder for folder, _split in levels}):
            columns.reject(refusal)
    return columns.build_table(tree, NAME, progress)


def write(export: WriteRequest, folder: Path) -> None:
    """Write nothing, for the folders say it all; but where only some images have a split, set the others apart."""
    unassigned = export.table.splits == UNASSIGNED
    if unassigned.all() or not unassigned.any():
        return
    for name in {export.image_paths[row].partition("/")[0] for row in np.flatnonzero(unassigned).tolist()}:
        if (folder / name).is_dir():
            (folder / _UNASSIGNED_FOLDER).mkdir(exist_ok=True)
            (folder / name).rename(folder / _UNASSIGNED_FOLDER / name)


def image_path(split: str, class_name: str, name: str) -> str:
    """Return where an image goes: ``split/class/name``. Raise ``UsageError`` when no class folder can be called so."""
    if (
        is_hidden_folder(class_name)
        or class_name.lower() in {*_NON_CLASS_FOLDERS, _UNASSIGNED_FOLDER}
        or _INVALID_NAME.search(class_name)
    ):
        raise UsageError(
            _("A folder called '{name}' is not taken for a class.").format(name=class_name),
            _("Expected a class name without bars, dots in front, and words such as images or labels."),
            _("Rename the class with --merge."),
        )
    return "/".join(part for part in (split, class_name, name) if part)


def _find_split_folders(tree: FileTree) -> list[tuple[str, int]]:
    """Return (folder that holds class folders, split): the root itself, or each of its split folders."""
    found = [name for name in tree.listing.list_folders() if name.lower() in SPLIT_WORDS and _class_folders(tree, name)]
    levels = [(name, SPLIT_WORDS[name.lower()]) for name in found]
    if levels and _class_folders(tree, _UNASSIGNED_FOLDER):
        levels.append((_UNASSIGNED_FOLDER, UNASSIGNED))
    return levels or [("", UNASSIGNED)]


def _all_class_names(tree: FileTree) -> list[str]:
    return sort_class_names(
        {name for folder, _split in _find_split_folders(tree) for name in _class_folders(tree, folder)}
    )


def _class_folders(tree: FileTree, folder: str) -> list[str]:
    prefix = f"{folder}/" if folder else ""
    names = (name for name in tree.listing.list_folders(folder) if name.lower() not in _NON_CLASS_FOLDERS)
    return [name for name in names if image_files.contains_images(tree, prefix + name)]


def _reject_strays(tree: FileTree, folder: str, used: set[str] | None = None) -> Iterator[RejectedItem]:
    """Yield the refusals of what lies in ``folder`` beside the class folders, or beside the folders ``used``."""
    prefix = f"{folder}/" if folder else ""
    for name in filter(looks_like_image, tree.listing.list_files(folder)):
        yield RejectedItem(prefix + name, _("lies outside of any class folder"), _("move it into one"))
    used = set(_class_folders(tree, folder)) if used is None else used
    for name in tree.listing.list_folders(folder):
        if name in used:
            continue
        if name.lower() in _NON_CLASS_FOLDERS and image_files.contains_images(tree, prefix + name):
            reason = _("a folder of that name is not taken for a class")
            yield RejectedItem(prefix + name, reason, _("rename it if it is one, or move it elsewhere"))
        else:
            yield RejectedItem(prefix + name, _("a folder without images"), _("fill it or move it"))


def _require_only_split_folders(place: DataLocation, levels: list[tuple[str, int]]) -> None:
    parts = [folder for folder, _split in levels if folder]
    others = [name for name in _class_folders(place.tree, "") if name not in parts]
    if parts and others:
        raise AmbiguousError(
            _("{path} holds split folders ({splits}) beside folders of other names ({others}).").format(
                path=place.path, splits=", ".join(parts), others=shorten_list(others)
            ),
            _("Expected either class folders, or only train, val and test with class folders inside."),
            _("Move the others elsewhere, or name one of the split folders as the data."),
        )


FORMAT = Format(NAME, detect, read, Capability.LABELS | Capability.SPLITS, write, image_path)
