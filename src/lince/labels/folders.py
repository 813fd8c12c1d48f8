"""Class folders: ``daisy/*.jpg, tulips/*.jpg``, or the same below ``train``, ``val`` and ``test``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lince.annotations import Rejected
from lince.errors import AmbiguousError, UsageError
from lince.labels import sniff
from lince.labels.columns import Columns, class_order, shorten
from lince.labels.format import Export, Format, Holds
from lince.labels.scan import is_hidden, looks_like_image
from lince.labels.table import SPLIT_WORDS, UNASSIGNED, Options, Table
from lince.labels.tree import Place, Tree
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "folders"
# What other tools call the folders that hold photos, or what is drawn on them, of every class.
_NO_CLASS = {
    "images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "annotations", "annotation", "annots",
    "labels", "label", "masks", "mask", "segmentations", "segmentation", "segmentationclass",
    "segmentationobject", "gtfine", "gtcoarse", "ground_truth", "groundtruth", "imagesets",
    "obj_train_data", "obj_valid_data", "obj_test_data",
}  # fmt: skip
_NO_NAME = re.compile(r"[/\\\0]|^\s|\s$")
_REST = "unassigned"  # beside train, val and test: what is in none of them
_PART = re.compile(rf"({'|'.join(SPLIT_WORDS)})[-_ ]?[0-9]*", re.IGNORECASE)  # such as train2017


def detect(place: Place) -> str | None:
    """Return what speaks for class folders; ``None`` when there are not at least two of them."""
    names = [] if place.file else _all_classes(place.tree)
    if len(names) < 2 or all(map(_PART.fullmatch, names)):
        return None
    return _("{count} class folders: {names}").format(count=len(names), names=shorten(names))


def lone(place: Place) -> str | None:
    """Return the only folder that could be a class, where there is one alone and no photo beside it."""
    if place.file or any(map(looks_like_image, place.tree.listing.files())):
        return None
    names = _all_classes(place.tree)
    return names[0] if len(names) == 1 and not _PART.fullmatch(names[0]) else None


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read class folders; every file in or below a class folder is an image of that class or is rejected."""
    tree, columns = place.tree, Columns()
    levels = _levels(tree)
    _require_parts_alone(place, levels)
    for folder, split in levels:
        prefix = f"{folder}/" if folder else ""
        for refusal in _strays(tree, folder):
            columns.reject(refusal)
        for name in _classes(tree, folder):
            below = tree.listing.below(prefix + name)
            columns.add((f"{prefix}{name}/{file}" for file in below), name, split)
    if levels[0][0]:
        for refusal in _strays(tree, "", {folder for folder, _split in levels}):
            columns.reject(refusal)
    return columns.table(tree, NAME, progress)


def write(export: Export, folder: Path) -> None:
    """Write nothing, for the folders say it all; but where only some images have a split, set the others apart."""
    unassigned = export.table.splits == UNASSIGNED
    if unassigned.all() or not unassigned.any():
        return
    for name in {export.files[row].partition("/")[0] for row in np.flatnonzero(unassigned).tolist()}:
        if (folder / name).is_dir():
            (folder / _REST).mkdir(exist_ok=True)
            (folder / name).rename(folder / _REST / name)


def file(split: str, class_name: str, name: str) -> str:
    """Return where an image goes: ``split/class/name``. Raise ``UsageError`` when no class folder can be called so."""
    if is_hidden(class_name) or class_name.lower() in {*_NO_CLASS, _REST} or _NO_NAME.search(class_name):
        raise UsageError(
            _("A folder called '{name}' is not taken for a class.").format(name=class_name),
            _("Expected a class name without bars, dots in front, and words such as images or labels."),
            _("Rename the class with --merge."),
        )
    return "/".join(part for part in (split, class_name, name) if part)


def _levels(tree: Tree) -> list[tuple[str, int]]:
    """Return (folder that holds class folders, split): the root itself, or each of its split folders."""
    found = [name for name in tree.listing.folders() if name.lower() in SPLIT_WORDS and _classes(tree, name)]
    levels = [(name, SPLIT_WORDS[name.lower()]) for name in found]
    if levels and _classes(tree, _REST):
        levels.append((_REST, UNASSIGNED))
    return levels or [("", UNASSIGNED)]


def _all_classes(tree: Tree) -> list[str]:
    return class_order({name for folder, _split in _levels(tree) for name in _classes(tree, folder)})


def _classes(tree: Tree, folder: str) -> list[str]:
    prefix = f"{folder}/" if folder else ""
    names = (name for name in tree.listing.folders(folder) if name.lower() not in _NO_CLASS)
    return [name for name in names if sniff.holds_images(tree, prefix + name)]


def _strays(tree: Tree, folder: str, used: set[str] | None = None) -> Iterator[Rejected]:
    """Yield the refusals of what lies in ``folder`` beside the class folders, or beside the folders ``used``."""
    prefix = f"{folder}/" if folder else ""
    for name in filter(looks_like_image, tree.listing.files(folder)):
        yield Rejected(prefix + name, _("lies outside of any class folder"), _("move it into one"))
    used = set(_classes(tree, folder)) if used is None else used
    for name in tree.listing.folders(folder):
        if name in used:
            continue
        if name.lower() in _NO_CLASS and sniff.holds_images(tree, prefix + name):
            reason = _("a folder of that name is not taken for a class")
            yield Rejected(prefix + name, reason, _("rename it if it is one, or move it elsewhere"))
        else:
            yield Rejected(prefix + name, _("a folder without images"), _("fill it or move it"))


def _require_parts_alone(place: Place, levels: list[tuple[str, int]]) -> None:
    parts = [folder for folder, _split in levels if folder]
    others = [name for name in _classes(place.tree, "") if name not in parts]
    if parts and others:
        raise AmbiguousError(
            _("{path} holds split folders ({splits}) beside folders of other names ({others}).").format(
                path=place.path, splits=", ".join(parts), others=shorten(others)
            ),
            _("Expected either class folders, or only train, val and test with class folders inside."),
            _("Move the others elsewhere, or name one of the split folders as the data."),
        )


FORMAT = Format(NAME, detect, read, Holds.LABELS | Holds.SPLITS, write, file)
