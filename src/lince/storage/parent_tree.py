"""Finds images that lie next to the named label folder instead of inside it, such as ``../images``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from lince.errors import DataError
from lince.splits import SPLIT_WORDS
from lince.storage import scan
from lince.storage.file_list import FileListing
from lince.storage.tree import DataLocation, FileTree, LocalFolder

_IMAGE_FOLDERS = {"images", "image", "jpegimages", "img", "imgs", "photos", "pictures", "data", "frames", *SPLIT_WORDS}
_MAX_PARENTS = 2  # levels searched above the named folder


class ParentTree(LocalFolder):
    """A parent folder, limited to what the labels in one of its subfolders may need.

    It lists the files of ``label_folder`` (a name relative to ``root``), the images directly in
    ``root``, and the files of those sibling folders whose names are usual for images (``images``,
    ``JPEGImages``, ``train``, ...). Everything else in the parent folder is left alone: it may be
    large and have nothing to do with the data. ``label_tree`` is the tree of ``label_folder``,
    whose listing is reused.
    """

    def __init__(self, root: Path, label_folder: str, label_tree: FileTree) -> None:
        super().__init__(root)
        self._label_folder = label_folder
        self._label_tree = label_tree

    @cached_property
    def listing(self) -> FileListing:
        """The images in ``root``, the files of its image folders, then those of the label folder."""
        try:
            sibling_files = list(self._sibling_files())
        except DataError:
            sibling_files = []  # a parent folder that may not be opened adds no images
        return FileListing((*sibling_files, *(f"{self._label_folder}/{name}" for name in self._label_tree.names)))

    def _sibling_files(self) -> Iterator[str]:
        """Yield the images in ``root`` and all files of the image folders beside the labels."""
        yield from filter(scan.looks_like_image, scan.list_files(self.root))
        for folder in scan.list_folders(self.root):
            if folder.lower() in _IMAGE_FOLDERS and folder != self._label_folder:
                yield from (f"{folder}/{name}" for name in scan.walk_files(self.root / folder))


def iterate_parent_trees(location: DataLocation) -> Iterator[tuple[FileTree, str]]:
    """Yield the tree of ``location``, then its parent folders as ``ParentTree``, nearest first.

    Each comes with the prefix that leads from its root to the names of ``location``: '' at first,
    then ``labels/`` and so on. At most two parents are yielded, and never the root of the file
    system. Archives and remote trees have no parents.
    """
    tree: FileTree = location.tree
    prefix = ""
    yield tree, prefix
    for _level in range(_MAX_PARENTS):
        root = tree.root.absolute()
        if not isinstance(tree, LocalFolder) or root.parent in (root, root.parent.parent):
            return
        tree, prefix = ParentTree(root.parent, root.name, tree), f"{root.name}/{prefix}"
        yield tree, prefix
