"""Images of a dataset with labels of their parts, read on demand; images that become unreadable are recorded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, RejectedItem
from lince.augmentation.mosaic import LabelledImage
from lince.datasets import Dataset
from lince.datasets.verification import count_tolerated
from lince.errors import DataError, ImageError
from lince.i18n import _


@dataclass(frozen=True, eq=False)
class ImageSamples(ABC):
    """The images of ``dataset`` as samples to learn from.

    ``image_sizes`` (N, 2) are the images' (height, width) in pixels after EXIF rotation; ``unreadable`` fills, by row,
    with the images that could no longer be read.
    """

    dataset: Dataset
    image_sizes: NDArray[np.int64]
    unreadable: dict[int, RejectedItem] = field(default_factory=dict)

    @property
    def classes(self) -> Classes:
        """The classes of the labels."""
        return self.dataset.classes

    @abstractmethod
    def read(self, row: int, min_size: tuple[int, int]) -> LabelledImage:
        """Return the image of ``row`` with its labels, in pixels of the returned image.

        The image may be decoded smaller than it is, but not below ``min_size`` (height, width) unless it is smaller
        itself. Raises ``ImageError`` when it cannot be read.
        """

    def read_or_skip(self, row: int, min_size: tuple[int, int]) -> LabelledImage | None:
        """Return what ``read`` returns, or ``None`` for an image that cannot be read, which is then recorded."""
        try:
            return self.read(row, min_size)
        except ImageError as error:
            name = self.dataset.images.get_name(row)
            self.unreadable[row] = RejectedItem(name, error.problem, error.remedy or error.expected)
            return None

    def require_enough_readable(self) -> None:
        """Raise ``DataError`` when more images than ``count_tolerated``, and more than one, have become unreadable."""
        tolerated = max(1, count_tolerated(len(self.dataset)))
        if len(self.unreadable) <= tolerated:
            return
        listed = "\n".join(f"  {item}" for item in list(self.unreadable.values())[:10])
        raise DataError(
            _("{count:,} images can no longer be read:").format(count=len(self.unreadable)) + f"\n{listed}",
            _("Expected at most {count:,} to become unreadable during training.").format(count=tolerated),
            _("Restore them, then continue with: lince train --resume RUN"),
        )


def read_image_sizes(dataset: Dataset) -> NDArray[np.int64]:
    """Return (height, width) of every image after EXIF rotation, int64 (N, 2), read in parallel.

    Raises ``ImageError`` when one cannot be read.
    """
    with ThreadPoolExecutor() as pool:
        sizes = np.array(list(pool.map(dataset.images.read_size, range(len(dataset)), chunksize=64)), np.int64)
    return sizes.reshape(-1, 2)
