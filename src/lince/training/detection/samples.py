"""The images of a dataset with the boxes to be learnt, read when asked for; what vanished meanwhile is named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.annotations import CROWD, GROUP, Classes, ObjectTable, RejectedItem
from lince.augmentation.mosaic import LabelledImage
from lince.datasets import Dataset
from lince.errors import DataError, ImageError
from lince.i18n import _

MAX_UNREADABLE_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class DetectionSamples:
    """A ``dataset`` that marks objects, with the upright ``sizes`` (N, 2), height and width, of its images.

    ``lost`` fills with the images that could no longer be read, by row.
    """

    dataset: Dataset
    objects: ObjectTable
    image_sizes: NDArray[np.int64]
    unreadable: dict[int, RejectedItem] = field(default_factory=dict)

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> DetectionSamples:
        """Return the samples of ``dataset``: without its crowds and groups, which are not one object each."""
        objects = ObjectTable.empty(len(dataset)) if dataset.objects is None else dataset.objects
        single = objects.filter((objects.flags & (CROWD | GROUP)) == 0)
        with ThreadPoolExecutor() as pool:
            sizes = np.array(list(pool.map(dataset.images.read_size, range(len(dataset)), chunksize=64)), np.int64)
        return cls(dataset, single, sizes.reshape(-1, 2))

    @property
    def classes(self) -> Classes:
        """The classes of the boxes."""
        return self.dataset.classes

    def read(self, row: int, at_least: tuple[int, int]) -> LabelledImage:
        """Return the image of ``row``, as large as (height, width) at least if it is, with its boxes in its pixels.

        Raises ``ImageError`` when it cannot be read.
        """
        image = self.dataset.images.read_image(row, at_least)
        span = self.objects.slice_of_image(row)
        scale = np.array(image.shape[1::-1]) / np.maximum(self.image_sizes[row][::-1], 1)
        return LabelledImage(image, self.objects.boxes[span] * np.tile(scale, 2), self.objects.class_ids[span])

    def read_or_skip(self, row: int, at_least: tuple[int, int]) -> LabelledImage | None:
        """Return what ``read`` does, or ``None`` for an image that vanished since training began, which is recorded."""
        try:
            return self.read(row, at_least)
        except ImageError as error:
            name = self.dataset.images.get_name(row)
            self.unreadable[row] = RejectedItem(name, error.problem, error.remedy or error.expected)
            return None

    def require_enough_readable(self) -> None:
        """Raise ``DataError`` when more than 1 % of the images have vanished."""
        if len(self.unreadable) <= max(1.0, MAX_UNREADABLE_SHARE * len(self.dataset)):
            return
        listed = "\n".join(f"  {refusal}" for refusal in list(self.unreadable.values())[:10])
        raise DataError(
            _("{count:,} images can no longer be read:").format(count=len(self.unreadable)) + f"\n{listed}",
            _("Expected at most {share:.0%} to vanish while training.").format(share=MAX_UNREADABLE_SHARE),
            _("Bring them back, then go on with: lince train --resume RUN"),
        )


def repeat_rare_classes(
    samples: DetectionSamples, rows: NDArray[np.int64], seed: int, share: float = 0.1
) -> NDArray[np.int64]:
    """Return ``rows`` with those repeated that show rare classes: repeat factor sampling (Gupta et al. 2019).

    A class on less than ``share`` of the images has its images seen more often, by the root of what it lacks; parts of
    a repeat are drawn once, from ``seed``.
    """
    objects = samples.objects.select_images(rows)
    shown = np.zeros((len(rows), len(samples.classes)), np.bool_)
    shown[objects.image_ids, objects.class_ids] = True
    often = np.maximum(shown.mean(axis=0), 1e-9) if len(rows) else np.ones(len(samples.classes))
    factors = np.maximum(np.where(shown, np.sqrt(share / often), 1.0).max(axis=1, initial=1.0), 1.0)
    whole = factors.astype(np.int64)
    luck = np.random.default_rng((seed, 7)).random(len(rows))
    return np.asarray(np.repeat(rows, whole + (luck < factors - whole)), np.int64)
