"""Groups images that must stay in the same split: duplicates, frames of one video, versions of one original."""

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

MAX_FRAME_BIT_DISTANCE = 18  # of 64 bits, between the perceptual hashes of two successive frames
# clip_0041: a video and the number of a frame.
_FRAME_PATTERN = re.compile(r"(?P<film>.*?)(?P<number>\d+)$")
# beach_jpg.rf.0a1b2c3d: a version made by Roboflow from beach.jpg.
_EXPORT_PATTERN = re.compile(r"(?P<original>.+)[._](?:jpe?g|png|bmp|webp)\.rf\.[0-9a-f]{8,}$", re.IGNORECASE)
# beach (1), beach-copy, beach_flip2: a version made by hand or by an augmentation program.
_VERSION_PATTERN = re.compile(
    r"(?P<original>.+?)(?:[ _-]?\((?:\d+|copy|copia|cópia)\)"
    r"|[ _-](?:copy|copia|cópia|aug|augmented|alt|flip|flipped|hflip|vflip|mirror|rot|rotated|crop|cropped|bright|dark"
    r"|blur|noise|resized|small)[ _-]?\d*)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ImageGroups:
    """A partition of N images.

    ``ids`` int64 (N,) numbers the group of each image, from 0. ``reasons`` counts, by reason in the current language,
    how many merges of two groups each reason caused; reasons that caused none are left out.
    """

    ids: NDArray[np.int64]
    reasons: dict[str, int]

    @property
    def grouped_count(self) -> int:
        """The number of images that share their group with at least one other."""
        return int((np.bincount(self.ids)[self.ids] > 1).sum()) if len(self.ids) else 0


def group_pairs(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Return the groups, int64 (N,), of ``count`` images when both images of each pair belong together."""
    forest = UnionFind(count)
    for first, second in pairs:
        forest.merge(first, second)
    return forest.get_group_ids()


def find_groups(
    dataset: Dataset,
    progress: Progress = SILENT,
    pattern: str | None = None,
    pairs: Iterable[DuplicatePair] | None = None,
) -> ImageGroups:
    """Return the groups of ``dataset``: by duplicate content, by video frames, by file names, and by ``pattern``.

    Numbered file names alone do not make frames of one video: successive frames must also look alike. ``pattern``
    matches the file name without its suffix; the part of ``{group}`` names the group, any other ``{word}`` matches
    anything. ``pairs`` are the results of ``find_duplicates`` where they are known already.

    Raise ``UsageError`` when ``pattern`` does not contain ``{group}`` exactly once.
    """
    fingerprints = compute_fingerprints(dataset, progress)
    stems = [PurePosixPath(dataset.images.get_name(row)).stem for row in range(len(dataset))]
    duplicates = find_duplicates(dataset, progress, fingerprints) if pairs is None else pairs
    links_by_reason = {
        _("copies"): [(pair.first, pair.second) for pair in duplicates],
        _("frames of the same video"): list(_frame_pairs(stems, dataset, fingerprints)),
        _("versions of the same photo"): list(_version_pairs(stems)),
        _("grouped by the pattern"): list(_pattern_pairs(stems, pattern)) if pattern else [],
    }
    forest = UnionFind(len(dataset))
    reasons = {}
    for reason, links in links_by_reason.items():
        joined = sum(forest.merge(first, second) for first, second in links)
        if joined:
            reasons[reason] = joined
    return ImageGroups(forest.get_group_ids(), reasons)


def group_by_content(keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the groups, int64 (N,), of images with equal content ``keys``.

    An empty key, of an image that cannot be read, makes a group of its own.
    """
    _unique_keys, group_ids = np.unique([key or f"-{row}" for row, key in enumerate(keys)], return_inverse=True)
    return np.asarray(group_ids, np.int64)


def _frame_pairs(stems: Sequence[str], dataset: Dataset, fingerprints: ImageFingerprints) -> Iterator[tuple[int, int]]:
    """Yield the rows of successive frames: same folder, same name but for the number at its end, similar hashes."""
    frames_by_video: dict[tuple[str, str], list[tuple[int, int]]] = {}  # (folder, video) -> (frame number, row)
    for row, stem in enumerate(stems):
        match = _FRAME_PATTERN.fullmatch(_original_stem(stem))
        if match and fingerprints.keys[row]:
            folder = str(PurePosixPath(dataset.images.get_name(row)).parent)
            frames_by_video.setdefault((folder, match["film"]), []).append((int(match["number"][-15:]), row))
    hashes = compute_perceptual_hashes(fingerprints.thumbnails) if frames_by_video else np.empty(0, np.uint64)
    for frames in frames_by_video.values():
        rows = [row for _number, row in sorted(frames)]
        is_similar = compute_hamming_distances(hashes[rows[:-1]], hashes[rows[1:]]) <= MAX_FRAME_BIT_DISTANCE
        yield from ((rows[i], rows[i + 1]) for i in np.flatnonzero(is_similar).tolist())


def _version_pairs(stems: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield each image with the first one of the same original, judging by file names.

    Two names are not enough when neither carries the mark of a version.
    """
    first_rows: dict[str, int] = {}
    for row, stem in enumerate(stems):
        first = first_rows.setdefault(_original_stem(stem).casefold(), row)
        if first != row and (_original_stem(stem) != stem or _original_stem(stems[first]) != stems[first]):
            yield first, row


def _original_stem(stem: str) -> str:
    """Return the file stem of the original that ``stem`` is a version of; ``stem`` itself when it is none."""
    match = _EXPORT_PATTERN.fullmatch(stem) or _VERSION_PATTERN.fullmatch(stem)
    return match["original"] if match else stem


def _pattern_pairs(stems: Sequence[str], pattern: str) -> Iterator[tuple[int, int]]:
    """Yield each image whose name matches ``pattern`` with the first one of the same group."""
    expression = _compile_pattern(pattern)
    first_rows: dict[str, int] = {}
    for row, stem in enumerate(stems):
        match = expression.fullmatch(stem)
        if match:
            first = first_rows.setdefault(match["group"], row)
            if first != row:
                yield first, row


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of ``pattern``.

    ``{group}`` matches at least one character, ``{n}`` digits, and any other ``{word}`` anything. Raise ``UsageError``
    when ``{group}`` is not there exactly once.
    """
    pieces = re.split(r"(\{\w+\})", pattern)
    if pieces.count("{group}") != 1:
        raise UsageError(
            _("'{pattern}' does not contain the group.").format(pattern=pattern),
            _("Expected {group} once, for example {example}.").format(group="{group}", example="{group}_{n}"),
        )
    placeholders = {"{group}": r"(?P<group>.+?)", "{n}": r"\d+"}
    return re.compile(
        "".join(placeholders.get(piece, r".*?" if piece.startswith("{") else re.escape(piece)) for piece in pieces)
    )
