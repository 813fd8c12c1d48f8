"""Where the images of a dataset come from: files read when asked for, or pixels that a label file held."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import Strings
from lince.errors import DataError, ImageError
from lince.files import digest
from lince.labels import Tree, photos
from lince.labels.table import Pixels
from lince.labels.tree import Folder

Array = NDArray[np.uint8]


class ImageSource(Protocol):
    """A column of images that are read only when asked for."""

    @property
    def grey(self) -> bool:
        """Whether all images are known to be grey."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return the path relative to the dataset's root, with '/', or the made-up name of an image without file."""

    def path(self, index: int) -> Path | None:
        """Return the file, or ``None`` for an image without one."""

    def read(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3); ``at_least`` as in ``images.decode``. Raise ``ImageError``."""

    def data(self, index: int) -> bytes:
        """Return the bytes of the image's file; a PNG for an image without one. Raise ``ImageError``."""

    def key(self, index: int) -> str:
        """Return the 32 hex digits that name the image's content. Raise ``ImageError``."""

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of the upright image from its header; zeros when it cannot be read."""

    def select(self, indices: NDArray[Any]) -> ImageSource:
        """Return the images at ``indices``."""


@dataclass(frozen=True)
class FileImages:
    """Image files below ``root``."""

    root: Path
    names: Strings
    grey: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the path relative to the root, with '/'."""
        return self.names[index]

    def path(self, index: int) -> Path:
        """Return the file."""
        return self.root / self.names[index]

    def read(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        return images.read(self._place(index), at_least)

    def data(self, index: int) -> bytes:
        """Return the bytes of the file."""
        return images.read_bytes(self._place(index))

    def key(self, index: int) -> str:
        """Return the digest of the file's bytes."""
        return digest(self.data(index))

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width), from the file's header."""
        return photos.size(Folder(self.root), self.names[index])

    def select(self, indices: NDArray[Any]) -> FileImages:
        """Return the images at ``indices``."""
        return FileImages(self.root, self.names.take(indices), self.grey)

    def _place(self, index: int) -> str:
        return os.path.join(self.root, self.names[index])


@dataclass(frozen=True)
class TreeImages:
    """Images that lie in an archive or far away; each is fetched when asked for."""

    tree: Tree
    names: Strings
    grey: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the name within the tree."""
        return self.names[index]

    def path(self, index: int) -> None:
        """Return ``None``: no image has a file of its own here."""

    def read(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        try:
            return images.decode(self.data(index), at_least)
        except ImageError as error:
            place = f"{self.tree.root}: {self.names[index]}"
            raise ImageError(f"{place}: {error.found}", error.expected, error.remedy) from error

    def data(self, index: int) -> bytes:
        """Return the bytes of the image's file. Raise ``ImageError``."""
        try:
            return self.tree.read(self.names[index])
        except ImageError:
            raise
        except DataError as error:
            raise ImageError(error.found, error.expected, error.remedy) from error

    def key(self, index: int) -> str:
        """Return the digest of the file's bytes."""
        return digest(self.data(index))

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width), from the file's header."""
        return photos.size(self.tree, self.names[index])

    def select(self, indices: NDArray[Any]) -> TreeImages:
        """Return the images at ``indices``."""
        return TreeImages(self.tree, self.names.take(indices), self.grey)


@dataclass(frozen=True)
class PixelImages:
    """Grey images held in memory or mapped from one file; ``rows`` says which of them, in which order."""

    pixels: Pixels
    names: Strings
    rows: NDArray[np.int64]
    grey: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        """Return the made-up name."""
        return self.names[index]

    def path(self, index: int) -> None:
        """Return ``None``: no image has a file of its own."""

    def read(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        return np.repeat(self._pixels(index)[:, :, None], 3, axis=2)

    def data(self, index: int) -> bytes:
        """Return the image as PNG."""
        return images.encode_png(self.read(index))

    def key(self, index: int) -> str:
        """Return the digest of the pixels and their shape."""
        pixels = self._pixels(index)
        return digest(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes())

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width)."""
        height, width = self._pixels(index).shape
        return height, width

    def select(self, indices: NDArray[Any]) -> PixelImages:
        """Return the images at ``indices``."""
        return PixelImages(self.pixels, self.names.take(indices), self.rows[indices], self.grey)

    def _pixels(self, index: int) -> Array:
        return self.pixels[int(self.rows[index])]
