"""Which photos must stay together when data is divided: copies, frames of a film, versions of one original."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from lince.datasets.dataset import Dataset
from lince.datasets.duplicates.search import (
    DuplicatePair,
    ImageFingerprints,
    compute_fingerprints,
    compute_hamming_distances,
    compute_perceptual_hashes,
    find_duplicates,
)
from lince.datasets.union_find import UnionFind
from lince.errors import UsageError
from lince.i18n import _
from lince.progress import SILENT, Progress

MAX_FRAME_BIT_DISTANCE = 18  # of 64 in which the hashes of two frames that follow each other may differ
_FRAME_PATTERN = re.compile(r"(?P<film>.*?)(?P<number>\d+)$")
_EXPORT_PATTERN = re.compile(r"(?P<original>.+)[._](?:jpe?g|png|bmp|webp)\.rf\.[0-9a-f]{8,}$", re.IGNORECASE)
_VERSION_PATTERN = re.compile(
    r"(?P<original>.+?)(?:[ _-]?\((?:\d+|copy|copia|cópia)\)"
    r"|[ _-](?:copy|copia|cópia|aug|augmented|alt|flip|flipped|hflip|vflip|mirror|rot|rotated|crop|cropped|bright|dark"
    r"|blur|noise|resized|small)[ _-]?\d*)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ImageGroups:
    """``ids`` int64 (N,): images of one group have one number; and how many images joined a group by each reason."""

    ids: NDArray[np.int64]
    reasons: dict[str, int]

    @property
    def grouped_count(self) -> int:
        """How many images share their group with another."""
        return int((np.bincount(self.ids)[self.ids] > 1).sum()) if len(self.ids) else 0


def group_pairs(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Return the group numbers int64 (N,) of ``count`` images when those of each pair belong together."""
    forest = UnionFind(count)
    for one, other in pairs:
        forest.merge(one, other)
    return forest.get_group_ids()


def find_groups(
    dataset: Dataset,
    progress: Progress = SILENT,
    pattern: str | None = None,
    pairs: Iterable[DuplicatePair] | None = None,
) -> ImageGroups:
    """Return the groups of ``dataset`` by content, by names, and by ``pattern``, whose ``{group}`` names the group.

    Numbered names alone join nothing: frames of a film must also look like the frame before. ``pairs`` are those of
    ``alike`` when they are known already.
    """
    seen = compute_fingerprints(dataset, progress)
    stems = [PurePosixPath(dataset.images.get_name(row)).stem for row in range(len(dataset))]
    found = {
        _("copies"): [
            (pair.first, pair.second) for pair in (find_duplicates(dataset, progress, seen) if pairs is None else pairs)
        ],
        _("frames of one film"): list(_frame_pairs(stems, dataset, seen)),
        _("versions of one original"): list(_version_pairs(stems)),
        _("named by the pattern"): list(_pattern_pairs(stems, pattern)) if pattern else [],
    }
    forest = UnionFind(len(dataset))
    reasons = {}
    for reason, links in found.items():
        joined = sum(forest.merge(one, other) for one, other in links)
        if joined:
            reasons[reason] = joined
    return ImageGroups(forest.get_group_ids(), reasons)


def group_by_content(keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the groups int64 (N,) of images whose content ``keys`` are equal; unreadable ones (empty) stand alone."""
    _found, numbers = np.unique([key or f"-{row}" for row, key in enumerate(keys)], return_inverse=True)
    return np.asarray(numbers, np.int64)


def _frame_pairs(stems: Sequence[str], dataset: Dataset, seen: ImageFingerprints) -> Iterator[tuple[int, int]]:
    films: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, stem in enumerate(stems):
        match = _FRAME_PATTERN.fullmatch(_original_stem(stem))
        if match and seen.keys[row]:
            folder = str(PurePosixPath(dataset.images.get_name(row)).parent)
            films.setdefault((folder, match["film"]), []).append((int(match["number"][-15:]), row))
    codes = compute_perceptual_hashes(seen.thumbnails) if films else np.empty(0, np.uint64)
    for frames in films.values():
        rows = [row for _number, row in sorted(frames)]
        near = compute_hamming_distances(codes[rows[:-1]], codes[rows[1:]]) <= MAX_FRAME_BIT_DISTANCE
        yield from ((rows[at], rows[at + 1]) for at in np.flatnonzero(near).tolist())


def _version_pairs(stems: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of images whose names say that they were made of one; a lone version needs its original."""
    first: dict[str, int] = {}
    for row, stem in enumerate(stems):
        before = first.setdefault(_original_stem(stem).casefold(), row)
        if before != row and (_original_stem(stem) != stem or _original_stem(stems[before]) != stems[before]):
            yield before, row


def _original_stem(stem: str) -> str:
    match = _EXPORT_PATTERN.fullmatch(stem) or _VERSION_PATTERN.fullmatch(stem)
    return match["original"] if match else stem


def _pattern_pairs(stems: Sequence[str], pattern: str) -> Iterator[tuple[int, int]]:
    expression = _compile_pattern(pattern)
    first: dict[str, int] = {}
    for row, stem in enumerate(stems):
        match = expression.fullmatch(stem)
        if match:
            before = first.setdefault(match["group"], row)
            if before != row:
                yield before, row


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", pattern)
    if parts.count("{group}") != 1:
        raise UsageError(
            _("'{pattern}' does not say where the group stands.").format(pattern=pattern),
            _("Expected {group} once, such as {example}.").format(group="{group}", example="{group}_{n}"),
        )
    kinds = {"{group}": r"(?P<group>.+?)", "{n}": r"\d+"}
    return re.compile("".join(kinds.get(part, r".*?" if part.startswith("{") else re.escape(part)) for part in parts))
