"""Batches of images with boxes, prepared ahead by threads while the network works.

All chance is a function of (seed, epoch, place in the epoch), so that the same batches come whatever the number of
threads, and from whatever step a training goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince.augmentation import Policy, augment
from lince.augmentation.mosaic import MOSAIC_IMAGES, LabelledImage, mixup_images, mosaic
from lince.augmentation.operations import GEOMETRY
from lince.i18n import _
from lince.preprocess import PreprocessSpec, normalise_images
from lince.progress import SILENT, Progress
from lince.training.detection.samples import DetectionSamples

PREFETCH_BATCHES = 3  # batches prepared while the network works on one
SIZE_STEP = 32  # pixels between the sizes of multi-scale training
MAX_ENLARGEMENT = 1.5  # the most that a mosaic enlarges a photo

DetectionTarget = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class DetectionBatch:
    """Inputs float32 (N, C, H, W), and for each image its boxes float32 (K, 4) in pixels of the input and class ids."""

    inputs: NDArray[np.float32]
    targets: tuple[DetectionTarget, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class DetectionAugmentation:
    """How training images are altered: by ``policy``; ``mosaic`` and ``mixup`` are shares of the images, in [0, 1].

    From epoch ``plain_from`` on images are no longer mixed. The input's side varies from step to step by up to
    ``scales``, a share of it, in steps of 32 pixels.
    """

    policy: Policy
    mosaic_probability: float = 0.0
    mixup_probability: float = 0.0
    mixing_off_epoch: int = 0
    scale_range: float = 0.0

    @property
    def colour_policy(self) -> Policy:
        """The policy without its geometry: a mosaic has its own."""
        return replace(self.policy, steps=tuple(one for one in self.policy if one.operation.group != GEOMETRY))


@dataclass(frozen=True)
class DetectionLoader:
    """How ``rows`` (N,) of ``samples`` become batches; ``mixing`` ``None`` leaves images as they are, in order."""

    samples: DetectionSamples
    rows: NDArray[np.int64]
    spec: PreprocessSpec
    batch_size: int
    seed: int = 0
    augmentation: DetectionAugmentation | None = None
    workers: int = 1
    progress: Progress = SILENT

    def __len__(self) -> int:
        """The number of batches of an epoch; training leaves out a last one of a single image."""
        full, rest = divmod(len(self.rows), self.batch_size)
        return full + int(rest > 1 or (rest == 1 and (not full or self.augmentation is None)))

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[DetectionBatch]:
        """Yield the batches of ``epoch`` from number ``first`` on.

        An image that can no longer be read is left out of its batch and named; raises ``DataError`` when there are too
        many of them, and ``ImageError`` at the first where images are not mixed, as those are for judging.
        """
        order, known = self._order_rows(epoch), len(self.samples.unreadable)
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            ahead: deque[tuple[PreprocessSpec, list[Future[LabelledImage | None]]]] = deque()
            for number in range(first_batch, len(self)):
                while len(ahead) < PREFETCH_BATCHES and number + len(ahead) < len(self):
                    ahead.append(self._submit_batch(pool, order, epoch, number + len(ahead)))
                spec, futures = ahead.popleft()
                found = [one for future in futures if (one := future.result()) is not None]
                known = self._report_unreadable(known)
                if found:
                    yield _collate(found, spec)

    def load_example(self, number: int) -> LabelledImage | None:
        """Return the image at ``number`` of the first epoch, as the network gets it; ``None`` if it vanished."""
        return self._load_image(int(self._order_rows(0)[number % len(self.rows)]), self.spec, 0, number)

    def get_batch_spec(self, epoch: int, number: int) -> PreprocessSpec:
        """Return the input of batch ``number``: of another size every time where there are several."""
        if self.augmentation is None or not self.augmentation.scale_range:
            return self.spec
        most = int(self.augmentation.scale_range * min(self.spec.height, self.spec.width) / SIZE_STEP)
        more = SIZE_STEP * int(np.random.default_rng((self.seed, epoch, number, 2)).integers(-most, most + 1))
        return replace(self.spec, height=self.spec.height + more, width=self.spec.width + more)

    def _order_rows(self, epoch: int) -> NDArray[np.int64]:
        if self.augmentation is None:
            return self.rows
        return np.asarray(np.random.default_rng((self.seed, epoch)).permutation(self.rows))

    def _submit_batch(
        self, pool: ThreadPoolExecutor, order: NDArray[np.int64], epoch: int, number: int
    ) -> tuple[PreprocessSpec, list[Future[LabelledImage | None]]]:
        spec = self.get_batch_spec(epoch, number)
        places = range(number * self.batch_size, min((number + 1) * self.batch_size, len(order)))
        return spec, [pool.submit(self._load_image, int(order[at]), spec, epoch, at) for at in places]

    def _load_image(self, row: int, spec: PreprocessSpec, epoch: int, place: int) -> LabelledImage | None:
        if self.augmentation is None:
            return fit_labelled_image(self.samples.read(row, (spec.height, spec.width)), spec)
        return self._load_augmented(self.augmentation, row, spec, epoch, place)

    def _load_augmented(
        self, mixing: DetectionAugmentation, row: int, spec: PreprocessSpec, epoch: int, place: int
    ) -> LabelledImage | None:
        rng = np.random.default_rng((self.seed, epoch, place, 3))
        luck, others = rng.random(2), rng.choice(self.rows, MOSAIC_IMAGES)
        if epoch >= mixing.mixing_off_epoch or luck[0] >= mixing.mosaic_probability:
            photo = self.samples.read_or_skip(row, (spec.height, spec.width))
            return None if photo is None else _augment_labelled(photo, mixing.policy, rng, spec)
        wanted = (int(MAX_ENLARGEMENT * spec.height), int(MAX_ENLARGEMENT * spec.width))
        parts = [self.samples.read_or_skip(int(one), wanted) for one in (row, *others[: MOSAIC_IMAGES - 1])]
        mirror = any(step.name == "flip_x" for step in mixing.policy)
        made = mosaic([part or _make_blank_image() for part in parts], rng, spec, mirror)
        other = self.samples.read_or_skip(int(others[-1]), wanted) if luck[1] < mixing.mixup_probability else None
        if other is not None:
            made = mixup_images(made, other, rng, spec, mirror)
        return _augment_labelled(made, mixing.colour_policy, rng, spec)

    def _report_unreadable(self, known: int) -> int:
        lost = list(self.samples.unreadable.values())
        for refusal in lost[known:]:
            self.progress.show_message(_("No longer readable, and left out: {what}").format(what=refusal))
        if len(lost) > known:
            self.samples.require_enough_readable()
        return len(lost)


def fit_labelled_image(photo: LabelledImage, spec: PreprocessSpec) -> LabelledImage:
    """Return ``photo`` as the network sees it, unaltered, with its boxes in pixels of the input."""
    seen = augment(photo.image, Policy(), np.random.default_rng(0), spec, photo.boxes)
    return LabelledImage(seen.image, seen.boxes, photo.class_ids[seen.kept])


def _augment_labelled(
    photo: LabelledImage, policy: Policy, rng: np.random.Generator, spec: PreprocessSpec
) -> LabelledImage:
    seen = augment(photo.image, policy, rng, spec, photo.boxes)
    return LabelledImage(seen.image, seen.boxes, photo.class_ids[seen.kept])


def _make_blank_image() -> LabelledImage:
    """Return what stands for a part of a mosaic that vanished: one grey pixel."""
    return LabelledImage(np.full((1, 1, 3), 114, np.uint8), np.empty((0, 4)), np.empty(0, np.int32))


def _collate(found: Sequence[LabelledImage], spec: PreprocessSpec) -> DetectionBatch:
    inputs = normalise_images([one.image for one in found], spec)
    return DetectionBatch(
        inputs, tuple((one.boxes.astype(np.float32), one.class_ids.astype(np.int64)) for one in found)
    )
