"""Checks of object boxes: outside the image, tiny, very small, duplicated, or as large as the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import CROWD, GROUP
from lince.checks.check_context import CheckContext, CheckFinding, FindingExample, FindingText, make_findings
from lince.checks.image_checks import get_readable_mask
from lince.datasets.label_sizes import find_labelled_before_rotation
from lince.findings import Severity
from lince.formats.builders.object_table import EDGE_TOLERANCE
from lince.i18n import _, localise_number
from lince.number_format import format_decimal

TINY_SIDE = 4.0  # pixels; a box with a shorter side is probably a drawing error
SMALL_AREA_SHARE = 0.001  # of the image area
FULL_SIDE_SHARE = 0.98  # of both sides of the image
SAME_OBJECT_IOU = 0.9  # two boxes with a higher IoU probably mark the same object
_MAX_DIGITS = 17  # that tell two numbers apart
_ROUNDING = 0.01  # pixels: what fractions of six digits and binary numbers do to a side


def check_boxes(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on object boxes; none when the dataset has classes of whole images.

    Codes: ``beyond``, ``edge``, ``speck``, ``small``, ``whole``, ``doubled``, ``contested``, ``nothing-marked``. Only
    the last is found in mask images: the box around all pixels of a class is none that anybody drew.
    """
    if context.dataset.objects is None:
        return []
    if context.dataset.is_pixelwise:
        return _images_without_objects(context)
    return [
        *_boxes_outside_image(context),
        *_edge_overhang(context),
        *_unusual_sizes(context),
        *_coincident_boxes(context),
        *_images_without_objects(context),
    ]


def compute_pixels_outside(context: CheckContext) -> NDArray[np.float64]:
    """Return by how many pixels each box sticks out of its image, on the side where it does most: float64 (M,).

    The real size of the image is used, not the one that the labels state. 0 for boxes inside, and for all boxes of
    images that cannot be opened.
    """
    objects = context.objects
    height, width = _image_sizes_of_boxes(context)
    left, top, right, bottom = objects.boxes.T
    excess = np.max([-left, -top, right - width, bottom - height], axis=0, initial=0.0)
    return np.where(get_readable_mask(context)[objects.image_ids], excess, 0.0)


def _boxes_outside_image(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``beyond``: boxes that stick out by more than ``EDGE_TOLERANCE`` pixels.

    Images whose labels ignore the Exif orientation are left out; they have a finding of their own.
    """
    excess = compute_pixels_outside(context)
    outside = (excess > EDGE_TOLERANCE) & ~find_turned_images(context)[context.objects.image_ids]
    finding_text = FindingText(
        Severity.ERROR,
        _("Boxes outside the image"),
        _("They extend past the actual size of the photo."),
        _(
            "Check whether the photo was resized or cropped after it was labelled; correct the boxes or use "
            "the original photo."
        ),
    )
    return context.make_object_findings(
        "beyond", finding_text, np.flatnonzero(outside), lambda i: _format_excess(float(excess[i]))
    )


def _edge_overhang(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``edge``: boxes that stick out by ``_ROUNDING`` to ``EDGE_TOLERANCE`` pixels."""
    excess = compute_pixels_outside(context)
    slightly_outside = (excess > _ROUNDING) & (excess <= EDGE_TOLERANCE)
    finding_text = FindingText(
        Severity.NOTE,
        _("Boxes slightly outside the image"),
        _(
            "They exceed the image by at most one pixel, which happens with rounding or coordinates that start "
            "at 1. They are used."
        ),
        _("Nothing needs to be done."),
    )
    return context.make_object_findings(
        "edge", finding_text, np.flatnonzero(slightly_outside), lambda i: _format_excess(float(excess[i]))
    )


def _unusual_sizes(context: CheckContext) -> list[CheckFinding]:
    """Return the findings ``speck``, ``small`` and ``whole``.

    A tiny box is not also reported as small. Relative sizes are only judged where the image opens and its labels use
    the orientation of the image.
    """
    boxes = context.objects.boxes
    height, width = _image_sizes_of_boxes(context)
    sides = boxes[:, 2:] - boxes[:, :2]
    is_measurable = (get_readable_mask(context) & ~find_turned_images(context))[context.objects.image_ids]
    is_tiny = sides.min(axis=1, initial=np.inf) < TINY_SIDE
    area_share = sides.prod(axis=1) / np.maximum(height * width, 1)
    is_small = is_measurable & ~is_tiny & (area_share < SMALL_AREA_SHARE)
    side_share = np.minimum(sides[:, 0] / np.maximum(width, 1), sides[:, 1] / np.maximum(height, 1))
    covers_image = is_measurable & (side_share >= FULL_SIDE_SHARE)

    def format_size(index: int) -> str:
        """Return the size of the box at ``index`` in words."""
        width, height = map(_format_side, sides[index].tolist())
        return _("{width} x {height} px").format(width=width, height=height)

    return [
        *context.make_object_findings("speck", _tiny_text(), np.flatnonzero(is_tiny), format_size),
        *context.make_object_findings("small", _small_text(), np.flatnonzero(is_small), format_size),
        *context.make_object_findings("whole", _full_image_text(), np.flatnonzero(covers_image), format_size),
    ]


def _tiny_text() -> FindingText:
    """Return the wording of ``speck``."""
    return FindingText(
        Severity.WARNING,
        _("Tiny boxes"),
        _("Boxes with a side of less than 4 pixels, usually drawn by mistake."),
        _("Review them and remove those that mark no object."),
    )


def _small_text() -> FindingText:
    """Return the wording of ``small``."""
    return FindingText(
        Severity.NOTE,
        _("Very small objects"),
        _("They cover less than 0.1% of the photo, which is hard to learn with a small input size."),
        _("Train with a larger input (--size), or split the photos into tiles."),
    )


def _full_image_text() -> FindingText:
    """Return the wording of ``whole``."""
    return FindingText(
        Severity.NOTE,
        _("Boxes that cover the whole image"),
        _("They cover the image from edge to edge."),
        _("This is fine for close-ups. If a labelling tool added them by default, draw the objects."),
    )


def _coincident_boxes(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on boxes with nearly the same position: ``doubled`` (same class) and ``contested``."""
    same_class: list[tuple[int, int]] = []
    different_class: list[tuple[int, int]] = []
    class_ids = context.objects.class_ids
    for first, second in _iter_coincident_pairs(context):
        (same_class if class_ids[first] == class_ids[second] else different_class).append((first, second))
    names = context.dataset.classes.names
    contested = [(pair, " / ".join(names[class_ids[i]] for i in pair)) for pair in different_class]
    doubled = [(pair, names[class_ids[pair[0]]]) for pair in same_class]
    rows = context.objects.image_ids
    return [
        *make_findings("doubled", _duplicate_text(), _pair_examples(context, doubled, rows), len(doubled)),
        *make_findings("contested", _conflicting_text(), _pair_examples(context, contested, rows), len(contested)),
    ]


def _duplicate_text() -> FindingText:
    """Return the wording of ``doubled``."""
    return FindingText(
        Severity.WARNING,
        _("Duplicate boxes"),
        _("Two boxes of the same class almost coincide (IoU above 0.9)."),
        _("Remove one of each pair; --fix duplicates drops exact copies."),
    )


def _conflicting_text() -> FindingText:
    """Return the wording of ``contested``."""
    return FindingText(
        Severity.WARNING,
        _("One object, two classes"),
        _("Two boxes of different classes almost coincide (IoU above 0.9)."),
        _("Decide which class is right and remove the other, unless an object may have both."),
    )


def _iter_coincident_pairs(context: CheckContext) -> Iterator[tuple[int, int]]:
    """Yield the two object indices of each pair of boxes on one image whose IoU is above ``SAME_OBJECT_IOU``.

    Crowds and groups are skipped: they may cover single objects.
    """
    objects = context.objects
    is_single = (objects.flags & (CROWD | GROUP)) == 0
    for row in np.flatnonzero(np.diff(objects.starts) > 1).tolist():
        objects_of_image = objects.slice_of_image(row)
        indices = np.flatnonzero(is_single[objects_of_image]) + objects_of_image.start
        boxes = objects.boxes[indices]
        firsts, seconds = np.nonzero(np.triu(geometry.compute_iou(boxes, boxes) > SAME_OBJECT_IOU, 1))
        yield from zip(indices[firsts].tolist(), indices[seconds].tolist(), strict=True)


def _pair_examples(
    context: CheckContext, pairs: Sequence[tuple[tuple[int, int], str]], rows: NDArray[np.int64]
) -> Iterator[FindingExample]:
    """Return an example for each (pair of object indices, text); ``rows`` int64 (M,) are the images of the objects."""
    return (context.make_example(int(rows[pair[0]]), text, pair) for pair, text in pairs)


def _images_without_objects(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``nothing-marked``: images without objects, a warning when more than half of them are.

    Figures: ``share``, the fraction of images without objects, 0..1.
    """
    rows = np.flatnonzero(np.diff(context.objects.starts) == 0)
    share = len(rows) / max(len(context.dataset), 1)
    finding_text = FindingText(
        Severity.WARNING if share > 0.5 else Severity.NOTE,
        _("Photos without any object"),
        _(
            "Their label is empty ({share:.1%} of the photos), so they count as background. That is wrong for "
            "photos whose labels were all rejected above."
        ),
        _("Review them. Some background photos help training, but photos that nobody labelled harm it."),
    )
    return make_findings(
        "nothing-marked", finding_text, map(context.make_example, rows.tolist()), len(rows), {"share": share}
    )


def find_turned_images(context: CheckContext) -> NDArray[np.bool_]:
    """Return which images were labelled without applying their Exif orientation: bool (N,)."""
    return find_labelled_before_rotation(context.dataset, context.image_stats)


def _image_sizes_of_boxes(context: CheckContext) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the height and the width of the image of each box: two int32 (M,), 0 where it cannot be opened."""
    height, width = context.image_stats.sizes[context.objects.image_ids].T
    return height, width


def _format_excess(value: float) -> str:
    """Return by how many pixels a box sticks out, in words; never as ``EDGE_TOLERANCE`` where it is more."""
    texts = (f"{value:.{digits}g}" for digits in range(2, _MAX_DIGITS))
    text = next((text for text in texts if (float(text) > EDGE_TOLERANCE) == (value > EDGE_TOLERANCE)), str(value))
    return _("by {excess} px").format(excess=localise_number(text))


def _format_side(value: float) -> str:
    """Return a side in pixels with one decimal, or with as many as show that it is below ``TINY_SIDE``."""
    places = (places for places in range(1, _MAX_DIGITS) if (round(value, places) < TINY_SIDE) == (value < TINY_SIDE))
    return format_decimal(value, next(places, _MAX_DIGITS))
