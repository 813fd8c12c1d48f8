"""Reads and writes class folders: ``daisy/*.jpg, tulips/*.jpg``, or the same below ``train``, ``val`` and ``test``.

Where the class folders are is decided by ``lince.formats.folder_layout``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lince.annotations import RejectedItem
from lince.errors import AmbiguousError, UsageError
from lince.formats.builders.classification_table import ClassificationTableBuilder, shorten_list, sort_class_names
from lince.formats.folder_layout import (
    UNASSIGNED_FOLDER,
    FolderLayout,
    find_layout,
    join_path,
    list_class_folders,
    list_image_folders,
)
from lince.formats.folder_roles import is_class_name, may_be_layers
from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED, parse_split_name
from lince.storage import image_files
from lince.storage.scan import is_system_name, is_unsupported_image, looks_like_image, reject_non_image
from lince.storage.tree import DataLocation, FileTree

NAME = "folders"
_MIN_SHARED = 0.9  # of the names of files, in folders that hold layers of the same photos
_INVALID_NAME = re.compile(r"[/\\\0]|^\s|\s$")


def detect(location: DataLocation) -> str | None:
    """Return the number and names of the class folders, and where they are; ``None`` when there are fewer than two.

    Folders that are all named as parts of the data (``train2017``, ``val2017``) are no classes.
    """
    if location.file:
        return None
    layout = find_layout(location.tree)
    names = _list_class_names(location.tree, layout)
    if len(names) < 2:
        return None
    if [folder for folder, _split in layout.holders] == [""]:
        return _("{count} class folders: {names}").format(count=len(names), names=shorten_list(names))
    return _("{count} class folders: {names}; in {folders}").format(
        count=len(names), names=shorten_list(names), folders=shorten_list([folder for folder, _ in layout.holders], 4)
    )


def find_single_class_folder(location: DataLocation) -> str | None:
    """Return the name of the only folder that could be a class; ``None`` when there are others, or images beside it.

    It makes the error that no format fits more helpful; one folder of images alone is not read as a class.
    """
    if location.file or any(map(looks_like_image, location.tree.listing.list_files())):
        return None
    names = _list_class_names(location.tree, find_layout(location.tree))
    return names[0] if len(names) == 1 and parse_split_name(names[0]) is None else None


def find_repeated_folders(location: DataLocation) -> tuple[list[str], list[str]] | None:
    """Return the class folders and the folders in them, where all hold the same ones and no photo beside these.

    ``None`` where they do not, or hold fewer than two and none that is called as a part of the data.
    """
    tree = location.tree
    layout = find_layout(tree)
    if layout.parts or not layout.holders:
        return None
    names = list_class_folders(tree, layout.base)
    inner = [list_image_folders(tree, join_path(layout.base, name)) for name in names]
    has_photos = any(image_files.list_images(tree, join_path(layout.base, name)) for name in names)
    is_one_class = len(inner[0]) < 2 and not any(parse_split_name(name) is not None for name in inner[0])
    return None if has_photos or is_one_class or any(one != inner[0] for one in inner) else (names, inner[0])


def find_layers(location: DataLocation) -> tuple[list[str], str] | None:
    """Return class folders that may be layers of the same photos (``RGB``, ``Depth``), and a file that all hold.

    All hold files of the same names, apart from the suffix, and a name is that of a layer. ``None`` where none do.
    """
    tree = location.tree
    for holder, _split in find_layout(tree).holders:
        names = list_class_folders(tree, holder)
        if not may_be_layers(names):
            continue
        stems = [_list_stems(tree, join_path(holder, name)) for name in names]
        shared = set.intersection(*stems)
        if len(shared) >= _MIN_SHARED * max(map(len, stems)):
            return names, min(shared)
    return None


def _list_stems(tree: FileTree, folder: str) -> set[str]:
    """Return the paths of the photos in ``folder``, without suffix."""
    return {posixpath.splitext(name)[0] for name in tree.listing.iterate_files(folder) if looks_like_image(name)}


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read class folders: every file in or below a class folder is an image of that class, or is rejected.

    Images beside the class folders and folders without images are rejected too. Raise ``AmbiguousError`` when there are
    class folders beside split folders.
    """
    tree, builder = location.tree, ClassificationTableBuilder()
    layout = find_layout(tree, as_told=True)
    _require_only_parts(location, layout)
    for folder, split in layout.holders:
        for rejection in _reject_strays(tree, folder, set(list_class_folders(tree, folder))):
            builder.reject(rejection)
        for name in list_class_folders(tree, folder):
            path = join_path(folder, name)
            builder.add_images((f"{path}/{file}" for file in tree.listing.iterate_files(path)), name, split)
    if layout.parts:
        for rejection in (*_reject_strays(tree, layout.base, set(layout.parts)), *_reject_unlabelled(tree, layout)):
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
            (folder / UNASSIGNED_FOLDER).mkdir(exist_ok=True)
            (folder / name).rename(folder / UNASSIGNED_FOLDER / name)


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where an image goes: ``split/class/name``, without the parts that are empty.

    Raise ``UsageError`` when a folder called ``class_name`` would not be read as a class: hidden folders, names that
    ``is_class_name`` refuses, names with slashes, spaces around.
    """
    if (
        is_system_name(class_name)
        or not is_class_name(class_name)
        or class_name.lower() == UNASSIGNED_FOLDER
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


def _list_class_names(tree: FileTree, layout: FolderLayout) -> list[str]:
    """Return the sorted class names of all parts together, each once."""
    return sort_class_names({name for folder, _split in layout.holders for name in list_class_folders(tree, folder)})


def _reject_strays(tree: FileTree, folder: str, used: set[str]) -> Iterator[RejectedItem]:
    """Yield the rejections of what is in ``folder`` beside the folders ``used``, which are read."""
    for name in tree.listing.list_files(folder):
        if looks_like_image(name):
            reason, remedy = _("is not in a class folder"), _("move it into one")
            yield RejectedItem(join_path(folder, name), reason, remedy, kind="no-label")
        elif is_unsupported_image(name):
            yield reject_non_image(join_path(folder, name))
    for name in tree.listing.list_folders(folder):
        if name in used:
            continue
        if not is_class_name(name) and image_files.contains_images(tree, join_path(folder, name)):
            reason = _("a folder named {name} is not treated as a class").format(name=name)
            remedy = _("rename it if it is one, or move it elsewhere")
            for file in filter(looks_like_image, tree.listing.iterate_files(join_path(folder, name))):
                yield RejectedItem(join_path(folder, f"{name}/{file}"), reason, remedy, kind="unlabelled")
        else:
            reason, remedy = _("a folder without images"), _("add images, or move it elsewhere")
            yield RejectedItem(join_path(folder, name), reason, remedy)


def _reject_unlabelled(tree: FileTree, layout: FolderLayout) -> Iterator[RejectedItem]:
    """Yield the rejection of each photo in a part without class folders."""
    reason, remedy = _("is not in a class folder"), _("move it into one")
    for folder in layout.unlabelled_parts:
        for name in filter(looks_like_image, tree.listing.iterate_files(folder)):
            yield RejectedItem(join_path(folder, name), reason, remedy, kind="unlabelled")


def _require_only_parts(location: DataLocation, layout: FolderLayout) -> None:
    """Raise ``AmbiguousError`` when there are class folders beside the parts of the data."""
    if layout.others:
        raise AmbiguousError(
            _("{path} contains split folders ({splits}) and other folders ({others}).").format(
                path=location.path, splits=", ".join(layout.parts), others=shorten_list(layout.others)
            ),
            _("Expected either class folders, or only train, val and test with class folders inside."),
            _("Move the others elsewhere, or give one of the split folders as the data."),
        )


FORMAT = Format(NAME, detect, read, Capability.LABELS | Capability.SPLITS, write, image_path)
