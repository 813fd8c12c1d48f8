"""Finds out where class folders are: at the top, below folders that hold nothing else, or below the parts of the data.

A folder is a part of the data, not a class, by the words in its name (``lince.splits``): ``train``, ``test_images``,
``entrenamiento``. A class may be called so too: beside folders of photos with other names, ``train`` is a vehicle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lince.formats.folder_roles import is_class_name
from lince.splits import UNASSIGNED, infer_part_splits, parse_split_name
from lince.storage import image_files
from lince.storage.tree import FileTree

UNASSIGNED_FOLDER = "unassigned"  # beside train, val and test: images of no split
_MAX_DEPTH = 6  # folders above the class folders that hold nothing else


@dataclass(frozen=True)
class FolderLayout:
    """Where the class folders of a tree are.

    ``base`` is the folder in which the parts or the classes are, '' for the root. ``holders`` are (folder that holds
    class folders, split), none where no folder stands for a class. ``parts`` are the folders in ``base`` that stand for
    a part of the data, by their split; ``others`` those that hold images and belong to no part, where there are parts.
    """

    base: str
    holders: tuple[tuple[str, int], ...]
    parts: dict[str, int]
    others: tuple[str, ...] = ()

    @property
    def unlabelled_parts(self) -> tuple[str, ...]:
        """The parts, as paths, in which no folder stands for a class: their photos have no label."""
        return tuple(
            path
            for path in (join_path(self.base, name) for name in self.parts)
            if not any(f"{holder}/".startswith(f"{path}/") for holder, _split in self.holders)
        )


def list_image_folders(tree: FileTree, folder: str) -> list[str]:
    """Return the names of the folders in ``folder`` that hold images."""
    names = tree.listing.list_folders(folder)
    return [name for name in names if image_files.contains_images(tree, join_path(folder, name))]


def list_class_folders(tree: FileTree, folder: str) -> list[str]:
    """Return the names of the folders in ``folder`` that hold images and may be classes."""
    names = list_image_folders(tree, folder)
    return [name for name in names if is_class_name(name, names)]


def find_layout(tree: FileTree, *, as_told: bool = False) -> FolderLayout:
    """Return where the class folders of ``tree`` are.

    Folders that all stand for parts, or of which two stand for parts such as ``train`` and ``test``, and that hold
    photos without class folders, are no classes; with ``as_told`` they are: the user says that the folders are classes.
    """
    base = _find_base(tree)
    names = list_class_folders(tree, base)
    parts = infer_part_splits(names)
    holders = _find_holders(tree, base, parts)
    others = tuple(name for name in names if name not in parts)
    if holders:
        return FolderLayout(base, tuple((holder, parts[name]) for name, holder in holders.items()), parts, others)
    is_divided = len(set(parts.values()) - {UNASSIGNED}) > 1  # as no set of classes is
    if names and (is_divided or not others) and not as_told:
        return FolderLayout(base, (), parts)
    return FolderLayout(base, ((base, UNASSIGNED),) if names else (), {})


def join_path(folder: str, name: str) -> str:
    """Return the path of ``name`` in ``folder``, which is '' for the root."""
    return f"{folder}/{name}" if folder else name


def _find_base(tree: FileTree) -> str:
    """Return the folder that holds the parts or the class folders, below folders that hold one folder of images alone.

    It is '' where that leads to no two folders of images, since one alone may be a class.
    """
    folder = ""
    for _depth in range(_MAX_DEPTH):
        names = list_image_folders(tree, folder)
        if len(names) != 1 or parse_split_name(names[0]) is not None or image_files.list_images(tree, folder):
            break
        folder = join_path(folder, names[0])
    names = list_class_folders(tree, folder)
    holds_part = any(_find_holder(tree, join_path(folder, name)) for name in infer_part_splits(names))
    return folder if len(names) > 1 or holds_part else ""


def _find_holder(tree: FileTree, part: str) -> str:
    """Return the folder in ``part`` that holds class folders, '' when there is none.

    That is ``part`` itself, or a folder in it that is alone, holds folders, and repeats the name (``train/train/cat``)
    or has none of its own (``train/images/cat``).
    """
    folder, words = part, parse_split_name(part.rpartition("/")[2])
    for _depth in range(_MAX_DEPTH):
        names = list_image_folders(tree, folder)
        if len(names) != 1 or image_files.list_images(tree, folder):
            break
        repeats = names[0].casefold() == part.rpartition("/")[2].casefold() or (
            words is not None and parse_split_name(names[0]) == words
        )
        inner = join_path(folder, names[0])
        if not (repeats or not is_class_name(names[0])) or not list_class_folders(tree, inner):
            break
        folder = inner
    return folder if list_class_folders(tree, folder) else ""


def _find_holders(tree: FileTree, base: str, parts: Iterable[str]) -> dict[str, str]:
    """Return the folder that holds class folders for each of the ``parts`` in ``base`` that has one.

    ``train/train/*.jpg`` has none, unless another part has a class of that name.
    """
    holders = {name: holder for name in parts if (holder := _find_holder(tree, join_path(base, name)))}
    classes = {name: list_class_folders(tree, holder) for name, holder in holders.items()}
    doubled = {name for name, found in classes.items() if [one.casefold() for one in found] == [name.casefold()]}
    known = {class_name for name, found in classes.items() if name not in doubled for class_name in found}
    return {name: holder for name, holder in holders.items() if name not in doubled or known.issuperset(classes[name])}
