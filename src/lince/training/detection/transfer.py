"""The recipe ``transfer`` for detectors: all below the head stays, so its maps are computed once; the head learns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lince import files
from lince.annotations import Detections
from lince.augmentation import Policy
from lince.exporting.onnx import export_maps
from lince.messages import _
from lince.models.detector import Detector
from lince.models.sources import Source
from lince.training import learning
from lince.training.detection import plans
from lince.training.detection.finding import judged, on, read, summed, told
from lince.training.detection.loader import Loader, Mixing, Target
from lince.training.detection.maps import MapStore, Seen, compute
from lince.training.detection.recipes import JUDGED, Trained, built
from lince.training.detection.samples import Samples, balanced
from lince.training.job import Job
from lince.training.learning import Machine
from lince.training.loop import Course
from lince.training.plan import Plan

MOST_VIEWS = 4
MOST_BYTES = 2 << 30  # of maps, above which fewer views are kept
VERSION = 1


@dataclass(frozen=True)
class Batch:
    """Maps of N images, float16 (N, C, H, W) each, and their targets as the trainer of images has them."""

    maps: tuple[NDArray[np.float16], ...]
    targets: tuple[Target, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class MapLoader:
    """The maps of ``rows`` as batches: one of ``views`` views of each, drawn anew every epoch; in order if only one."""

    seen: Seen
    rows: NDArray[np.int64]
    views: int
    batch: int
    seed: int = 0

    def __len__(self) -> int:
        """The number of batches of an epoch; training leaves out a last one of a single image."""
        full, rest = divmod(len(self.rows), self.batch)
        return full + int(rest > 1 or (rest == 1 and (not full or self.views == 1)))

    def batches(self, epoch: int = 0, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``epoch`` from number ``first`` on."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.rows) if self.views > 1 else self.rows
        views = rng.integers(0, self.views, len(order))
        for number in range(first, len(self)):
            part = slice(number * self.batch, (number + 1) * self.batch)
            items = list(zip(order[part].tolist(), views[part].tolist(), strict=True))
            maps = zip(*(self.seen.maps(*item) for item in items), strict=True)
            yield Batch(tuple(np.stack(one) for one in maps), tuple(self.seen.target(*item) for item in items))


@dataclass(frozen=True)
class MapFinding:
    """The losses of a detector's head on cached maps, judged as ``Finding`` judges."""

    seen: Seen
    val: Loader
    call: str = "learn"

    def loss(
        self, network: Detector, batch: Batch, device: torch.device, plain: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each of them."""
        return summed(network.learn(_tensors(batch, device), self._size, on(batch.targets, device), plain))

    @torch.inference_mode()
    def judge(self, network: Detector, device: torch.device) -> dict[str, float]:
        """Return mean average precision at an overlap of 0.5, and over 0.5 to 0.95."""
        network.eval()
        found: list[Detections] = []
        for batch in MapLoader(self.seen, self.val.rows, 1, JUDGED).batches():
            rows = self.val.rows[len(found) : len(found) + len(batch)]
            outputs = network.answers(_tensors(batch, device), self._size)
            found += read(network, outputs, [self.val.samples.sizes[row] for row in rows], self.val.spec)
        return judged(self.val, found)

    def told(self, entry: dict[str, Any]) -> str:
        """Return the loss and the average precision."""
        return told(entry)

    @property
    def _size(self) -> tuple[int, int]:
        return self.val.spec.height, self.val.spec.width


def transfer(job: Job, source: Source) -> Trained:
    """Train the head of the detector of ``source`` on cached maps of the images and of a few altered copies."""
    network, facts = built(job, source)
    network.freeze_before(str(len(network.blocks())))
    facts["trainable"] = sum(one.numel() for one in network.parameters() if one.requires_grad)
    samples = Samples.of(job.dataset)
    rows = balanced(samples, job.train, job.config.seed)
    policy = Policy.parse(job.config.augment or plans.AUGMENT)
    seen, views = _seen(job, source, network, samples, policy)

    def course(plan: Plan, machine: Machine) -> Course:
        learnt = MapLoader(seen, rows, views, plan.batch, plan.seed)
        goal = MapFinding(seen, Loader(samples, job.val, job.spec, JUDGED))
        return Course(network, learnt, goal, plan, job.folder / "checkpoints", *machine.arithmetic, job.progress)

    state = learning.learn(job, course, lambda seconds: plans.transfer(job, len(rows), seconds))
    return Trained("transfer", network, job.spec, samples, state, Mixing(policy), facts)


def _seen(job: Job, source: Source, network: Detector, samples: Samples, policy: Policy) -> tuple[Seen, int]:
    """Return the maps of the training and validation images, and in how many views the former are there."""
    path = _frozen(job, source, network)
    store = MapStore(path, job.spec, policy, job.config.seed)
    first = compute(path, samples, job.keys, store, [(int(row), 0) for row in job.val], job.progress)
    size = 2 * sum(int(np.prod(shape)) for shape in first.shapes)
    views = int(np.clip(MOST_BYTES // (size * max(len(job.train), 1)), 1, MOST_VIEWS)) if len(policy) else 1
    job.progress.say(
        _("Views of each image: {views}, {megabytes:,.0f} MB of maps in the cache").format(
            views=views, megabytes=views * len(job.train) * size / 1e6
        )
    )
    items = [(int(row), view) for row in job.train for view in range(views)]
    return compute(path, samples, job.keys, store, items, job.progress), views


def _frozen(job: Job, source: Source, network: Detector) -> Path:
    """Return the part of ``network`` below its head as an ONNX file: from the cache, or exported now."""
    weights = source.digest() if source.path is not None else f"random {job.config.seed}"
    key = json.dumps([VERSION, weights, job.spec.shape, asdict(source.entry)], sort_keys=True)
    path = files.cache_folder() / "backbones" / files.digest(key.encode()) / "maps.onnx"
    if not path.is_file():
        export_maps(network, job.spec, path)
    return path


def _tensors(batch: Batch, device: torch.device) -> tuple[Tensor, ...]:
    return tuple(
        torch.from_numpy(one).to(device).float().contiguous(memory_format=torch.channels_last) for one in batch.maps
    )
