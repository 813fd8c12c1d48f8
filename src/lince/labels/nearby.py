"""Photos that lie beside the labels named rather than among them: ``../images``, seen from the folder above."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from lince.errors import DataError
from lince.labels import scan
from lince.labels.listing import Listing
from lince.labels.table import SPLIT_WORDS
from lince.labels.tree import Folder, Place, Tree

_PHOTO_FOLDERS = {"images", "image", "jpegimages", "img", "imgs", "photos", "pictures", "data", "frames", *SPLIT_WORDS}
_STEPS = 2


class Around(Folder):
    """The folder ``root`` as far as labels in its folder ``below`` need it: that one, and those of photos beside it."""

    def __init__(self, root: Path, below: str, inner: Tree) -> None:
        super().__init__(root)
        self._below = below
        self._inner = inner

    @cached_property
    def listing(self) -> Listing:
        """Every file below those folders, and the photos in ``root`` itself."""
        try:
            found = list(self._beside())
        except DataError:
            found = []  # what nobody may open has no photos to offer
        return Listing((*found, *(f"{self._below}/{name}" for name in self._inner.names)))

    def _beside(self) -> Iterator[str]:
        yield from filter(scan.looks_like_image, scan.files(self.root))
        for folder in scan.folders(self.root):
            if folder.lower() in _PHOTO_FOLDERS and folder != self._below:
                yield from (f"{folder}/{name}" for name in scan.files_below(self.root / folder))


def outwards(place: Place) -> Iterator[tuple[Tree, str]]:
    """Yield the tree of ``place``, then the folders above as ``Around`` shows them, each with what our names start by.

    What is not a folder of this machine has nothing above it.
    """
    tree: Tree = place.tree
    prefix = ""
    yield tree, prefix
    for _step in range(_STEPS):
        root = tree.root.absolute()
        if not isinstance(tree, Folder) or root.parent in (root, root.parent.parent):
            return
        tree, prefix = Around(root.parent, root.name, tree), f"{root.name}/{prefix}"
        yield tree, prefix
