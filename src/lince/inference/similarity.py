"""Which photos look alike to a model: those whose embeddings point the same way, computed once and kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio, images
from lince.annotations import RejectedItem
from lince.errors import ImageError
from lince.i18n import _
from lince.inference import batch_runner, drawing, sources
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.batch_runner import Image
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.feature_cache import SHARD_SIZE, FeatureCache
from lince.inference.sources import ImageInput, ImageItem
from lince.progress import SILENT, Progress
from lince.validation import require_choice

_CELL_SIDE, _SHEET_COLUMNS = 180, 6
_SUFFIXES = (".json", ".jpg", ".jpeg", ".png")
Embedding = NDArray[np.float32]


@dataclass(frozen=True)
class SimilarImage:
    """One photo and its ``similarity`` to the one asked for: the cosine of their embeddings, 1 at most."""

    path: str
    name: str
    similarity: float


@dataclass(frozen=True)
class SimilarityResult:
    """The photos most like ``photo``, the nearest first, of ``count`` that were looked at; and what was no photo."""

    query: ImageItem
    matches: tuple[SimilarImage, ...]
    searched_count: int
    rejected: tuple[RejectedItem, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return this as a plain record for JSON."""
        return {
            "photo": self.query.name,
            "count": self.searched_count,
            "similar": [{"file": one.name, "similarity": round(one.similarity, 6)} for one in self.matches],
            "rejected": [{"file": one.path, "reason": one.reason, "remedy": one.remedy} for one in self.rejected],
        }

    def draw(self) -> Image:
        """Return one picture, uint8 RGB, of the photo and those like it, each with its similarity below."""
        first = drawing.SheetCell(
            batch_runner.read_pixels(self.query.source), (_("asked for"), PurePosixPath(self.query.name).name)
        )
        return drawing.draw_contact_sheet([first, *map(_build_cell, self.matches)], _SHEET_COLUMNS, _CELL_SIDE)

    def save(self, path: str | Path) -> Path:
        """Write this to ``path`` and return it: as JSON, or drawn as a JPEG or PNG, as its ending says.

        Raises ``UsageError`` for another ending.
        """
        target = Path(path)
        ending = require_choice("ending", target.suffix.lower(), _SUFFIXES)
        if ending == ".json":
            fileio.write_json(target, self.to_dict())
        else:
            encode = images.encode_png if ending == ".png" else images.encode_jpeg
            fileio.write_bytes(target, encode(self.draw()))
        return target


def find_similar_images(
    model: ClassificationPredictor,
    query: ImageInput,
    where: str | Path | Sequence[str | Path],
    top: int = 10,
    progress: Progress = SILENT,
) -> SimilarityResult:
    """Return the ``top`` photos of ``where`` (files, folders, patterns) that look most like ``photo`` to ``model``.

    The photo itself is left out where it lies among them; copies of it are not. Embeddings are kept in lince's cache
    under the content of the file, so that the same photos are looked at once. Raises ``ImageError`` when ``photo``
    cannot be read, ``DataError`` when there is nothing to compare it with, ``ModelError`` when the network has no
    embeddings.
    """
    asked = batch_runner.open_image_item(query, model.allow_urls)
    wanted = _normalise_vector(model.embed(asked.source))
    others = [one for one in sources.find_images(where) if not _same_file(one, asked)]
    keys, rejected = _digest_files(others, progress)
    rows, broken = _load_embeddings(model, {key: one for one, key in zip(others, keys, strict=True) if key}, progress)
    usable = [(one, key) for one, key in zip(others, keys, strict=True) if key in rows]
    cosines = np.stack([_normalise_vector(rows[key]) for _one, key in usable]) @ wanted if usable else np.empty(0)
    best = np.argsort(-cosines, kind="stable")[:top].tolist()
    alike = tuple(SimilarImage(usable[at][0].path, usable[at][0].name, float(cosines[at])) for at in best)
    return SimilarityResult(asked, alike, len(usable), (*rejected, *broken))


def _load_embeddings(
    model: ClassificationPredictor, photos: dict[str, ImageItem], progress: Progress
) -> tuple[dict[str, Embedding], list[RejectedItem]]:
    """Return the embedding (D,) of each content, from the cache or computed and then kept, and what has none."""
    cache = FeatureCache(model.backend.path, model.card.preprocess)
    keeps = model.card.target == "onnx"  # the files of other runtimes do not hold all that their answers depend on
    known = cache.load(set(photos)) if keeps else {}
    missing = [key for key in photos if key not in known]
    broken: list[RejectedItem] = []
    fresh: dict[str, Embedding] = {}
    for key, row in zip(missing, model.embed_items([photos[key] for key in missing], progress=progress), strict=True):
        if isinstance(row, RejectedItem):
            broken.append(row)
            continue
        known[key] = fresh[key] = row
        if len(fresh) == SHARD_SIZE and keeps:
            _store_embeddings(cache, fresh)
            fresh = {}
    if fresh and keeps:
        _store_embeddings(cache, fresh)
    return known, broken


def _store_embeddings(cache: FeatureCache, rows: dict[str, Embedding]) -> None:
    cache.add(list(rows), np.stack(list(rows.values())))


def _digest_files(photos: Sequence[ImageItem], progress: Progress) -> tuple[list[str], list[RejectedItem]]:
    """Return the digest of each photo's file, empty where it cannot be read, and those that cannot."""

    def key(photo: ImageItem) -> str | RejectedItem:
        try:
            return fileio.compute_digest(images.read_bytes(photo.path))
        except ImageError as error:
            return RejectedItem(photo.name, error.problem, error.remedy)

    found: list[str | RejectedItem] = []
    with ThreadPoolExecutor(count_cores()) as pool, progress.open_stage(_("Reading"), len(photos)) as stage:
        for one in pool.map(key, photos):
            found.append(one)
            stage.advance()
    return ["" if isinstance(one, RejectedItem) else one for one in found], [
        one for one in found if isinstance(one, RejectedItem)
    ]


def _same_file(one: ImageItem, other: ImageItem) -> bool:
    return bool(other.path) and os.path.realpath(one.path) == os.path.realpath(other.path)


def _normalise_vector(row: Embedding) -> Embedding:
    """Return ``row`` (D,) at the length 1; zeros stay zeros."""
    return np.asarray(row / max(float(np.linalg.norm(row)), 1e-12), np.float32)


def _build_cell(one: SimilarImage) -> drawing.SheetCell:
    image = images.read_image(Path(one.path), at_least=(_CELL_SIDE, _CELL_SIDE))
    return drawing.SheetCell(image, (f"{one.similarity:.3f}", PurePosixPath(one.name).name))
