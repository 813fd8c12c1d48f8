"""Images of a detection dataset with their boxes, read on demand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import CROWD, GROUP, ObjectTable
from lince.augmentation.mosaic import LabelledImage
from lince.augmentation.object_masks import Masks, ObjectMask
from lince.datasets import Dataset
from lince.datasets.shape_conversion import polygons_to_masks
from lince.training.image_samples import ImageSamples, read_image_sizes


@dataclass(frozen=True, eq=False)
class DetectionSamples(ImageSamples):
    """Samples with the ``objects`` to train on, which leave out crowds and groups.

    ``with_masks`` reads the objects with their masks, for networks that learn these.
    """

    objects: ObjectTable = field(kw_only=True)
    with_masks: bool = field(default=False, kw_only=True)
    _truths: dict[bytes, ObjectTable] = field(default_factory=dict, kw_only=True)

    @classmethod
    def from_dataset(cls, dataset: Dataset, with_masks: bool = False) -> DetectionSamples:
        """Return the samples of ``dataset``, without crowds and groups: these boxes do not mark one object each.

        Reads the size of every image, in parallel. Raises ``ImageError`` when one cannot be read.
        """
        objects = ObjectTable.empty(len(dataset)) if dataset.objects is None else dataset.objects
        single_objects = objects.filter((objects.flags & (CROWD | GROUP)) == 0)
        return cls(dataset, read_image_sizes(dataset), objects=single_objects, with_masks=with_masks)

    def select_truth(self, rows: NDArray[np.int64]) -> ObjectTable:
        """Return the labelled objects of the images ``rows``, in that order, including crowds and difficult ones.

        With masks, those that have an outline have it as a mask.
        """
        objects = self.dataset.objects
        if objects is None:
            return ObjectTable.empty(len(rows))
        if not self.with_masks:
            return objects.select_images(rows)
        key = rows.tobytes()
        if key not in self._truths:
            sizes = self.image_sizes[rows].astype(np.int32)
            self._truths[key] = polygons_to_masks(objects.select_images(rows), sizes)
        return self._truths[key]

    def read(self, row: int, min_size: tuple[int, int]) -> LabelledImage:
        """Return the image of ``row`` with its boxes, as ``ImageSamples.read`` says."""
        image = self.dataset.images.read_image(row, min_size)
        object_rows = self.objects.slice_of_image(row)
        scale = np.array(image.shape[1::-1]) / np.maximum(self.image_sizes[row][::-1], 1)
        return LabelledImage(
            image,
            self.objects.boxes[object_rows] * np.tile(scale, 2),
            self.objects.class_ids[object_rows],
            masks=self.read_masks(row, scale) if self.with_masks else (),
        )

    def read_masks(self, row: int, scale: NDArray[np.float64]) -> Masks:
        """Return the masks of the objects of the image of ``row``, ``None`` for those that have a box alone.

        ``scale`` (2,) are pixels of the image as it was decoded per pixel of the photo, x and y.
        """
        height, width = self.image_sizes[row].tolist()
        span = self.objects.slice_of_image(row)
        return tuple(self._read_mask(i, (height, width), scale) for i in range(span.start, span.stop))

    def _read_mask(self, index: int, size: tuple[int, int], scale: NDArray[np.float64]) -> ObjectMask | None:
        """Return the mask of the object ``index`` on a photo of ``size``, from its run lengths or its polygon."""
        text, rings = self.objects.masks[index], self.objects.get_polygons(index)
        if text:
            return ObjectMask.from_counts(rle.string_to_counts(text), size, scale)
        return ObjectMask.from_rings(rings, size, scale) if rings else None


def repeat_rare_classes(
    samples: DetectionSamples, rows: NDArray[np.int64], seed: int, min_fraction: float = 0.1
) -> NDArray[np.int64]:
    """Return ``rows`` with images of rare classes repeated: repeat factor sampling (Gupta et al. 2019).

    A class on a fraction f of the images less than ``min_fraction`` gives its images the factor sqrt(min_fraction / f);
    an image takes the largest factor of its classes, at least 1. Fractional factors are rounded at random, once, from
    ``seed``. The order of the rows is kept.
    """
    objects = samples.objects.select_images(rows)
    has_class = np.zeros((len(rows), len(samples.classes)), np.bool_)
    has_class[objects.image_ids, objects.class_ids] = True
    fractions = np.maximum(has_class.mean(axis=0), 1e-9) if len(rows) else np.ones(len(samples.classes))
    factors = np.maximum(np.where(has_class, np.sqrt(min_fraction / fractions), 1.0).max(axis=1, initial=1.0), 1.0)
    repeats = factors.astype(np.int64)
    draws = np.random.default_rng((seed, 7)).random(len(rows))
    return np.asarray(np.repeat(rows, repeats + (draws < factors - repeats)), np.int64)
