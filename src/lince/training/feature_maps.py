"""Computes the feature maps below a network's head, caches them on disk in float16, and loads them in batches.

The cache is keyed by (network file, input, augmentation policy, seed) and by image content, so that a second run on the
same images computes nothing, whatever its labels. A view is one augmented copy of an image; view 0 is the unaltered
image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.augmentation import Policy, augment
from lince.datasets.image_source import ImageSource
from lince.errors import TrainingError
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, split_cores
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec, normalise_images
from lince.progress import Progress
from lince.training.recipe import RecipeContext

CACHE_VERSION = 1
BATCH_SIZE = 4
MAX_VIEWS = 4
MAX_MAP_BYTES = 2 << 30  # of cached maps; above it, fewer views are used
T = TypeVar("T")
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
    """Cached feature maps of images.

    ``keys`` are the content digests by row, ``shapes`` the (C, H, W) of each map of an image.
    """

    keys: Sequence[str]
    store: FeatureMapStore
    shapes: tuple[tuple[int, ...], ...]

    def read_maps(self, row: int, view: int) -> FeatureMaps:
        """Return the maps float16 (C, H, W) of ``view`` of the image of ``row``."""
        return self.store.read(self.keys[row], view, self.shapes)


@dataclass(frozen=True)
class FeatureMapBatch(Generic[T]):
    """Feature maps of N images, each level float16 (N, C, H, W), and one target per image."""

    maps: tuple[NDArray[np.float16], ...]
    targets: tuple[T, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class FeatureMapLoader(Generic[T]):
    """Yields cached feature maps of ``rows`` as batches; ``make_target`` returns the target of a row and a view.

    With several views, the rows are shuffled and a view of each is drawn at random every epoch; with one view they keep
    their order.
    """

    feature_maps: CachedFeatureMaps
    make_target: Callable[[int, int], T]
    rows: NDArray[np.int64]
    view_count: int
    batch_size: int
    seed: int = 0

    def __len__(self) -> int:
        """The number of batches of an epoch.

        In training a last batch of a single image is dropped, since batch norm needs two, unless it is the only batch.
        """
        full, rest = divmod(len(self.rows), self.batch_size)
        return full + int(rest > 1 or (rest == 1 and (not full or self.view_count == 1)))

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[FeatureMapBatch[T]]:
        """Yield the batches of ``epoch`` (from 0), starting with batch number ``first_batch`` (from 0)."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.rows) if self.view_count > 1 else self.rows
        views = rng.integers(0, self.view_count, len(order))
        for number in range(first_batch, len(self)):
            batch_slice = slice(number * self.batch_size, (number + 1) * self.batch_size)
            items = list(zip(order[batch_slice].tolist(), views[batch_slice].tolist(), strict=True))
            maps = zip(*(self.feature_maps.read_maps(*item) for item in items), strict=True)
            yield FeatureMapBatch(
                tuple(np.stack(level) for level in maps), tuple(self.make_target(*item) for item in items)
            )


def prepare_frozen_body(context: RecipeContext, source: WeightsSource, write: Callable[[Path], None]) -> Path:
    """Return the network of ``source`` below its head as an ONNX file, from the cache or written now by ``write``."""
    weights = source.compute_digest() if source.path is not None else f"random {context.config.seed}"
    key = json.dumps([CACHE_VERSION, weights, context.spec.shape, asdict(source.entry)], sort_keys=True)
    path = fileio.get_cache_folder() / "backbones" / fileio.compute_digest(key.encode()) / "maps.onnx"
    if not path.is_file():
        write(path)
    return path


def cache_feature_maps(context: RecipeContext, network: Path, policy: Policy) -> tuple[CachedFeatureMaps, int]:
    """Return the maps of the training and validation images, and the number of views of each training image.

    ``network`` is the ONNX file of the frozen body. Validation images have one view. Training images have up to
    ``MAX_VIEWS``, fewer where the maps would exceed ``MAX_MAP_BYTES``, and one without an augmentation policy.
    """
    store = FeatureMapStore(network, context.spec, policy, context.config.seed)

    def compute(items: list[RowView]) -> CachedFeatureMaps:
        return compute_feature_maps(
            network, context.dataset.images, context.keys, store, items, context.progress, context.config.workers
        )

    val_maps = compute([(int(row), 0) for row in context.val_rows])
    image_bytes = 2 * sum(int(np.prod(shape)) for shape in val_maps.shapes)
    view_count = (
        int(np.clip(MAX_MAP_BYTES // (image_bytes * max(len(context.train_rows), 1)), 1, MAX_VIEWS))
        if len(policy)
        else 1
    )
    context.progress.show_message(
        _("Augmented views per image: {views}; {megabytes:,.0f} MB of cached feature maps").format(
            views=view_count, megabytes=view_count * len(context.train_rows) * image_bytes / 1e6
        )
    )
    return compute([(int(row), view) for row in context.train_rows for view in range(view_count)]), view_count


def compute_feature_maps(  # noqa: PLR0913, PLR0917
    network: Path,
    images: ImageSource,
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
        for count in _compute_missing(backend, images, keys, store, missing, calls):
            stage.advance(count)
    example_maps = backend.run(np.zeros((1, *store.spec.shape), np.float32), list(backend.outputs))
    return CachedFeatureMaps(keys, store, tuple(maps.shape[1:] for maps in example_maps))


def _compute_missing(
    backend: OnnxRuntimeBackend,
    images: ImageSource,
    keys: Sequence[str],
    store: FeatureMapStore,
    items: Sequence[RowView],
    calls: int,
) -> Iterator[int]:
    """Compute and cache the maps of ``items``, ``calls`` batches concurrently; yield each batch's size when done."""
    spec, names = store.spec, list(backend.outputs)

    def load_view(row: int, view: int) -> NDArray[np.uint8]:
        image = images.read_image(row, (spec.height, spec.width))
        return augment(
            image, store.get_view_policy(view), store.make_rng(keys[row], view), spec, np.empty((0, 4))
        ).image

    def process_batch(batch: list[RowView]) -> int:
        outputs = backend.run(normalise_images([load_view(row, view) for row, view in batch], spec), names)
        for position, (row, view) in enumerate(batch):
            store.add(keys[row], view, [maps[position] for maps in outputs])
        return len(batch)

    return ordered_map(process_batch, iter_batches(items, BATCH_SIZE), calls, calls + 1)
