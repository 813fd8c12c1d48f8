"""Loads classification batches for training: images decoded, augmented and normalised by threads.

The order of an epoch is a function of (seed, epoch), and what happens to an image of (seed, epoch, row). Batches
therefore depend neither on the number of threads nor on interruptions, and a run resumes in the middle of an epoch
without decoding the batches before. Threads suffice: OpenCV releases Python's global lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.augmentation import Policy, augment, cutmix, mixup
from lince.datasets import Dataset
from lince.preprocess import PreprocessSpec, normalise_images, resize_to_input
from lince.training.classification.labels import ClassLabels
from lince.training.image_labels import ImageLabels, Truth

PREFETCH_BATCHES = 3  # batches prepared while the network works on one


@dataclass(frozen=True)
class ClassificationBatch:
    """Inputs float32 (N, C, H, W), targets float32 (N, K), and the labels as read (N, ...).

    Of one class an image, the rows of the targets sum to 1; the labels are those before mixing.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    labels: Truth

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class ClassificationLoader:
    """Yields the rows ``rows`` (N,) of ``dataset`` as batches.

    With a ``policy`` the rows are shuffled and augmented; with ``None`` they keep their order and are only resized.
    ``mixing`` is ``none``, ``mixup`` or ``cutmix``; ``workers`` is the number of decoding threads;
    ``labels`` are of the kind that targets are made from.
    """

    dataset: Dataset
    rows: NDArray[np.int64]
    spec: PreprocessSpec
    batch_size: int
    seed: int = 0
    policy: Policy | None = None
    mixing: str = "none"
    workers: int = 1
    labels: ImageLabels = field(default_factory=ClassLabels)

    def __len__(self) -> int:
        """The number of batches of an epoch.

        In training a last batch of a single image is dropped, since batch norm needs two, unless it is the only batch.
        """
        return self.compute_batch_sizes().__len__()

    def compute_batch_sizes(self) -> list[int]:
        """Return the number of images in each batch of an epoch."""
        full, rest = divmod(len(self.rows), self.batch_size)
        return [self.batch_size] * full + ([rest] if rest > 1 or (rest and (not full or self.policy is None)) else [])

    def order_rows(self, epoch: int) -> NDArray[np.int64]:
        """Return the rows in the order of ``epoch``; unchanged without a policy."""
        if self.policy is None:
            return self.rows
        return np.asarray(np.random.default_rng((self.seed, epoch)).permutation(self.rows))

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[ClassificationBatch]:
        """Yield the batches of ``epoch`` (from 0), starting with batch number ``first_batch`` (from 0).

        Raises ``ImageError`` when an image can no longer be read.
        """
        order = self.order_rows(epoch)
        count = len(self)
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            pending: deque[list[Future[NDArray[np.uint8]]]] = deque()
            for number in range(first_batch, count):
                while len(pending) < PREFETCH_BATCHES and number + len(pending) < count:
                    batch_rows = self._slice_rows(order, number + len(pending))
                    pending.append([pool.submit(self._load_image, epoch, int(row)) for row in batch_rows])
                yield self._collate(epoch, number, self._slice_rows(order, number), pending.popleft())

    def _slice_rows(self, order: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        """Return the rows of batch ``number`` in the epoch's ``order``."""
        return order[number * self.batch_size : (number + 1) * self.batch_size]

    def _load_image(self, epoch: int, row: int) -> NDArray[np.uint8]:
        """Return the image of ``row`` at the input's size, uint8 (H, W, 3), augmented where there is a policy."""
        image = self.dataset.images.read_image(row, (self.spec.height, self.spec.width))
        if self.policy is None:
            return resize_to_input(image, self.spec)
        return augment(image, self.policy, np.random.default_rng((self.seed, epoch, row)), self.spec).image

    def _collate(
        self, epoch: int, number: int, rows: NDArray[np.int64], images: list[Future[NDArray[np.uint8]]]
    ) -> ClassificationBatch:
        """Return the decoded ``images`` as batch ``number``: normalised, with its targets, mixed if configured."""
        inputs = normalise_images([image.result() for image in images], self.spec)
        labels = self.labels.read_truth(self.dataset, rows)
        targets = self.labels.make_targets(labels, len(self.dataset.classes))
        if self.mixing != "none":
            rng = np.random.default_rng((self.seed, epoch, number, 1))
            blend = mixup if self.mixing == "mixup" else cutmix
            inputs, targets = blend(inputs, targets, rng)
        return ClassificationBatch(inputs, targets, labels)
