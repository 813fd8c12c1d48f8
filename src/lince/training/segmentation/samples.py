"""Images of a segmentation dataset with their class maps, read and drawn on demand."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.augmentation.apply import augment_class_map
from lince.augmentation.mosaic import LabelledImage
from lince.class_maps import ClassMap, draw_class_map, resize_class_map
from lince.datasets import Dataset
from lince.errors import DataError
from lince.training.feature_maps import CachedFeatureMaps
from lince.training.image_samples import ImageSamples, read_image_sizes

_MAX_KEPT_BYTES = 256 << 20  # of compressed class maps of views


@dataclass(frozen=True, eq=False)
class SegmentationSamples(ImageSamples):
    """Samples whose labels are class maps, drawn from the objects and the void pixels of the dataset."""

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> SegmentationSamples:
        """Return the samples of ``dataset``.

        Reads the size of every image, in parallel. Raises ``ImageError`` when one cannot be read.
        """
        return cls(dataset, read_image_sizes(dataset))

    def draw_class_map(self, row: int) -> ClassMap:
        """Return the class map, uint8 (H, W), of the image of ``row`` at its own size.

        Raises ``DataError`` when a mask has another size.
        """
        dataset, size = self.dataset, (int(self.image_sizes[row][0]), int(self.image_sizes[row][1]))
        void = "" if dataset.void_masks is None else dataset.void_masks[row]
        try:
            return draw_class_map(dataset.objects, row, size, void)
        except DataError as error:
            name = dataset.images.get_name(row)
            raise DataError(f"{name}: {error.problem}", error.expected, error.remedy) from error

    def read(self, row: int, min_size: tuple[int, int]) -> LabelledImage:
        """Return the image of ``row`` with its class map, as ``ImageSamples.read`` says."""
        image = self.dataset.images.read_image(row, min_size)
        class_map = resize_class_map(self.draw_class_map(row), (image.shape[0], image.shape[1]))
        return LabelledImage(image, np.empty((0, 4)), np.empty(0, np.int32), class_map)


@dataclass(frozen=True, eq=False)
class SegmentationViews:
    """The class maps of the views of ``samples`` whose feature maps are in ``feature_maps``.

    Each is drawn once and then kept, compressed, as long as all of them need little memory.
    """

    samples: SegmentationSamples
    feature_maps: CachedFeatureMaps
    _kept: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _kept_bytes: list[int] = field(default_factory=lambda: [0])

    def make_target(self, row: int, view: int) -> NDArray[np.uint8]:
        """Return the class map, uint8 (height, width) of the input, of ``view`` of the image of ``row``.

        It undergoes the same random geometry as the view; what lies outside of the image is void.
        """
        store = self.feature_maps.store
        size = (store.spec.height, store.spec.width)
        kept = self._kept.get((row, view))
        if kept is not None:
            return np.frombuffer(zlib.decompress(kept), np.uint8).reshape(size)
        rng = store.make_rng(self.feature_maps.keys[row], view)
        class_map = augment_class_map(self.samples.draw_class_map(row), store.get_view_policy(view), rng, store.spec)
        if self._kept_bytes[0] < _MAX_KEPT_BYTES:
            self._kept[row, view] = zlib.compress(class_map.tobytes(), 1)
            self._kept_bytes[0] += len(self._kept[row, view])
        return class_map
