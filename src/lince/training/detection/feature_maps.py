"""What a frozen detector sees, computed once and kept: the maps below its head, on disk in half precision.

They lie under (network, input, alterations) and content, so that a second run on the same images computes nothing,
whatever its labels. A view is one altered copy of an image; view 0 is the image as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.augmentation import Policy, augment
from lince.augmentation.apply import augment_boxes
from lince.errors import TrainingError
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, split_cores
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.preprocess import PreprocessSpec, normalise_images
from lince.progress import Progress
from lince.training.detection.samples import DetectionSamples

CACHE_VERSION = 1
BATCH_SIZE = 4
FeatureMaps = tuple[NDArray[np.float16], ...]
RowView = tuple[int, int]  # a row and a view


class FeatureMapStore:
    """The maps that one network file computes from images prepared in one way, in a folder of the cache."""

    def __init__(
        self, network: Path, spec: PreprocessSpec, policy: Policy, seed: int, root: Path | None = None
    ) -> None:
        recipe = json.dumps(
            [CACHE_VERSION, fileio.compute_sha256(network), asdict(spec), str(policy), seed], sort_keys=True
        )
        self.folder = (root or fileio.get_cache_folder()) / "maps" / fileio.compute_digest(recipe.encode())
        self.spec, self.policy, self.seed = spec, policy, seed

    def has(self, key: str, view: int) -> bool:
        """Return whether the maps of the image with the content ``key`` are there."""
        return self._path(key, view).is_file()

    def add(self, key: str, view: int, maps: Sequence[NDArray[np.float32]]) -> None:
        """Keep ``maps`` (C, H, W) each, in half precision."""
        limit = np.finfo(np.float16).max
        flat = [np.clip(one, -limit, limit).astype(np.float16).ravel() for one in maps]
        with fileio.atomic_file(self._path(key, view), durable=False) as aside, open(aside, "wb") as stream:
            np.save(stream, np.concatenate(flat))

    def read(self, key: str, view: int, shapes: Sequence[tuple[int, ...]]) -> FeatureMaps:
        """Return the maps of ``shapes``; raise ``TrainingError`` when the file is gone or spoilt."""
        path = self._path(key, view)
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        try:
            flat: NDArray[np.float16] = np.load(path, allow_pickle=False)
            parts = np.split(flat, ends[:-1])
            return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        except (OSError, ValueError, EOFError) as error:
            path.unlink(missing_ok=True)
            raise TrainingError(
                _("{path} cannot be read: {error}.").format(path=path, error=error),
                _("Expected what was computed when the training began."),
                _("Train again: what is missing is computed again."),
            ) from error

    def make_rng(self, key: str, view: int) -> np.random.Generator:
        """Return the chance by which ``view`` of the image with the content ``key`` is altered."""
        return np.random.default_rng((self.seed, view, int(key[:16], 16)))

    def get_view_policy(self, view: int) -> Policy:
        """Return how ``view`` is altered: the first one not at all."""
        return self.policy if view else Policy()

    def _path(self, key: str, view: int) -> Path:
        return self.folder / key[:2] / f"{key}-{view}.npy"


@dataclass(frozen=True, eq=False)
class CachedFeatureMaps:
    """The maps of the images of ``samples``, in ``store`` under ``keys``; those of an image have the ``shapes``."""

    samples: DetectionSamples
    keys: Sequence[str]
    store: FeatureMapStore
    shapes: tuple[tuple[int, ...], ...]

    def read_maps(self, row: int, view: int) -> FeatureMaps:
        """Return the maps of ``view`` of the image of ``row``."""
        return self.store.read(self.keys[row], view, self.shapes)

    def make_target(self, row: int, view: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the boxes (K, 4) in pixels of the input and the class ids of ``view`` of the image of ``row``."""
        samples, store, span = self.samples, self.store, self.samples.objects.slice_of_image(row)
        size = (int(samples.image_sizes[row][0]), int(samples.image_sizes[row][1]))
        luck = store.make_rng(self.keys[row], view)
        boxes, kept = augment_boxes(size, store.get_view_policy(view), luck, store.spec, samples.objects.boxes[span])
        return boxes.astype(np.float32), samples.objects.class_ids[span][kept].astype(np.int64)


def compute_feature_maps(
    network: Path,
    samples: DetectionSamples,
    keys: Sequence[str],
    store: FeatureMapStore,
    items: Sequence[RowView],
    progress: Progress,
) -> CachedFeatureMaps:
    """Return the maps of ``items``, computing by ``network`` (ONNX) those that are not yet in ``store``.

    Raises ``ImageError`` when an image can no longer be read.
    """
    calls, threads = split_cores()
    session = OnnxRuntimeBackend(network, threads, share_cores=True)
    missing = [item for item in items if not store.has(keys[item[0]], item[1])]
    with progress.open_stage(_("Computing feature maps"), len(missing)) as stage:
        for count in _compute_missing(session, samples, keys, store, missing, calls):
            stage.advance(count)
    probe = session.run(np.zeros((1, *store.spec.shape), np.float32), list(session.outputs))
    return CachedFeatureMaps(samples, keys, store, tuple(one.shape[1:] for one in probe))


def _compute_missing(
    session: OnnxRuntimeBackend,
    samples: DetectionSamples,
    keys: Sequence[str],
    store: FeatureMapStore,
    items: Sequence[RowView],
    calls: int,
) -> Iterator[int]:
    """Compute and keep the maps of ``items``, several batches at one time; yield how many each batch held."""
    spec, names = store.spec, list(session.outputs)

    def image(row: int, view: int) -> NDArray[np.uint8]:
        photo = samples.dataset.images.read_image(row, (spec.height, spec.width))
        return augment(
            photo, store.get_view_policy(view), store.make_rng(keys[row], view), spec, np.empty((0, 4))
        ).image

    def one(batch: list[RowView]) -> int:
        found = session.run(normalise_images([image(row, view) for row, view in batch], spec), names)
        for at, (row, view) in enumerate(batch):
            store.add(keys[row], view, [each[at] for each in found])
        return len(batch)

    return ordered_map(one, iter_batches(items, BATCH_SIZE), calls, calls + 1)
