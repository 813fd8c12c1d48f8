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

from lince import files, images
from lince.annotations import Rejected
from lince.choices import one_of
from lince.errors import ImageError
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime import draw, reading, sources
from lince.runtime.featurecache import SHARD, FeatureCache
from lince.runtime.predictor import Predictor
from lince.runtime.reading import Image
from lince.runtime.session import cores
from lince.runtime.sources import Photo, Source

_SIDE, _COLUMNS = 180, 6
_ENDINGS = (".json", ".jpg", ".jpeg", ".png")
Row = NDArray[np.float32]


@dataclass(frozen=True)
class Alike:
    """One photo and its ``similarity`` to the one asked for: the cosine of their embeddings, 1 at most."""

    path: str
    name: str
    similarity: float


@dataclass(frozen=True)
class Similar:
    """The photos most like ``photo``, the nearest first, of ``count`` that were looked at; and what was no photo."""

    photo: Photo
    alike: tuple[Alike, ...]
    count: int
    rejected: tuple[Rejected, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return this as a plain record for JSON."""
        return {
            "photo": self.photo.name,
            "count": self.count,
            "similar": [{"file": one.name, "similarity": round(one.similarity, 6)} for one in self.alike],
            "rejected": [{"file": one.path, "reason": one.reason, "remedy": one.remedy} for one in self.rejected],
        }

    def drawn(self) -> Image:
        """Return one picture, uint8 RGB, of the photo and those like it, each with its similarity below."""
        first = draw.Cell(reading.pixels(self.photo.source), (_("asked for"), PurePosixPath(self.photo.name).name))
        return draw.contact_sheet([first, *map(_cell, self.alike)], _COLUMNS, _SIDE)

    def save(self, path: str | Path) -> Path:
        """Write this to ``path`` and return it: as JSON, or drawn as a JPEG or PNG, as its ending says.

        Raises ``UsageError`` for another ending.
        """
        target = Path(path)
        ending = one_of("ending", target.suffix.lower(), _ENDINGS)
        if ending == ".json":
            files.write_json(target, self.to_dict())
        else:
            encode = images.encode_png if ending == ".png" else images.encode_jpeg
            files.write_bytes(target, encode(self.drawn()))
        return target


def similar(
    model: Predictor,
    photo: Source,
    where: str | Path | Sequence[str | Path],
    top: int = 10,
    progress: Progress = SILENT,
) -> Similar:
    """Return the ``top`` photos of ``where`` (files, folders, patterns) that look most like ``photo`` to ``model``.

    The photo itself is left out where it lies among them; copies of it are not. Embeddings are kept in lince's cache
    under the content of the file, so that the same photos are looked at once. Raises ``ImageError`` when ``photo``
    cannot be read, ``DataError`` when there is nothing to compare it with, ``ModelError`` when the network has no
    embeddings.
    """
    asked = reading.one(photo, model.urls)
    wanted = _unit(model.embed(asked.source))
    others = [one for one in sources.find(where) if not _same_file(one, asked)]
    keys, rejected = _keys(others, progress)
    rows, broken = _rows(model, {key: one for one, key in zip(others, keys, strict=True) if key}, progress)
    usable = [(one, key) for one, key in zip(others, keys, strict=True) if key in rows]
    cosines = np.stack([_unit(rows[key]) for _one, key in usable]) @ wanted if usable else np.empty(0)
    best = np.argsort(-cosines, kind="stable")[:top].tolist()
    alike = tuple(Alike(usable[at][0].path, usable[at][0].name, float(cosines[at])) for at in best)
    return Similar(asked, alike, len(usable), (*rejected, *broken))


def _rows(model: Predictor, photos: dict[str, Photo], progress: Progress) -> tuple[dict[str, Row], list[Rejected]]:
    """Return the embedding (D,) of each content, from the cache or computed and then kept, and what has none."""
    cache = FeatureCache(model.session.path, model.card.preprocess)
    keeps = model.card.target == "onnx"  # the files of other runtimes do not hold all that their answers depend on
    known = cache.load(set(photos)) if keeps else {}
    missing = [key for key in photos if key not in known]
    broken: list[Rejected] = []
    fresh: dict[str, Row] = {}
    for key, row in zip(missing, model.embed_photos([photos[key] for key in missing], progress=progress), strict=True):
        if isinstance(row, Rejected):
            broken.append(row)
            continue
        known[key] = fresh[key] = row
        if len(fresh) == SHARD and keeps:
            _keep(cache, fresh)
            fresh = {}
    if fresh and keeps:
        _keep(cache, fresh)
    return known, broken


def _keep(cache: FeatureCache, rows: dict[str, Row]) -> None:
    cache.add(list(rows), np.stack(list(rows.values())))


def _keys(photos: Sequence[Photo], progress: Progress) -> tuple[list[str], list[Rejected]]:
    """Return the digest of each photo's file, empty where it cannot be read, and those that cannot."""

    def key(photo: Photo) -> str | Rejected:
        try:
            return files.digest(images.read_bytes(photo.path))
        except ImageError as error:
            return Rejected(photo.name, error.found, error.remedy)

    found: list[str | Rejected] = []
    with ThreadPoolExecutor(cores()) as pool, progress.stage(_("Reading"), len(photos)) as stage:
        for one in pool.map(key, photos):
            found.append(one)
            stage.advance()
    return ["" if isinstance(one, Rejected) else one for one in found], [
        one for one in found if isinstance(one, Rejected)
    ]


def _same_file(one: Photo, other: Photo) -> bool:
    return bool(other.path) and os.path.realpath(one.path) == os.path.realpath(other.path)


def _unit(row: Row) -> Row:
    """Return ``row`` (D,) at the length 1; zeros stay zeros."""
    return np.asarray(row / max(float(np.linalg.norm(row)), 1e-12), np.float32)


def _cell(one: Alike) -> draw.Cell:
    image = images.read(Path(one.path), at_least=(_SIDE, _SIDE))
    return draw.Cell(image, (f"{one.similarity:.3f}", PurePosixPath(one.name).name))
