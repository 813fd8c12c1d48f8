"""Groups images that must stay in the same split: duplicates, frames of one video, versions of one original."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.datasets.dataset import Dataset
from lince.datasets.duplicates.alignment import compute_similarity
from lince.datasets.duplicates.comparisons import VersionComparer
from lince.datasets.duplicates.hashes import HashArray, compute_hamming_distances, compute_perceptual_hashes
from lince.datasets.duplicates.pose import MIN_VERSION_SIMILARITY
from lince.datasets.duplicates.search import (
    MIN_IMAGE_SIDE,
    DuplicatePair,
    DuplicateSearch,
    ImageFingerprints,
    compute_fingerprints,
    search_duplicates,
)
from lince.datasets.duplicates.time_limit import UNLIMITED, TimeLimit
from lince.datasets.film import are_in_time, coarsen_thumbnails, find_scenes
from lince.datasets.group_cuts import CutInput, GroupCut, cut_groups
from lince.datasets.image_source import PixelImages
from lince.datasets.image_stats import THUMBNAIL_SIDE
from lince.datasets.name_evidence import (
    EVERYWHERE,
    SCOPES,
    SPLITS,
    get_stem,
    list_export_families,
    list_series,
    list_version_families,
)
from lince.datasets.stratified_split import compute_class_presence
from lince.datasets.union_find import UnionFind
from lince.datasets.verification import compute_content_keys
from lince.errors import UsageError
from lince.i18n import _
from lince.progress import SILENT, Progress

MIN_GROUPS = 3  # that can be divided into training, validation and test
MAX_FRAME_BIT_DISTANCE = 18  # of 64 bits, between the perceptual hashes of two successive frames
_MAX_VERSIONS = 8  # of one photo that no cut separates
_MAX_VERSIONS_COMPARED = 8  # images of one name that each other one of that name is compared with
Link = tuple[int, int]  # the rows of two images


@dataclass(frozen=True)
class ImageGroups:
    """A partition of N images.

    ``ids`` int64 (N,) numbers the group of each image, from 0. ``reasons`` counts, by reason in the current language,
    how many merges of two groups each reason caused; reasons that caused none are left out. ``cuts`` are the groups
    that held too much to be divided and were cut. ``unreadable_rows`` are the images that cannot be read, each a group
    of its own; only those whose content was looked at are known. ``unlike_rows`` are those that are named as
    versions of one original, of which some do not look like the others. ``related_ids`` int64 (N,) divides these groups
    further, into images that surely come from one photo or film, without those that only look alike; ``nested_ids`` do
    so in steps, (N,) each: equal files; versions of one photo with them; frames of one film with them. They are empty
    where only a pattern was looked at. ``undecided_count`` images were not compared with all that they may look like,
    since the time for that was over.
    """

    ids: NDArray[np.int64]
    reasons: dict[str, int]
    cuts: tuple[GroupCut, ...] = ()
    unreadable_rows: tuple[int, ...] = ()
    related_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    unlike_rows: tuple[int, ...] = ()
    nested_ids: tuple[NDArray[np.int64], ...] = ()
    undecided_count: int = 0

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


def find_groups(  # noqa: PLR0913
    dataset: Dataset,
    progress: Progress = SILENT,
    pattern: str | None = None,
    search: DuplicateSearch | None = None,
    *,
    by_content: bool = True,
    min_groups: int = MIN_GROUPS,
    limit: TimeLimit = UNLIMITED,
) -> ImageGroups:
    """Return the groups of ``dataset``: by duplicate content, by video frames, by altered copies, and by ``pattern``.

    Names alone make neither frames of one video nor versions of one photo: the images must also look alike. Groups that
    hold too much to be divided into ``min_groups`` are cut (``group_cuts.py``), those of ``pattern`` and of equal files
    excepted. ``pattern`` matches the file name without its suffix; the part of ``{group}`` names the group, any other
    ``{word}`` matches anything. Without ``by_content`` it alone decides. ``search`` is what a search for duplicates
    found, where it is known already. The order of the images does not matter. Photos that may look alike and are not
    compared by ``limit`` are kept together.

    Raise ``UsageError`` when ``pattern`` does not contain ``{group}`` exactly once, or fits no name.
    """
    names = [dataset.images.get_name(row) for row in range(len(dataset))]
    pattern_links = list(_pattern_pairs(names, pattern)) if pattern else []
    if not by_content:
        return _join_links(len(dataset), {_("grouped by the pattern"): pattern_links})
    order = np.array(sorted(range(len(dataset)), key=names.__getitem__), np.int64)
    places = np.argsort(order)
    ordered, place_of = dataset.select(order), places.tolist()
    if search is None:
        search = search_duplicates(ordered, _read_fingerprints(ordered, progress), progress, limit)
    else:
        search = search.reorder(order)
    evidence = _GroupEvidence(ordered, search.fingerprints, search.pairs, [*search.undecided], limit)
    found = evidence.find_groups([(place_of[i], place_of[j]) for i, j in pattern_links], min_groups)
    unreadable = [i for i, key in enumerate(search.fingerprints.keys) if not key]
    return ImageGroups(
        _renumber(found.ids[places]),
        found.reasons,
        found.cuts,
        tuple(np.sort(order[unreadable]).tolist()),
        _renumber(found.related_ids[places]),
        () if pattern else tuple(np.sort(order[list(found.unlike_rows)]).tolist()),
        tuple(_renumber(ids[places]) for ids in found.nested_ids),
        found.undecided_count,
    )


@dataclass(frozen=True, eq=False)
class _GroupEvidence:
    """What the grouping of ``dataset``, in the order of the names, is based on.

    ``undecided`` are the pairs that were not compared before ``limit``; the grouping adds its own.
    """

    dataset: Dataset
    fingerprints: ImageFingerprints
    duplicates: tuple[DuplicatePair, ...]
    undecided: list[Link]
    limit: TimeLimit

    def find_groups(self, pattern_links: list[tuple[int, int]], min_groups: int) -> ImageGroups:
        """Return the groups, where images of ``pattern_links`` belong together whatever they show."""
        names = [self.dataset.images.get_name(row) for row in range(len(self.dataset))]
        presence = compute_class_presence(self.dataset)[:, :-1]
        equal_links, same_links, alike_links = self._list_links(presence)
        forest = UnionFind(len(names))
        for first, second in (*equal_links, *same_links, *alike_links, *pattern_links):
            forest.merge(first, second)
        version_links = list(self._link_versions(names, forest))
        film_links, burst_links = self._link_frames(names, forest)
        undecided = [link for link in self.undecided if not forest.is_connected(*link)]
        reasons = {
            _("copies"): equal_links + same_links,
            _("photos that look alike"): alike_links,
            _("versions of the same photo"): version_links,
            _("frames of the same video"): film_links + burst_links,
            _("grouped by the pattern"): pattern_links,
            _("not compared in time"): undecided,
        }
        joined = _join_links(len(names), reasons)
        inputs = CutInput(
            self._join_units([*equal_links, *version_links, *pattern_links], same_links),
            np.stack([_order_in_time(names, scope) for scope in (SPLITS, EVERYWHERE)]),
            self.fingerprints.thumbnails,
            presence,
        )
        ids, cuts = cut_groups(inputs, joined.ids, min_groups)
        kept = {reason: _keep_links(links, ids) for reason, links in reasons.items()}
        steps = [equal_links, [*same_links, *version_links], film_links, pattern_links]
        *nested_ids, related_ids = (
            group_pairs(len(names), _keep_links([link for links in steps[: end + 1] for link in links], ids))
            for end in range(len(steps))
        )
        apart = (rows.tolist() for rows in list_export_families(names) if len(set(ids[rows].tolist())) > 1)
        unlike = tuple(row for rows in apart for row in rows)
        undecided_count = len({row for link in self.undecided for row in link})
        return ImageGroups(
            ids,
            _join_links(len(names), kept).reasons,
            cuts,
            (),
            related_ids,
            unlike,
            tuple(nested_ids),
            undecided_count,
        )

    def _list_links(self, presence: NDArray[np.int64]) -> tuple[list[Link], list[Link], list[Link]]:
        """Return the pairs of equal files, of versions of one photo, and of photos that look alike.

        A photo turned or mirrored only looks like one that does not show the same classes; ``presence`` (N, C) is 1 for
        each class that an image shows.
        """
        equal_links, same_links, alike_links = list[Link](), list[Link](), list[Link]()
        for pair in self.duplicates:
            is_other = pair.is_turned and bool((presence[pair.first] != presence[pair.second]).any())
            is_same = pair.is_same_photo and not is_other
            links = equal_links if not pair.is_near_duplicate else same_links if is_same else alike_links
            links.append((pair.first, pair.second))
        return equal_links, same_links, alike_links

    def _join_units(self, links: list[Link], same_links: list[Link]) -> NDArray[np.int64]:
        """Return the units, (N,), that no cut separates: images joined by ``links``, and versions of one photo.

        More versions than there are of a photo are the frames of a film, which may be cut.
        """
        count = len(self.dataset)
        versions = group_pairs(count, same_links)
        sizes = np.bincount(versions, minlength=count)
        few = [(first, second) for first, second in same_links if sizes[versions[first]] <= _MAX_VERSIONS]
        return group_pairs(count, [*links, *few])

    def _link_versions(self, names: Sequence[str], forest: UnionFind) -> Iterator[tuple[int, int]]:
        """Yield pairs of images that are named as versions of one original and look like it; ``forest`` joins them.

        Pairs that ``forest`` holds together already are yielded without being compared.
        """
        comparer = VersionComparer(self.fingerprints.keys, self.fingerprints.thumbnails)
        for family in list_version_families(names):
            members = [row for row in family.tolist() if self.fingerprints.keys[row]]
            for place, row in enumerate(members):
                earlier = members[:place]
                linked = next((other for other in earlier if forest.is_connected(other, row)), None)
                if linked is None and earlier and self.limit.is_over():
                    self.undecided.append((earlier[0], row))
                elif linked is None:
                    linked = next((o for o in earlier[:_MAX_VERSIONS_COMPARED] if comparer.are_versions(o, row)), None)
                if linked is not None:
                    forest.merge(linked, row)
                    yield linked, row
        comparer.close()

    def _link_frames(self, names: Sequence[str], forest: UnionFind) -> tuple[list[Link], list[Link]]:
        """Return successive images of one series that look alike, as the frames of a film do; ``forest`` joins them.

        The first list is from series in which successive images are more alike than others, as time makes them; in
        those of the second, all images may be alike. Small images, such as digits, look alike too easily.
        """
        is_large = self.fingerprints.short_sides >= MIN_IMAGE_SIDE
        film_links, burst_links = list[Link](), list[Link]()
        if not is_large.any():
            return film_links, burst_links
        hashes = compute_perceptual_hashes(self.fingerprints.thumbnails)
        series = {rows.tobytes(): rows for scope in SCOPES for rows in list_series(names, scope)}
        for rows in series.values():
            large = rows[is_large[rows]]
            features = coarsen_thumbnails(self.fingerprints.thumbnails[large])
            is_film = are_in_time(features)
            goes_on = find_scenes(features) if is_film else np.zeros(max(len(large) - 1, 0), bool)
            links = self._link_successive(large, hashes, goes_on, forest)
            (film_links if is_film else burst_links).extend(links)
        return film_links, burst_links

    def _link_successive(
        self, rows: NDArray[np.int64], hashes: HashArray, goes_on: NDArray[np.bool_], forest: UnionFind
    ) -> Iterator[Link]:
        """Yield the neighbours among ``rows`` (R,) that look alike or, where ``goes_on`` (R - 1,), show one scene."""
        thumbnails = self.fingerprints.thumbnails
        is_near = compute_hamming_distances(hashes[rows[:-1]], hashes[rows[1:]]) <= MAX_FRAME_BIT_DISTANCE
        for place in np.flatnonzero(is_near | goes_on).tolist():
            first, second = int(rows[place]), int(rows[place + 1])
            if not (goes_on[place] or forest.is_connected(first, second)) and self.limit.is_over():
                self.undecided.append((first, second))
            elif (
                goes_on[place]
                or forest.is_connected(first, second)
                or compute_similarity(thumbnails[first], thumbnails[second]) >= MIN_VERSION_SIMILARITY
            ):
                forest.merge(first, second)
                yield first, second


def _keep_links(links: Iterable[Link], ids: NDArray[np.int64]) -> list[Link]:
    """Return the links within one of the groups ``ids`` (N,)."""
    return [(first, second) for first, second in links if ids[first] == ids[second]]


def _read_fingerprints(dataset: Dataset, progress: Progress) -> ImageFingerprints:
    """Return the fingerprints of the images; without thumbnails for pixel arrays of small images, such as digits."""
    if isinstance(dataset.images, PixelImages) and all(
        min(dataset.images.read_size(row)) < MIN_IMAGE_SIDE for row in range(len(dataset))
    ):
        keys = compute_content_keys(dataset, progress)
        thumbnails = np.zeros((len(dataset), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
        return ImageFingerprints(keys, thumbnails, np.ones(len(dataset), np.int32))
    return compute_fingerprints(dataset, progress)


def _join_links(count: int, links_by_reason: dict[str, list[tuple[int, int]]]) -> ImageGroups:
    """Return the groups of ``count`` images that the links join, and how many merges each reason caused."""
    forest = UnionFind(count)
    reasons = {}
    for reason, links in links_by_reason.items():
        joined = sum(forest.merge(first, second) for first, second in links)
        if joined:
            reasons[reason] = joined
    ids = forest.get_group_ids()
    return ImageGroups(ids, reasons, related_ids=ids)


def _order_in_time(names: Sequence[str], scope: str) -> NDArray[np.int64]:
    """Return the place of each image in time, int64 (N,), -1 where its name does not count it: series by series.

    ``scope`` is that of ``list_series``.
    """
    order = np.full(len(names), -1, np.int64)
    rows = [row for series in list_series(names, scope) if len(series) > 2 for row in series.tolist()]
    order[rows] = np.arange(len(rows))
    return order


def _renumber(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``ids`` (N,) numbered from 0 in the order of their first images."""
    _numbers, firsts, places = np.unique(ids, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(firsts))[places], np.int64)


def group_by_content(keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the groups, int64 (N,), of images with equal content ``keys``.

    An empty key, of an image that cannot be read, makes a group of its own.
    """
    _unique_keys, group_ids = np.unique([key or f"-{row}" for row, key in enumerate(keys)], return_inverse=True)
    return np.asarray(group_ids, np.int64)


def _pattern_pairs(names: Sequence[str], pattern: str) -> Iterator[tuple[int, int]]:
    """Yield each image whose name fits ``pattern`` with the first one of the same group.

    Raise ``UsageError`` when it fits none.
    """
    expression = _compile_pattern(pattern)
    first_rows: dict[str, int] = {}
    for row, name in enumerate(names):
        match = expression.fullmatch(get_stem(name))
        if match:
            first = first_rows.setdefault(match["group"], row)
            if first != row:
                yield first, row
    if names and not first_rows:
        raise UsageError(
            _("'{pattern}' fits none of the {count:,} file names.").format(pattern=pattern, count=len(names)),
            _("Expected a pattern for names without folder and ending, such as {name}.").format(
                name=get_stem(names[0])
            ),
            _("Correct --group; {n} stands for digits, any other {word} for anything.").format(n="{n}", word="{word}"),
        )


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
