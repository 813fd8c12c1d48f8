"""Loads batches of images with labels of their parts, augmented and mixed by threads while the network works.

All randomness is a function of (seed, epoch, position in the epoch), so batches depend neither on the number of threads
nor on the step at which a training resumes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lince.augmentation import Policy, augment
from lince.augmentation.mosaic import MOSAIC_IMAGES, LabelledImage, mixup_images, mosaic
from lince.augmentation.object_masks import move_masks
from lince.augmentation.operations import GEOMETRY
from lince.augmentation.warp import warp_class_map
from lince.i18n import _
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, Progress
from lince.training.image_samples import ImageSamples

PREFETCH_BATCHES = 3  # batches prepared while the network works on one
SIZE_STEP = 32  # pixels between the sizes of multi-scale training
MAX_ENLARGEMENT = 1.5  # the largest factor by which a mosaic enlarges an image
S = TypeVar("S", bound=ImageSamples)
B = TypeVar("B")


@dataclass(frozen=True)
class TrainingAugmentation:
    """How training images are augmented and mixed.

    ``policy`` applies to single images. ``mosaic_probability`` and ``mixup_probability`` are fractions of the images,
    in [0, 1]; a mixup is added to a mosaic. From epoch ``mixing_off_epoch`` (from 0) on there is neither. In
    multi-scale training the input's side varies from batch to batch by up to the fraction ``scale_range`` of it, in
    steps of ``SIZE_STEP`` pixels.
    """

    policy: Policy
    mosaic_probability: float = 0.0
    mixup_probability: float = 0.0
    mixing_off_epoch: int = 0
    scale_range: float = 0.0

    @property
    def colour_policy(self) -> Policy:
        """The policy without its geometric operations, for mosaics, which have their own geometry."""
        return replace(self.policy, steps=tuple(step for step in self.policy if step.operation.group != GEOMETRY))


@dataclass(frozen=True)
class AugmentedLoader(ABC, Generic[S, B]):
    """Yields the rows ``rows`` (N,) of ``samples`` as batches.

    With an ``augmentation`` the rows are shuffled, augmented and mixed; with ``None`` they keep their order and are
    only resized. ``workers`` is the number of decoding threads; ``progress`` receives messages about unreadable images.
    """

    samples: S
    rows: NDArray[np.int64]
    spec: PreprocessSpec
    batch_size: int
    seed: int = 0
    augmentation: TrainingAugmentation | None = None
    workers: int = 1
    progress: Progress = SILENT

    def __len__(self) -> int:
        """The number of batches of an epoch.

        In training a last batch of a single image is dropped, since batch norm needs two, unless it is the only batch.
        """
        full, rest = divmod(len(self.rows), self.batch_size)
        return full + int(rest > 1 or (rest == 1 and (not full or self.augmentation is None)))

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[B]:
        """Yield the batches of ``epoch`` (from 0), starting with batch number ``first_batch`` (from 0).

        In training an image that can no longer be read is dropped from its batch and reported; raises ``DataError``
        when there are too many of them. Without augmentation, as in evaluation, raises ``ImageError`` at the first one.
        """
        order, reported_count = self._order_rows(epoch), len(self.samples.unreadable)
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            pending: deque[tuple[PreprocessSpec, list[Future[LabelledImage | None]]]] = deque()
            for number in range(first_batch, len(self)):
                while len(pending) < PREFETCH_BATCHES and number + len(pending) < len(self):
                    pending.append(self._submit_batch(pool, order, epoch, number + len(pending)))
                spec, futures = pending.popleft()
                images = [image for future in futures if (image := future.result()) is not None]
                reported_count = self._report_unreadable(reported_count)
                if images:
                    yield self.collate(images, spec)

    def load_example(self, number: int) -> LabelledImage | None:
        """Return the image at position ``number`` of the first epoch as the network gets it.

        Positions beyond the number of rows start again; returns ``None`` when the image is unreadable.
        """
        return self._load_image(int(self._order_rows(0)[number % len(self.rows)]), self.spec, 0, number)

    def get_batch_spec(self, epoch: int, number: int) -> PreprocessSpec:
        """Return the input spec of batch ``number``; in multi-scale training its size varies from batch to batch."""
        if self.augmentation is None or not self.augmentation.scale_range:
            return self.spec
        max_steps = int(self.augmentation.scale_range * min(self.spec.height, self.spec.width) / SIZE_STEP)
        offset = SIZE_STEP * int(
            np.random.default_rng((self.seed, epoch, number, 2)).integers(-max_steps, max_steps + 1)
        )
        return replace(self.spec, height=self.spec.height + offset, width=self.spec.width + offset)

    def _order_rows(self, epoch: int) -> NDArray[np.int64]:
        """Return the rows in the order of ``epoch``; unchanged without augmentation."""
        if self.augmentation is None:
            return self.rows
        return np.asarray(np.random.default_rng((self.seed, epoch)).permutation(self.rows))

    def _submit_batch(
        self, pool: ThreadPoolExecutor, order: NDArray[np.int64], epoch: int, number: int
    ) -> tuple[PreprocessSpec, list[Future[LabelledImage | None]]]:
        """Start decoding batch ``number``; return its input spec and one future per image."""
        spec = self.get_batch_spec(epoch, number)
        positions = range(number * self.batch_size, min((number + 1) * self.batch_size, len(order)))
        return spec, [
            pool.submit(self._load_image, int(order[position]), spec, epoch, position) for position in positions
        ]

    def _load_image(self, row: int, spec: PreprocessSpec, epoch: int, position: int) -> LabelledImage | None:
        """Return the image of ``row`` with its labels in input pixels; ``position`` is its place in the epoch."""
        if self.augmentation is None:
            return fit_labelled_image(self.samples.read(row, (spec.height, spec.width)), spec)
        return self._load_augmented(self.augmentation, row, spec, epoch, position)

    def _load_augmented(
        self, augmentation: TrainingAugmentation, row: int, spec: PreprocessSpec, epoch: int, position: int
    ) -> LabelledImage | None:
        """Return the image of ``row`` augmented: alone, or as a mosaic with random other images, perhaps with mixup.

        Returns ``None`` when a single image is unreadable; unreadable parts of a mosaic are replaced by grey.
        """
        rng = np.random.default_rng((self.seed, epoch, position, 3))
        draws, other_rows = rng.random(2), rng.choice(self.rows, MOSAIC_IMAGES)
        if epoch >= augmentation.mixing_off_epoch or draws[0] >= augmentation.mosaic_probability:
            image = self.samples.read_or_skip(row, (spec.height, spec.width))
            return None if image is None else _augment_labelled(image, augmentation.policy, rng, spec)
        min_size = (int(MAX_ENLARGEMENT * spec.height), int(MAX_ENLARGEMENT * spec.width))
        parts = [
            self.samples.read_or_skip(int(part_row), min_size) for part_row in (row, *other_rows[: MOSAIC_IMAGES - 1])
        ]
        may_flip = any(step.name == "flip_x" for step in augmentation.policy)
        mixed = mosaic([part or _make_blank_image() for part in parts], rng, spec, may_flip)
        mixup_part = (
            self.samples.read_or_skip(int(other_rows[-1]), min_size)
            if draws[1] < augmentation.mixup_probability
            else None
        )
        if mixup_part is not None:
            mixed = mixup_images(mixed, mixup_part, rng, spec, may_flip)
        return _augment_labelled(mixed, augmentation.colour_policy, rng, spec)

    def _report_unreadable(self, reported_count: int) -> int:
        """Report the images that became unreadable since ``reported_count``; return how many there are now.

        Raises ``DataError`` when there are too many.
        """
        rejected = list(self.samples.unreadable.values())
        for item in rejected[reported_count:]:
            self.progress.show_message(_("No longer readable, skipped: {what}").format(what=item))
        if len(rejected) > reported_count:
            self.samples.require_enough_readable()
        return len(rejected)

    @abstractmethod
    def collate(self, images: Sequence[LabelledImage], spec: PreprocessSpec) -> B:
        """Return ``images``, all of the size of ``spec``, as a batch."""


def fit_labelled_image(image: LabelledImage, spec: PreprocessSpec) -> LabelledImage:
    """Return ``image`` resized to the network's input without augmentation, its labels in input pixels."""
    return _augment_labelled(image, Policy(), np.random.default_rng(0), spec)


def _augment_labelled(
    image: LabelledImage, policy: Policy, rng: np.random.Generator, spec: PreprocessSpec
) -> LabelledImage:
    """Return ``image`` augmented by ``policy`` and resized to ``spec``; objects that leave the image are dropped."""
    augmented = augment(image.image, policy, rng, spec, image.boxes)
    class_map = image.class_map
    if class_map is not None:
        class_map = warp_class_map(class_map, augmented.matrix, (spec.height, spec.width))
    masks = move_masks(image.masks, augmented.kept, augmented.matrix)
    return LabelledImage(augmented.image, augmented.boxes, image.class_ids[augmented.kept], class_map, masks)


def _make_blank_image() -> LabelledImage:
    """Return the replacement for an unreadable part of a mosaic: one grey pixel without labels."""
    return LabelledImage(np.full((1, 1, 3), 114, np.uint8), np.empty((0, 4)), np.empty(0, np.int32))
