"""Where the images of a dataset come from: files read when asked for, or pixels that a label file held."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import StringColumn
from lince.errors import DataError, ImageError
from lince.fileio import compute_digest
from lince.formats import FileTree, image_lookup
from lince.formats.table import PixelBlocks
from lince.storage.tree import LocalFolder

Array = NDArray[np.uint8]


class ImageSource(Protocol):
    """A column of images that are read only when asked for."""

    @property
    def grey(self) -> bool:
        """Whether all images are known to be grey."""

    def __len__(self) -> int: ...

    def get_name(self, index: int) -> str:
        """Return the path relative to the dataset's root, with '/', or the made-up name of an image without file."""

    def get_path(self, index: int) -> Path | None:
        """Return the file, or ``None`` for an image without one."""

    def read_image(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3); ``at_least`` as in ``images.decode``. Raise ``ImageError``."""

    def read_bytes(self, index: int) -> bytes:
        """Return the bytes of the image's file; a PNG for an image without one. Raise ``ImageError``."""

    def compute_key(self, index: int) -> str:
        """Return the 32 hex digits that name the image's content. Raise ``ImageError``."""

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of the upright image from its header; zeros when it cannot be read."""

    def select(self, indices: NDArray[Any]) -> ImageSource:
        """Return the images at ``indices``."""


@dataclass(frozen=True)
class FileImages:
    """Image files below ``root``."""

    root: Path
    names: StringColumn
    grey: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def get_name(self, index: int) -> str:
        """Return the path relative to the root, with '/'."""
        return self.names[index]

    def get_path(self, index: int) -> Path:
        """Return the file."""
        return self.root / self.names[index]

    def read_image(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        return images.read_image(self._full_path(index), at_least)

    def read_bytes(self, index: int) -> bytes:
        """Return the bytes of the file."""
        return images.read_bytes(self._full_path(index))

    def compute_key(self, index: int) -> str:
        """Return the digest of the file's bytes."""
        return compute_digest(self.read_bytes(index))

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width), from the file's header."""
        return image_lookup.read_image_size(LocalFolder(self.root), self.names[index])

    def select(self, indices: NDArray[Any]) -> FileImages:
        """Return the images at ``indices``."""
        return FileImages(self.root, self.names.take(indices), self.grey)

    def _full_path(self, index: int) -> str:
        return os.path.join(self.root, self.names[index])


@dataclass(frozen=True)
class TreeImages:
    """Images that lie in an archive or far away; each is fetched when asked for."""

    tree: FileTree
    names: StringColumn
    grey: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def get_name(self, index: int) -> str:
        """Return the name within the tree."""
        return self.names[index]

    def get_path(self, index: int) -> None:
        """Return ``None``: no image has a file of its own here."""

    def read_image(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        try:
            return images.decode_image(self.read_bytes(index), at_least)
        except ImageError as error:
            place = f"{self.tree.root}: {self.names[index]}"
            raise ImageError(f"{place}: {error.problem}", error.expected, error.remedy) from error

    def read_bytes(self, index: int) -> bytes:
        """Return the bytes of the image's file. Raise ``ImageError``."""
        try:
            return self.tree.read(self.names[index])
        except ImageError:
            raise
        except DataError as error:
            raise ImageError(error.problem, error.expected, error.remedy) from error

    def compute_key(self, index: int) -> str:
        """Return the digest of the file's bytes."""
        return compute_digest(self.read_bytes(index))

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width), from the file's header."""
        return image_lookup.read_image_size(self.tree, self.names[index])

    def select(self, indices: NDArray[Any]) -> TreeImages:
        """Return the images at ``indices``."""
        return TreeImages(self.tree, self.names.take(indices), self.grey)


@dataclass(frozen=True)
class PixelImages:
    """Grey images held in memory or mapped from one file; ``rows`` says which of them, in which order."""

    pixels: PixelBlocks
    names: StringColumn
    rows: NDArray[np.int64]
    grey: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def get_name(self, index: int) -> str:
        """Return the made-up name."""
        return self.names[index]

    def get_path(self, index: int) -> None:
        """Return ``None``: no image has a file of its own."""

    def read_image(self, index: int, at_least: tuple[int, int] | None = None) -> Array:
        """Return uint8 RGB (H, W, 3)."""
        return np.repeat(self._get_pixels(index)[:, :, None], 3, axis=2)

    def read_bytes(self, index: int) -> bytes:
        """Return the image as PNG."""
        return images.encode_png(self.read_image(index))

    def compute_key(self, index: int) -> str:
        """Return the digest of the pixels and their shape."""
        pixels = self._get_pixels(index)
        return compute_digest(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes())

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width)."""
        height, width = self._get_pixels(index).shape
        return height, width

    def select(self, indices: NDArray[Any]) -> PixelImages:
        """Return the images at ``indices``."""
        return PixelImages(self.pixels, self.names.take(indices), self.rows[indices], self.grey)

    def _get_pixels(self, index: int) -> Array:
        return self.pixels[int(self.rows[index])]
