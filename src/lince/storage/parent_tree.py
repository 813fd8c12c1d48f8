"""Photos that lie beside the labels named rather than among them: ``../images``, seen from the folder above."""

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
_MAX_PARENTS = 2


class ParentTree(LocalFolder):
    """The folder ``root`` as far as labels in its folder ``below`` need it: that one, and those of photos beside it."""

    def __init__(self, root: Path, below: str, inner: FileTree) -> None:
        super().__init__(root)
        self._label_folder = below
        self._inner = inner

    @cached_property
    def listing(self) -> FileListing:
        """Every file below those folders, and the photos in ``root`` itself."""
        try:
            found = list(self._sibling_files())
        except DataError:
            found = []  # what nobody may open has no photos to offer
        return FileListing((*found, *(f"{self._label_folder}/{name}" for name in self._inner.names)))

    def _sibling_files(self) -> Iterator[str]:
        yield from filter(scan.looks_like_image, scan.list_files(self.root))
        for folder in scan.list_folders(self.root):
            if folder.lower() in _IMAGE_FOLDERS and folder != self._label_folder:
                yield from (f"{folder}/{name}" for name in scan.walk_files(self.root / folder))


def iterate_parent_trees(place: DataLocation) -> Iterator[tuple[FileTree, str]]:
    """Yield the tree of ``place``, then the folders above as ``Around`` shows them, each with what our names start by.

    What is not a folder of this machine has nothing above it.
    """
    tree: FileTree = place.tree
    prefix = ""
    yield tree, prefix
    for _step in range(_MAX_PARENTS):
        root = tree.root.absolute()
        if not isinstance(tree, LocalFolder) or root.parent in (root, root.parent.parent):
            return
        tree, prefix = ParentTree(root.parent, root.name, tree), f"{root.name}/{prefix}"
        yield tree, prefix
