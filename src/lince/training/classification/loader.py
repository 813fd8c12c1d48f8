"""Batches for training: decoded, augmented and normalised by threads, in an order that is a function of the seed.

The order of an epoch depends on (seed, epoch) alone, and what happens to an image on (seed, epoch, its row) alone.
So neither the number of threads nor an interruption changes a batch, and a run resumes in the middle of an epoch
without decoding what came before. Threads suffice: OpenCV works outside Python's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.augmentation import Policy, augment, cutmix, mixup
from lince.datasets import Dataset
from lince.preprocess import PreprocessSpec, normalise_images, resize_to_input

PREFETCH_BATCHES = 3  # batches prepared while the network works on one


@dataclass(frozen=True)
class ClassificationBatch:
    """Inputs float32 (N, C, H, W), soft targets float32 (N, K) that sum to 1, and class ids int64 (N,)."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ClassificationLoader:
    """How the rows ``rows`` (N,) of ``dataset`` become batches; ``policy`` ``None`` leaves images as they are."""

    dataset: Dataset
    rows: NDArray[np.int64]
    spec: PreprocessSpec
    batch_size: int
    seed: int = 0
    policy: Policy | None = None
    mixing: str = "none"
    workers: int = 1

    def __len__(self) -> int:
        """The number of batches of an epoch; training leaves out a last one of a single image."""
        return self.compute_batch_sizes().__len__()

    def compute_batch_sizes(self) -> list[int]:
        """Return how many images each batch of an epoch holds."""
        full, rest = divmod(len(self.rows), self.batch_size)
        return [self.batch_size] * full + ([rest] if rest > 1 or (rest and (not full or self.policy is None)) else [])

    def order_rows(self, epoch: int) -> NDArray[np.int64]:
        """Return the rows in the order of ``epoch``; without a policy, as they stand."""
        if self.policy is None:
            return self.rows
        return np.asarray(np.random.default_rng((self.seed, epoch)).permutation(self.rows))

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[ClassificationBatch]:
        """Yield the batches of ``epoch`` from number ``first`` on."""
        order = self.order_rows(epoch)
        count = len(self)
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            ahead: deque[list[Future[NDArray[np.uint8]]]] = deque()
            for number in range(first_batch, count):
                while len(ahead) < PREFETCH_BATCHES and number + len(ahead) < count:
                    part = self._slice_rows(order, number + len(ahead))
                    ahead.append([pool.submit(self._load_image, epoch, int(row)) for row in part])
                yield self._collate(epoch, number, self._slice_rows(order, number), ahead.popleft())

    def _slice_rows(self, order: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        return order[number * self.batch_size : (number + 1) * self.batch_size]

    def _load_image(self, epoch: int, row: int) -> NDArray[np.uint8]:
        image = self.dataset.images.read_image(row, (self.spec.height, self.spec.width))
        if self.policy is None:
            return resize_to_input(image, self.spec)
        return augment(image, self.policy, np.random.default_rng((self.seed, epoch, row)), self.spec).image

    def _collate(
        self, epoch: int, number: int, rows: NDArray[np.int64], images: list[Future[NDArray[np.uint8]]]
    ) -> ClassificationBatch:
        inputs = normalise_images([image.result() for image in images], self.spec)
        labels = self.dataset.class_ids[rows].astype(np.int64)
        targets = np.zeros((len(labels), len(self.dataset.classes)), np.float32)
        targets[np.arange(len(labels)), labels] = 1.0
        if self.mixing != "none":
            rng = np.random.default_rng((self.seed, epoch, number, 1))
            blend = mixup if self.mixing == "mixup" else cutmix
            inputs, targets = blend(inputs, targets, rng)
        return ClassificationBatch(inputs, targets, labels)
