"""Checks of the boxes: beyond the photo, specks, very small ones, doubled ones, and those that cover everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import CROWD, GROUP
from lince.checks.finding import CheckContext, Example, Finding, FindingText, Severity, make_findings
from lince.checks.image_checks import find_labelled_before_rotation, get_readable_mask
from lince.formats.builders.object_table import EDGE_TOLERANCE
from lince.i18n import _

TINY_SIDE = 4.0  # pixels; a side below it is a slip of the hand
SMALL_AREA_SHARE = 0.001  # of the photo's area
FULL_SIDE_SHARE = 0.98  # of both sides of the photo
SAME_OBJECT_IOU = 0.9  # overlap (intersection over union) from which two boxes mean the same object


def check_boxes(evidence: CheckContext) -> list[Finding]:
    """Return what is wrong with the boxes; nothing for data that marks no objects."""
    if evidence.dataset.objects is None:
        return []
    return [
        *_boxes_outside_image(evidence),
        *_edge_overhang(evidence),
        *_unusual_sizes(evidence),
        *_coincident_boxes(evidence),
        *_images_without_objects(evidence),
    ]


def compute_pairwise_iou(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union (N, N) of every pair of ``boxes`` (N, 4)."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = geometry.compute_box_areas(boxes)
    return np.asarray(shared / np.maximum(areas[:, None] + areas[None, :] - shared, 1e-12), np.float64)


def compute_pixels_outside(evidence: CheckContext) -> NDArray[np.float64]:
    """Return by how many pixels each box (M,) leaves the photo as it really is; 0 where it does not open."""
    objects = evidence.objects
    height, width = _image_sizes_of_boxes(evidence)
    left, top, right, bottom = objects.boxes.T
    over = np.max([-left, -top, right - width, bottom - height], axis=0, initial=0.0)
    return np.where(get_readable_mask(evidence)[objects.image_ids], over, 0.0)


def _boxes_outside_image(evidence: CheckContext) -> list[Finding]:
    over = compute_pixels_outside(evidence)
    found = (over > EDGE_TOLERANCE) & ~find_labelled_before_rotation(evidence)[evidence.objects.image_ids]
    words = FindingText(
        Severity.ERROR,
        _("Boxes beyond the photo"),
        _("They reach further than the photo really does."),
        _("Look whether the photo was resized or cut after it was labelled; correct the boxes or take the original."),
    )
    return _object_findings(evidence, "beyond", words, np.flatnonzero(found), lambda i: _format_excess(float(over[i])))


def _edge_overhang(evidence: CheckContext) -> list[Finding]:
    over = compute_pixels_outside(evidence)
    found = (over > 0) & (over <= EDGE_TOLERANCE)
    words = FindingText(
        Severity.NOTE,
        _("Boxes a hair beyond the edge"),
        _("They leave the photo by one pixel at most, as rounding and counting from 1 bring about. They are used."),
        _("Nothing needs to be done."),
    )
    return _object_findings(evidence, "edge", words, np.flatnonzero(found), lambda i: _format_excess(float(over[i])))


def _unusual_sizes(evidence: CheckContext) -> list[Finding]:
    boxes = evidence.objects.boxes
    height, width = _image_sizes_of_boxes(evidence)
    sides = boxes[:, 2:] - boxes[:, :2]
    known = (
        get_readable_mask(evidence)[evidence.objects.image_ids]
        & ~find_labelled_before_rotation(evidence)[evidence.objects.image_ids]
    )
    speck = sides.min(axis=1, initial=np.inf) < TINY_SIDE
    share = sides.prod(axis=1) / np.maximum(height * width, 1)
    small = known & ~speck & (share < SMALL_AREA_SHARE)
    covered = np.minimum(sides[:, 0] / np.maximum(width, 1), sides[:, 1] / np.maximum(height, 1))
    whole = known & (covered >= FULL_SIDE_SHARE)

    def size(i: int) -> str:
        return _("{width:.1f} x {height:.1f} px").format(width=float(sides[i, 0]), height=float(sides[i, 1]))

    return [
        *_object_findings(evidence, "speck", _tiny_text(), np.flatnonzero(speck), size),
        *_object_findings(evidence, "small", _small_text(), np.flatnonzero(small), size),
        *_object_findings(evidence, "whole", _full_image_text(), np.flatnonzero(whole), size),
    ]


def _tiny_text() -> FindingText:
    return FindingText(
        Severity.WARNING,
        _("Specks"),
        _("Boxes with a side of less than 4 pixels: a slip of the hand, most often."),
        _("Look at them and remove those that mark nothing."),
    )


def _small_text() -> FindingText:
    return FindingText(
        Severity.NOTE,
        _("Very small objects"),
        _("They cover less than a thousandth of their photo, and are hard to learn at small input sizes."),
        _("Train with a larger input (--size), or cut the photos into tiles."),
    )


def _full_image_text() -> FindingText:
    return FindingText(
        Severity.NOTE,
        _("Boxes around the whole photo"),
        _("They cover their photo from edge to edge."),
        _("Right for close-ups. If a tool put them there because nobody drew anything, draw the objects."),
    )


def _coincident_boxes(evidence: CheckContext) -> list[Finding]:
    same: list[tuple[int, int]] = []
    other: list[tuple[int, int]] = []
    class_ids = evidence.objects.class_ids
    for first, second in _iter_coincident_pairs(evidence):
        (same if class_ids[first] == class_ids[second] else other).append((first, second))
    names = evidence.dataset.classes.names
    contested = [(pair, " / ".join(names[class_ids[i]] for i in pair)) for pair in other]
    doubled = [(pair, names[class_ids[pair[0]]]) for pair in same]
    rows = evidence.objects.image_ids
    return [
        *make_findings("doubled", _duplicate_text(), _pair_examples(evidence, doubled, rows), len(doubled)),
        *make_findings("contested", _conflicting_text(), _pair_examples(evidence, contested, rows), len(contested)),
    ]


def _duplicate_text() -> FindingText:
    return FindingText(
        Severity.WARNING,
        _("Objects marked twice"),
        _("Two boxes of one class lie on one another (overlap above 0.9)."),
        _("Remove one of each; exact copies are dropped by --fix duplicates."),
    )


def _conflicting_text() -> FindingText:
    return FindingText(
        Severity.WARNING,
        _("One object, two classes"),
        _("Two boxes of different classes lie on one another (overlap above 0.9)."),
        _("Decide which class is right and remove the other, unless an object may have both."),
    )


def _iter_coincident_pairs(evidence: CheckContext) -> Iterator[tuple[int, int]]:
    """Yield (first, second) object of each pair on one image that lie on one another; crowds and groups aside."""
    objects = evidence.objects
    single = (objects.flags & (CROWD | GROUP)) == 0
    for row in np.flatnonzero(np.diff(objects.starts) > 1).tolist():
        of = objects.slice_of_image(row)
        here = np.flatnonzero(single[of]) + of.start
        firsts, seconds = np.nonzero(np.triu(compute_pairwise_iou(objects.boxes[here]) > SAME_OBJECT_IOU, 1))
        yield from zip(here[firsts].tolist(), here[seconds].tolist(), strict=True)


def _pair_examples(
    evidence: CheckContext, pairs: Sequence[tuple[tuple[int, int], str]], rows: NDArray[np.int64]
) -> Iterator[Example]:
    return (evidence.make_example(int(rows[pair[0]]), text, pair) for pair, text in pairs)


def _images_without_objects(evidence: CheckContext) -> list[Finding]:
    rows = np.flatnonzero(np.diff(evidence.objects.starts) == 0)
    share = len(rows) / max(len(evidence.dataset), 1)
    words = FindingText(
        Severity.WARNING if share > 0.5 else Severity.NOTE,
        _("Photos without any object"),
        _(
            "Their label is empty ({share:.1%} of the photos), so they are taken to show none of the classes. "
            "Where all labels of a photo were refused above, that is wrong."
        ),
        _("Look through them. Some are good for training; a photo that nobody labelled teaches the wrong thing."),
    )
    return make_findings(
        "nothing-marked", words, map(evidence.make_example, rows.tolist()), len(rows), {"share": share}
    )


def _object_findings(
    evidence: CheckContext, code: str, words: FindingText, found: NDArray[np.int64], say: Callable[[int], str]
) -> list[Finding]:
    """Return the finding on the objects ``found``; ``say`` tells something of each."""
    rows, kinds = evidence.objects.image_ids, evidence.objects.class_ids
    examples = (
        evidence.make_example(int(rows[i]), f"{evidence.get_class_name(int(kinds[i]))}: {say(i)}", (i,))
        for i in found.tolist()
    )
    return make_findings(code, words, examples, len(found))


def _image_sizes_of_boxes(evidence: CheckContext) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    height, width = evidence.image_stats.sizes[evidence.objects.image_ids].T
    return height, width


def _format_excess(value: float) -> str:
    return _("by {excess:.2g} px").format(excess=value)
