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
from lince.augmentation.mosaic import PARTS, Labelled, blend, mosaic
from lince.augmentation.operations import GEOMETRY
from lince.messages import _
from lince.preprocess import Preprocess, normalise
from lince.progress import SILENT, Progress
from lince.training.detection.samples import Samples

AHEAD = 3  # batches prepared while the network works on one
STEP = 32  # pixels between the sizes of multi-scale training
ENLARGED = 1.5  # the most that a mosaic enlarges a photo

Target = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Batch:
    """Inputs float32 (N, C, H, W), and for each image its boxes float32 (K, 4) in pixels of the input and class ids."""

    inputs: NDArray[np.float32]
    targets: tuple[Target, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Mixing:
    """How training images are altered: by ``policy``; ``mosaic`` and ``mixup`` are shares of the images, in [0, 1].

    From epoch ``plain_from`` on images are no longer mixed. The input's side varies from step to step by up to
    ``scales``, a share of it, in steps of 32 pixels.
    """

    policy: Policy
    mosaic: float = 0.0
    mixup: float = 0.0
    plain_from: int = 0
    scales: float = 0.0

    @property
    def colours(self) -> Policy:
        """The policy without its geometry: a mosaic has its own."""
        return replace(self.policy, steps=tuple(one for one in self.policy if one.operation.group != GEOMETRY))


@dataclass(frozen=True)
class Loader:
    """How ``rows`` (N,) of ``samples`` become batches; ``mixing`` ``None`` leaves images as they are, in order."""

    samples: Samples
    rows: NDArray[np.int64]
    spec: Preprocess
    batch: int
    seed: int = 0
    mixing: Mixing | None = None
    workers: int = 1
    progress: Progress = SILENT

    def __len__(self) -> int:
        """The number of batches of an epoch; training leaves out a last one of a single image."""
        full, rest = divmod(len(self.rows), self.batch)
        return full + int(rest > 1 or (rest == 1 and (not full or self.mixing is None)))

    def batches(self, epoch: int = 0, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` from number ``first`` on.

        An image that can no longer be read is left out of its batch and named; raises ``DataError`` when there are too
        many of them, and ``ImageError`` at the first where images are not mixed, as those are for judging.
        """
        order, known = self._order(epoch), len(self.samples.lost)
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            ahead: deque[tuple[Preprocess, list[Future[Labelled | None]]]] = deque()
            for number in range(first, len(self)):
                while len(ahead) < AHEAD and number + len(ahead) < len(self):
                    ahead.append(self._submit(pool, order, epoch, number + len(ahead)))
                spec, futures = ahead.popleft()
                found = [one for future in futures if (one := future.result()) is not None]
                known = self._tell(known)
                if found:
                    yield _collate(found, spec)

    def example(self, number: int) -> Labelled | None:
        """Return the image at ``number`` of the first epoch, as the network gets it; ``None`` if it vanished."""
        return self._example(int(self._order(0)[number % len(self.rows)]), self.spec, 0, number)

    def spec_of(self, epoch: int, number: int) -> Preprocess:
        """Return the input of batch ``number``: of another size every time where there are several."""
        if self.mixing is None or not self.mixing.scales:
            return self.spec
        most = int(self.mixing.scales * min(self.spec.height, self.spec.width) / STEP)
        more = STEP * int(np.random.default_rng((self.seed, epoch, number, 2)).integers(-most, most + 1))
        return replace(self.spec, height=self.spec.height + more, width=self.spec.width + more)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if self.mixing is None:
            return self.rows
        return np.asarray(np.random.default_rng((self.seed, epoch)).permutation(self.rows))

    def _submit(
        self, pool: ThreadPoolExecutor, order: NDArray[np.int64], epoch: int, number: int
    ) -> tuple[Preprocess, list[Future[Labelled | None]]]:
        spec = self.spec_of(epoch, number)
        places = range(number * self.batch, min((number + 1) * self.batch, len(order)))
        return spec, [pool.submit(self._example, int(order[at]), spec, epoch, at) for at in places]

    def _example(self, row: int, spec: Preprocess, epoch: int, place: int) -> Labelled | None:
        if self.mixing is None:
            return fitted(self.samples.read(row, (spec.height, spec.width)), spec)
        return self._mixed(self.mixing, row, spec, epoch, place)

    def _mixed(self, mixing: Mixing, row: int, spec: Preprocess, epoch: int, place: int) -> Labelled | None:
        rng = np.random.default_rng((self.seed, epoch, place, 3))
        luck, others = rng.random(2), rng.choice(self.rows, PARTS)
        if epoch >= mixing.plain_from or luck[0] >= mixing.mosaic:
            photo = self.samples.read_or_lose(row, (spec.height, spec.width))
            return None if photo is None else _altered(photo, mixing.policy, rng, spec)
        wanted = (int(ENLARGED * spec.height), int(ENLARGED * spec.width))
        parts = [self.samples.read_or_lose(int(one), wanted) for one in (row, *others[: PARTS - 1])]
        mirror = any(step.name == "flip_x" for step in mixing.policy)
        made = mosaic([part or _nothing() for part in parts], rng, spec, mirror)
        other = self.samples.read_or_lose(int(others[-1]), wanted) if luck[1] < mixing.mixup else None
        if other is not None:
            made = blend(made, other, rng, spec, mirror)
        return _altered(made, mixing.colours, rng, spec)

    def _tell(self, known: int) -> int:
        lost = list(self.samples.lost.values())
        for refusal in lost[known:]:
            self.progress.say(_("No longer readable, and left out: {what}").format(what=refusal))
        if len(lost) > known:
            self.samples.require_enough()
        return len(lost)


def fitted(photo: Labelled, spec: Preprocess) -> Labelled:
    """Return ``photo`` as the network sees it, unaltered, with its boxes in pixels of the input."""
    seen = augment(photo.image, Policy(), np.random.default_rng(0), spec, photo.boxes)
    return Labelled(seen.image, seen.boxes, photo.class_ids[seen.kept])


def _altered(photo: Labelled, policy: Policy, rng: np.random.Generator, spec: Preprocess) -> Labelled:
    seen = augment(photo.image, policy, rng, spec, photo.boxes)
    return Labelled(seen.image, seen.boxes, photo.class_ids[seen.kept])


def _nothing() -> Labelled:
    """Return what stands for a part of a mosaic that vanished: one grey pixel."""
    return Labelled(np.full((1, 1, 3), 114, np.uint8), np.empty((0, 4)), np.empty(0, np.int32))


def _collate(found: Sequence[Labelled], spec: Preprocess) -> Batch:
    inputs = normalise([one.image for one in found], spec)
    return Batch(inputs, tuple((one.boxes.astype(np.float32), one.class_ids.astype(np.int64)) for one in found))
