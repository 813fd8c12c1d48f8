"""Finds the images most similar to a given one by the cosine similarity of a model's embeddings."""

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
from lince.display import NotebookDisplay
from lince.errors import ImageError
from lince.i18n import _
from lince.inference import drawing, image_loading, sources
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.feature_cache import SHARD_SIZE, FeatureCache
from lince.inference.image_loading import Image
from lince.inference.predictor import Predictor
from lince.inference.result import save_record_or_image
from lince.inference.sources import ImageInput, ImageItem
from lince.number_format import format_decimal
from lince.progress import SILENT, Progress

_CELL_SIDE, _SHEET_COLUMNS = 180, 6
Embedding = NDArray[np.float32]


@dataclass(frozen=True)
class SimilarImage:
    """One match: the image's path, its display name, and the cosine similarity to the query, -1 to 1."""

    path: str
    name: str
    similarity: float


@dataclass(frozen=True, repr=False)
class SimilarityResult(NotebookDisplay):
    """The images most similar to ``query``, the best first.

    ``searched_count`` is the number of readable images that were compared; ``rejected`` are those that were not read.
    """

    html_renderer = "lince.notebook.result_html:render_similar"

    query: ImageItem
    matches: tuple[SimilarImage, ...]
    searched_count: int
    rejected: tuple[RejectedItem, ...] = ()

    def __repr__(self) -> str:
        lines = "".join(f"\n  {match.name} {format_decimal(match.similarity)}" for match in self.matches)
        return f"<SimilarityResult {self.query.name}:{lines}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a dict that ``json`` can write; similarities have 6 decimals."""
        return {
            "photo": self.query.name,
            "count": self.searched_count,
            "similar": [{"file": match.name, "similarity": round(match.similarity, 6)} for match in self.matches],
            "rejected": [{"file": item.path, "reason": item.reason, "remedy": item.remedy} for item in self.rejected],
        }

    def draw(self) -> Image:
        """Return a contact sheet, uint8 RGB: the query, then the matches with their similarity below.

        Raises ``ImageError`` when one of the files is gone.
        """
        query_cell = drawing.SheetCell(
            image_loading.read_pixels(self.query.source), (_("as requested"), PurePosixPath(self.query.name).name)
        )
        return drawing.draw_contact_sheet([query_cell, *map(_build_cell, self.matches)], _SHEET_COLUMNS, _CELL_SIDE)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the result to ``path`` and return it: ``.json`` as a record, ``.jpg`` or ``.png`` as a contact sheet.

        Raises ``UsageError`` for another suffix, and for a file that may not be replaced (``save_record_or_image``).
        """
        return save_record_or_image(path, self.to_dict, self.draw, overwrite)


def find_similar_images(
    model: Predictor,
    query: ImageInput,
    where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    top: int = 10,
    progress: Progress = SILENT,
) -> SimilarityResult:
    """Return the ``top`` images of ``where`` (files, folders, patterns) that are most similar to ``query``.

    The query's own file is left out where it is among them; copies of it are not. Embeddings are cached on disk by file
    content, so that an image is embedded once per model. Raises ``ImageError`` when ``query`` cannot be read,
    ``DataError`` when there is no image to compare with, ``ModelError`` when the network has no embedding output.
    """
    query_item = image_loading.open_image_item(query, model.allow_urls)
    query_vector = _normalise_vector(model.embed(query_item.source))
    items = [item for item in sources.find_images(where) if not _is_same_file(item, query_item)]
    keys, unreadable = _digest_files(items, progress)
    embeddings, undecodable = _load_embeddings(
        model, {key: item for item, key in zip(items, keys, strict=True) if key}, progress
    )
    usable = [(item, embeddings[key]) for item, key in zip(items, keys, strict=True) if key in embeddings]
    vectors = [_normalise_vector(embedding) for _item, embedding in usable]
    cosines = np.stack(vectors) @ query_vector if vectors else np.empty(0)
    best_rows = np.argsort(-cosines, kind="stable")[:top].tolist()
    matches = tuple(SimilarImage(usable[row][0].path, usable[row][0].name, float(cosines[row])) for row in best_rows)
    return SimilarityResult(query_item, matches, len(usable), (*unreadable, *undecodable))


def _load_embeddings(
    model: Predictor, items: dict[str, ImageItem], progress: Progress
) -> tuple[dict[str, Embedding], list[RejectedItem]]:
    """Return the embedding (D,) of each of ``items``, given by content digest, and the items that have none.

    Cached embeddings are loaded; the others are computed and stored in shards of ``SHARD_SIZE`` on the way.
    """
    cache = FeatureCache(model.backend.path, model.card.preprocess)
    use_cache = model.card.target == "onnx"  # the cache key covers one file; OpenVINO models have weights in a second
    embeddings = cache.load(set(items)) if use_cache else {}
    missing = [key for key in items if key not in embeddings]
    rejected: list[RejectedItem] = []
    unsaved: dict[str, Embedding] = {}
    for key, row in zip(missing, model.embed_items([items[key] for key in missing], progress=progress), strict=True):
        if isinstance(row, RejectedItem):
            rejected.append(row)
            continue
        embeddings[key] = unsaved[key] = row
        if len(unsaved) == SHARD_SIZE and use_cache:
            _store_embeddings(cache, unsaved)
            unsaved = {}
    if unsaved and use_cache:
        _store_embeddings(cache, unsaved)
    return embeddings, rejected


def _store_embeddings(cache: FeatureCache, rows: dict[str, Embedding]) -> None:
    """Write embeddings (D,) by content digest as one shard."""
    cache.add(list(rows), np.stack(list(rows.values())))


def _digest_files(items: Sequence[ImageItem], progress: Progress) -> tuple[list[str], list[RejectedItem]]:
    """Return the content digest of each file, "" where it cannot be read, and the files that cannot."""

    def digest_file(item: ImageItem) -> str | RejectedItem:
        if own := sources.reject_own_output(item):
            return own
        try:
            return fileio.compute_digest(images.read_bytes(item.path))
        except ImageError as error:
            return RejectedItem(item.name, error.problem, error.remedy)

    outcomes: list[str | RejectedItem] = []
    with ThreadPoolExecutor(count_cores()) as pool, progress.open_stage(_("Reading"), len(items)) as stage:
        for outcome in pool.map(digest_file, items):
            outcomes.append(outcome)
            stage.advance()
    return ["" if isinstance(outcome, RejectedItem) else outcome for outcome in outcomes], [
        outcome for outcome in outcomes if isinstance(outcome, RejectedItem)
    ]


def _is_same_file(item: ImageItem, query: ImageItem) -> bool:
    """Return whether both are one file, links resolved; a query that is no file is like none."""
    return bool(query.path) and os.path.realpath(item.path) == os.path.realpath(query.path)


def _normalise_vector(row: Embedding) -> Embedding:
    """Return ``row`` (D,) at L2 norm 1; a zero vector stays zero."""
    return np.asarray(row / max(float(np.linalg.norm(row)), 1e-12), np.float32)


def _build_cell(match: SimilarImage) -> drawing.SheetCell:
    """Return the contact sheet cell of a match: the similarity with 3 decimals above the file name."""
    image = images.read_image(Path(match.path), min_size=(_CELL_SIDE, _CELL_SIDE))
    return drawing.SheetCell(image, (format_decimal(match.similarity), PurePosixPath(match.name).name))
