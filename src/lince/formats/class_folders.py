"""Reads and writes class folders: ``daisy/*.jpg, tulips/*.jpg``, or the same below ``train``, ``val`` and ``test``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lince.annotations import RejectedItem
from lince.errors import AmbiguousError, UsageError
from lince.formats.builders.classification_table import ClassificationTableBuilder, shorten_list, sort_class_names
from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage import image_files
from lince.storage.scan import is_system_name, looks_like_image
from lince.storage.tree import DataLocation, FileTree

NAME = "folders"
# Folders of other tools that hold the images or annotations of all classes together.
_NON_CLASS_FOLDERS = {
    "images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "annotations", "annotation", "annots",
    "labels", "label", "masks", "mask", "segmentations", "segmentation", "segmentationclass",
    "segmentationobject", "gtfine", "gtcoarse", "ground_truth", "groundtruth", "imagesets",
    "obj_train_data", "obj_valid_data", "obj_test_data",
}  # fmt: skip
_INVALID_NAME = re.compile(r"[/\\\0]|^\s|\s$")
_UNASSIGNED_FOLDER = "unassigned"  # beside train, val and test: images of no split
_SPLIT_FOLDER = re.compile(rf"({'|'.join(SPLIT_WORDS)})[-_ ]?[0-9]*", re.IGNORECASE)  # such as train2017


def detect(location: DataLocation) -> str | None:
    """Return the number and names of the class folders; ``None`` when there are fewer than two.

    Folders that are all named as splits (``train2017``, ``val2017``) are no classes.
    """
    names = [] if location.file else _all_class_names(location.tree)
    if len(names) < 2 or all(map(_SPLIT_FOLDER.fullmatch, names)):
        return None
    return _("{count} class folders: {names}").format(count=len(names), names=shorten_list(names))


def find_single_class_folder(location: DataLocation) -> str | None:
    """Return the name of the only folder that could be a class; ``None`` when there are others, or images beside it.

    It makes the error that no format fits more helpful; one folder of images alone is not read as a class.
    """
    if location.file or any(map(looks_like_image, location.tree.listing.list_files())):
        return None
    names = _all_class_names(location.tree)
    return names[0] if len(names) == 1 and not _SPLIT_FOLDER.fullmatch(names[0]) else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read class folders: every file in or below a class folder is an image of that class, or is rejected.

    Images beside the class folders and folders without images are rejected too. Raise ``AmbiguousError`` when there are
    class folders beside split folders.
    """
    tree, builder = location.tree, ClassificationTableBuilder()
    split_folders = _find_split_folders(tree)
    _require_only_split_folders(location, split_folders)
    for folder, split in split_folders:
        prefix = f"{folder}/" if folder else ""
        for rejection in _reject_strays(tree, folder):
            builder.reject(rejection)
        for name in _class_folders(tree, folder):
            files = tree.listing.iterate_files(prefix + name)
            builder.add_images((f"{prefix}{name}/{file}" for file in files), name, split)
    if split_folders[0][0]:
        for rejection in _reject_strays(tree, "", {folder for folder, _split in split_folders}):
            builder.reject(rejection)
    return builder.build_table(tree, NAME, progress)


def write(request: WriteRequest, folder: Path) -> None:
    """Move images without a split into the folder ``unassigned`` where others have one.

    The folders say all else, so no label file is written.
    """
    is_unassigned = request.table.splits == UNASSIGNED
    if is_unassigned.all() or not is_unassigned.any():
        return
    for name in {request.image_paths[row].partition("/")[0] for row in np.flatnonzero(is_unassigned).tolist()}:
        if (folder / name).is_dir():
            (folder / _UNASSIGNED_FOLDER).mkdir(exist_ok=True)
            (folder / name).rename(folder / _UNASSIGNED_FOLDER / name)


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where an image goes: ``split/class/name``, without the parts that are empty.

    Raise ``UsageError`` when a folder called ``class_name`` would not be read as a class: hidden folders, the names in
    ``_NON_CLASS_FOLDERS``, names with slashes, spaces around.
    """
    if (
        is_system_name(class_name)
        or class_name.lower() in {*_NON_CLASS_FOLDERS, _UNASSIGNED_FOLDER}
        or _INVALID_NAME.search(class_name)
    ):
        raise UsageError(
            _("A folder named '{name}' is not treated as a class.").format(name=class_name),
            _(
                "Expected a class name without slashes or leading dots, and not a reserved word such as images "
                "or labels."
            ),
            _("Rename the class with --merge."),
        )
    return "/".join(part for part in (split, class_name, file_name) if part)


def _find_split_folders(tree: FileTree) -> list[tuple[str, int]]:
    """Return (folder that holds class folders, split) for each split folder; ("", UNASSIGNED) where there is none.

    Where there are split folders, ``unassigned`` counts as one of them.
    """
    names = [name for name in tree.listing.list_folders() if name.lower() in SPLIT_WORDS and _class_folders(tree, name)]
    split_folders = [(name, SPLIT_WORDS[name.lower()]) for name in names]
    if split_folders and _class_folders(tree, _UNASSIGNED_FOLDER):
        split_folders.append((_UNASSIGNED_FOLDER, UNASSIGNED))
    return split_folders or [("", UNASSIGNED)]


def _all_class_names(tree: FileTree) -> list[str]:
    """Return the sorted class names of all split folders together, each once."""
    return sort_class_names(
        {name for folder, _split in _find_split_folders(tree) for name in _class_folders(tree, folder)}
    )


def _class_folders(tree: FileTree, folder: str) -> list[str]:
    """Return the names of the folders in ``folder`` that hold images and may be classes."""
    prefix = f"{folder}/" if folder else ""
    names = (name for name in tree.listing.list_folders(folder) if name.lower() not in _NON_CLASS_FOLDERS)
    return [name for name in names if image_files.contains_images(tree, prefix + name)]


def _reject_strays(tree: FileTree, folder: str, used: set[str] | None = None) -> Iterator[RejectedItem]:
    """Yield the rejections of what is in ``folder`` beside the class folders.

    ``used`` are the names of the folders that are read, by default the class folders in ``folder``.
    """
    prefix = f"{folder}/" if folder else ""
    for name in filter(looks_like_image, tree.listing.list_files(folder)):
        yield RejectedItem(prefix + name, _("is not in a class folder"), _("move it into one"))
    used = set(_class_folders(tree, folder)) if used is None else used
    for name in tree.listing.list_folders(folder):
        if name in used:
            continue
        if name.lower() in _NON_CLASS_FOLDERS and image_files.contains_images(tree, prefix + name):
            reason = _("a folder with this name is not treated as a class")
            yield RejectedItem(prefix + name, reason, _("rename it if it is one, or move it elsewhere"))
        else:
            yield RejectedItem(prefix + name, _("a folder without images"), _("add images, or move it elsewhere"))


def _require_only_split_folders(location: DataLocation, split_folders: list[tuple[str, int]]) -> None:
    """Raise ``AmbiguousError`` when there are class folders beside split folders."""
    splits = [folder for folder, _split in split_folders if folder]
    others = [name for name in _class_folders(location.tree, "") if name not in splits]
    if splits and others:
        raise AmbiguousError(
            _("{path} contains split folders ({splits}) and other folders ({others}).").format(
                path=location.path, splits=", ".join(splits), others=shorten_list(others)
            ),
            _("Expected either class folders, or only train, val and test with class folders inside."),
            _("Move the others elsewhere, or give one of the split folders as the data."),
        )


FORMAT = Format(NAME, detect, read, Capability.LABELS | Capability.SPLITS, write, image_path)
