"""Computes the feature maps below a frozen detector's head and caches them on disk in float16.

The cache is keyed by (network file, input, augmentation policy, seed) and by image content, so that a second run on the
same images computes nothing, whatever its labels. A view is one augmented copy of an image; view 0 is the unaltered
image.
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
from lince.augmentation.object_masks import move_masks
from lince.errors import TrainingError
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, split_cores
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.preprocess import PreprocessSpec, normalise_images
from lince.progress import Progress
from lince.training.detection.loader import DetectionTarget, make_target
from lince.training.detection.samples import DetectionSamples

CACHE_VERSION = 1
BATCH_SIZE = 4
FeatureMaps = tuple[NDArray[np.float16], ...]
RowView = tuple[int, int]  # a row and a view


class FeatureMapStore:
    """Cache folder for the feature maps of one network file, one input spec, one policy and one seed.

    Each file holds the maps of one view of one image, concatenated to one float16 vector. ``root`` defaults to lince's
    cache folder.
    """

    def __init__(
        self, network: Path, spec: PreprocessSpec, policy: Policy, seed: int, root: Path | None = None
    ) -> None:
        fingerprint = json.dumps(
            [CACHE_VERSION, fileio.compute_sha256(network), asdict(spec), str(policy), seed], sort_keys=True
        )
        self.folder = (root or fileio.get_cache_folder()) / "maps" / fileio.compute_digest(fingerprint.encode())
        self.spec, self.policy, self.seed = spec, policy, seed

    def has(self, key: str, view: int) -> bool:
        """Return whether the maps of ``view`` of the image with content digest ``key`` are cached."""
        return self._path(key, view).is_file()

    def add(self, key: str, view: int, maps: Sequence[NDArray[np.float32]]) -> None:
        """Cache ``maps``, each (C, H, W), as float16; values beyond the range of float16 are clipped to it."""
        limit = np.finfo(np.float16).max
        flat = [np.clip(values, -limit, limit).astype(np.float16).ravel() for values in maps]
        with fileio.atomic_file(self._path(key, view), durable=False) as temp_path, open(temp_path, "wb") as file:
            np.save(file, np.concatenate(flat))

    def read(self, key: str, view: int, shapes: Sequence[tuple[int, ...]]) -> FeatureMaps:
        """Return the cached maps in ``shapes``, each (C, H, W).

        Raises ``TrainingError`` when the file is missing or damaged, and deletes it so that it is computed again.
        """
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
                _("Expected the features computed when training started."),
                _("Train again: what is missing is computed again."),
            ) from error

    def make_rng(self, key: str, view: int) -> np.random.Generator:
        """Return the random generator by which ``view`` of the image with content digest ``key`` is augmented."""
        return np.random.default_rng((self.seed, view, int(key[:16], 16)))

    def get_view_policy(self, view: int) -> Policy:
        """Return the augmentation policy of ``view``: an empty one for view 0."""
        return self.policy if view else Policy()

    def _path(self, key: str, view: int) -> Path:
        return self.folder / key[:2] / f"{key}-{view}.npy"


@dataclass(frozen=True, eq=False)
class CachedFeatureMaps:
    """Cached feature maps of the images of ``samples``.

    ``keys`` are the content digests by row, ``shapes`` the (C, H, W) of each map of an image.
    """

    samples: DetectionSamples
    keys: Sequence[str]
    store: FeatureMapStore
    shapes: tuple[tuple[int, ...], ...]

    def read_maps(self, row: int, view: int) -> FeatureMaps:
        """Return the maps float16 (C, H, W) of ``view`` of the image of ``row``."""
        return self.store.read(self.keys[row], view, self.shapes)

    def make_target(self, row: int, view: int) -> DetectionTarget:
        """Return the target of ``view`` of the image of ``row``, as in ``DetectionBatch``.

        The boxes undergo the same random geometry as the view; those that leave the image are dropped.
        """
        samples, store, object_rows = self.samples, self.store, self.samples.objects.slice_of_image(row)
        image_size = (int(samples.image_sizes[row][0]), int(samples.image_sizes[row][1]))
        rng = store.make_rng(self.keys[row], view)
        boxes, kept, matrix = augment_boxes(
            image_size, store.get_view_policy(view), rng, store.spec, samples.objects.boxes[object_rows]
        )
        masks = None
        if samples.with_masks:
            scale = min(1.0, 2 * max(store.spec.height / image_size[0], store.spec.width / image_size[1]))
            reduced = np.diag([1 / scale, 1 / scale, 1.0])
            masks = move_masks(samples.read_masks(row, np.full(2, scale)), kept, matrix @ reduced)
        return make_target(boxes, samples.objects.class_ids[object_rows][kept], masks, store.spec)


def compute_feature_maps(  # noqa: PLR0913, PLR0917
    network: Path,
    samples: DetectionSamples,
    keys: Sequence[str],
    store: FeatureMapStore,
    items: Sequence[RowView],
    progress: Progress,
    workers: int | None = None,
) -> CachedFeatureMaps:
    """Return the cached maps of ``items``, computing with ``network`` (ONNX) those that are not in ``store`` yet.

    ``keys`` are the content digests of the images by row; ``workers`` threads read images and compute, by default as
    many as suit the cores. Raises ``ImageError`` when an image can no longer be read.
    """
    calls, threads = split_cores()
    calls = calls if workers is None else max(1, workers)
    backend = OnnxRuntimeBackend(network, threads, share_cores=True)
    missing = [item for item in items if not store.has(keys[item[0]], item[1])]
    with progress.open_stage(_("Computing feature maps"), len(missing)) as stage:
        for count in _compute_missing(backend, samples, keys, store, missing, calls):
            stage.advance(count)
    example_maps = backend.run(np.zeros((1, *store.spec.shape), np.float32), list(backend.outputs))
    return CachedFeatureMaps(samples, keys, store, tuple(maps.shape[1:] for maps in example_maps))


def _compute_missing(
    backend: OnnxRuntimeBackend,
    samples: DetectionSamples,
    keys: Sequence[str],
    store: FeatureMapStore,
    items: Sequence[RowView],
    calls: int,
) -> Iterator[int]:
    """Compute and cache the maps of ``items``, ``calls`` batches concurrently; yield each batch's size when done."""
    spec, names = store.spec, list(backend.outputs)

    def load_view(row: int, view: int) -> NDArray[np.uint8]:
        image = samples.dataset.images.read_image(row, (spec.height, spec.width))
        return augment(
            image, store.get_view_policy(view), store.make_rng(keys[row], view), spec, np.empty((0, 4))
        ).image

    def process_batch(batch: list[RowView]) -> int:
        outputs = backend.run(normalise_images([load_view(row, view) for row, view in batch], spec), names)
        for position, (row, view) in enumerate(batch):
            store.add(keys[row], view, [maps[position] for maps in outputs])
        return len(batch)

    return ordered_map(process_batch, iter_batches(items, BATCH_SIZE), calls, calls + 1)
