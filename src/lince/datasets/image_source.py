"""Sources of a dataset's images: files, entries of an archive or a remote store, or pixel arrays."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import StringColumn
from lince.datasets.digest_memo import DigestMemo
from lince.errors import DataError, ImageError
from lince.fileio import compute_digest
from lince.formats import FileTree, image_lookup
from lince.formats.table import PixelBlocks
from lince.storage.tree import LocalFolder

Array = NDArray[np.uint8]
_DIGESTS = DigestMemo()


class ImageSource(Protocol):
    """N images that are read only when they are asked for. Implementations can be used from several threads."""

    @property
    def grey(self) -> bool:
        """Whether all images are known to be grey."""

    def __len__(self) -> int: ...

    def get_name(self, index: int) -> str:
        """Return the path relative to the dataset's root, with '/', or the invented name of an image without a file."""

    def get_path(self, index: int) -> Path | None:
        """Return the path of the file; ``None`` for an image without a file of its own on this machine."""

    def read_image(self, index: int, min_size: tuple[int, int] | None = None) -> Array:
        """Return the upright image, uint8 RGB (H, W, 3); ``min_size`` as in ``images.decode_image``.

        Raise ``ImageError`` when it cannot be read or decoded.
        """

    def read_bytes(self, index: int) -> bytes:
        """Return the content of the image's file, or a PNG for an image without one. Raise ``ImageError``."""

    def compute_key(self, index: int) -> str:
        """Return 32 hex digits that identify the content of the image. Raise ``ImageError``."""

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of the upright image from its header; (0, 0) when it cannot be read."""

    def select(self, indices: NDArray[Any]) -> ImageSource:
        """Return the images at ``indices``, in that order, without reading them."""


@dataclass(frozen=True)
class FileImages:
    """Image files below the folder ``root``; ``names`` are relative paths with '/', and may lead out of it."""

    root: Path
    names: StringColumn
    grey: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def get_name(self, index: int) -> str:
        """Return the path relative to the root, with '/'."""
        return self.names[index]

    def get_path(self, index: int) -> Path:
        """Return the path of the file."""
        return self.root / self.names[index]

    def read_image(self, index: int, min_size: tuple[int, int] | None = None) -> Array:
        """Return the upright image, uint8 RGB (H, W, 3). Raise ``ImageError``."""
        return images.read_image(self._full_path(index), min_size)

    def read_bytes(self, index: int) -> bytes:
        """Return the content of the file. Raise ``ImageError``."""
        return images.read_bytes(self._full_path(index))

    def compute_key(self, index: int) -> str:
        """Return the digest of the file's content, which is read once while it is unchanged. Raise ``ImageError``."""
        return _DIGESTS.get_digest(self._full_path(index), lambda: compute_digest(self.read_bytes(index)))

    def find_known_key(self, index: int) -> str:
        """Return what ``compute_key`` returns where that needs no reading, else nothing."""
        return _DIGESTS.find(self._full_path(index))

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) from the file's header; (0, 0) when it cannot be read."""
        return image_lookup.read_image_size(LocalFolder(self.root), self.names[index])

    def select(self, indices: NDArray[Any]) -> FileImages:
        """Return the images at ``indices``."""
        return FileImages(self.root, self.names.take(indices), self.grey)

    def _full_path(self, index: int) -> str:
        """Return the path as text; building a ``Path`` for each image would take longer."""
        return os.path.join(self.root, self.names[index])


@dataclass(frozen=True)
class TreeImages:
    """Images in an archive or a remote store; each is fetched when it is read."""

    tree: FileTree
    names: StringColumn
    grey: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def get_name(self, index: int) -> str:
        """Return the name in the tree, with '/'."""
        return self.names[index]

    def get_path(self, index: int) -> None:
        """Return ``None``: these images have no files of their own."""

    def read_image(self, index: int, min_size: tuple[int, int] | None = None) -> Array:
        """Return the upright image, uint8 RGB (H, W, 3). Raise ``ImageError``."""
        try:
            return images.decode_image(self.read_bytes(index), min_size)
        except ImageError as error:
            location = f"{self.tree.root}: {self.names[index]}"
            raise ImageError(f"{location}: {error.problem}", error.expected, error.remedy) from error

    def read_bytes(self, index: int) -> bytes:
        """Return the content of the image's file. Raise ``ImageError``."""
        try:
            return self.tree.read(self.names[index])
        except ImageError:
            raise
        except DataError as error:
            raise ImageError(error.problem, error.expected, error.remedy) from error

    def compute_key(self, index: int) -> str:
        """Return the digest of the file's content. Raise ``ImageError``."""
        return compute_digest(self.read_bytes(index))

    def read_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) from the file's header; (0, 0) when it cannot be read."""
        return image_lookup.read_image_size(self.tree, self.names[index])

    def select(self, indices: NDArray[Any]) -> TreeImages:
        """Return the images at ``indices``."""
        return TreeImages(self.tree, self.names.take(indices), self.grey)


@dataclass(frozen=True)
class PixelImages:
    """Grey images held in memory or memory-mapped from a file, as in IDX files.

    ``rows`` int64 (N,) are indices into ``pixels``, so that a selection shares the arrays.
    """

    pixels: PixelBlocks
    names: StringColumn
    rows: NDArray[np.int64]
    grey: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def get_name(self, index: int) -> str:
        """Return the invented name."""
        return self.names[index]

    def get_path(self, index: int) -> None:
        """Return ``None``: these images have no files of their own."""

    def read_image(self, index: int, min_size: tuple[int, int] | None = None) -> Array:
        """Return the image as uint8 RGB (H, W, 3) with three equal channels; ``min_size`` is not used."""
        return np.repeat(self._get_pixels(index)[:, :, None], 3, axis=2)

    def read_bytes(self, index: int) -> bytes:
        """Return the image as a PNG file."""
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
        """Return one image, uint8 (H, W)."""
        return self.pixels[int(self.rows[index])]
