"""Checks of masks and outlines: void photos, masks of a few pixels, pinholes, masks off their boxes, claimed pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import CROWD, GROUP
from lince.checks.box_checks import find_turned_images
from lince.checks.check_context import CheckContext, CheckFinding, FindingText, make_findings
from lince.findings import Severity
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent

MAX_VOID_SHARE = 0.5  # of the pixels of a photo
CRUMB_PIXELS = 16  # a class with fewer in a photo is probably left over from resizing a mask, or a slip of the hand
MAX_CRUMB_SHARE = 0.1  # of the photos; more have them where all masks were resized
MIN_PINHOLES = 10  # of one mask, from which they are no texture of the object
MIN_BOX_IOU = 0.5  # of the box of an object and the box around its mask
MIN_CLAIM_PIXELS, MIN_CLAIM_SHARE = 100, 0.2  # of the smaller of two masks: outlines along one edge overlap a little


def check_masks(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on masks and outlines; none where no object has one.

    Codes: ``mostly-void``, ``crumb``, ``pinholes``, ``off-box``, ``claimed``.
    """
    objects = context.objects
    if not (context.dataset.is_pixelwise or (objects.has_mask | objects.has_polygons).any()):
        return []
    return [
        *_void_photos(context),
        *_crumbs(context),
        *_pinholes(context),
        *_masks_off_boxes(context),
        *_claimed_pixels(context),
    ]


def _void_photos(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``mostly-void``: photos of which more than ``MAX_VOID_SHARE`` is void."""
    pixels = context.image_stats.sizes.astype(np.int64).prod(axis=1)
    shares = context.mask_measures.void_areas / np.maximum(pixels, 1)
    rows = np.flatnonzero(shares > MAX_VOID_SHARE).tolist()
    text = FindingText(
        Severity.WARNING,
        _("Photos that are mostly void"),
        _("The labels say nothing of more than half of their pixels, which are not learned."),
        _("Check that the value of void pixels is right (--void), and label what matters."),
    )
    return context.make_image_findings("mostly-void", text, rows, {row: format_percent(shares[row]) for row in rows})


def _crumbs(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``crumb``: classes with fewer than ``CRUMB_PIXELS`` pixels of a mask image.

    A warning when more than ``MAX_CRUMB_SHARE`` of the photos have one, as those whose masks were resized with
    interpolation. Outlines are left out: a person who drew one meant it.
    """
    if not context.dataset.is_pixelwise:
        return []
    areas = context.mask_measures.areas
    indices = np.flatnonzero(context.mask_measures.is_known & (areas < CRUMB_PIXELS))
    share = len(np.unique(context.objects.image_ids[indices])) / max(len(context.dataset), 1)
    text = FindingText(
        Severity.WARNING if share > MAX_CRUMB_SHARE else Severity.NOTE,
        _("Classes of a few pixels"),
        _("They have fewer than 16 pixels in a photo, as where a mask was resized or saved as JPEG."),
        _("Remove those that mark nothing. Save masks as PNG, and resize them without interpolation (nearest pixel)."),
    )
    return context.make_object_findings(
        "crumb", text, indices, lambda i: _("{n} px").format(n=format_count(int(areas[i])))
    )


def _pinholes(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``pinholes``: masks with at least ``MIN_PINHOLES`` holes of a few pixels.

    Outlines are left out: where one touches itself, as around leaves that overlap, small gaps stay between its sides.
    """
    counts = context.mask_measures.pinholes
    text = FindingText(
        Severity.NOTE,
        _("Masks with many pinholes"),
        _("They have ten or more holes of up to 16 pixels, which brushes and thresholds leave behind."),
        _("Fill them if the objects have no holes there: a model learns them as background."),
    )
    indices = np.flatnonzero((counts >= MIN_PINHOLES) & context.objects.has_mask & ~_is_crowd(context))
    return context.make_object_findings(
        "pinholes", text, indices, lambda i: _("{n} holes").format(n=format_count(int(counts[i])))
    )


def _masks_off_boxes(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``off-box``: objects whose mask lies elsewhere than their box."""
    measures = context.mask_measures
    objects = context.objects
    ious = geometry.compute_paired_iou(objects.boxes, measures.boxes, np.zeros(len(objects), np.bool_))
    is_off = (measures.areas > 0) & (ious < MIN_BOX_IOU) & ~find_turned_images(context)[objects.image_ids]
    text = FindingText(
        Severity.WARNING,
        _("Masks off their boxes"),
        _("The box around the mask and the box of the label overlap by less than half (IoU)."),
        _("Check which of the two is right: the photo may have been resized, or the mask belongs to another object."),
    )
    return context.make_object_findings(
        "off-box", text, np.flatnonzero(is_off), lambda i: f"IoU {format_decimal(float(ious[i]), 2)}"
    )


def _claimed_pixels(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``claimed``: pairs of masks of different classes that cover the same pixels."""
    names, class_ids = context.dataset.classes.names, context.objects.class_ids
    is_crowd = _is_crowd(context)
    claims = [
        claim
        for claim in context.mask_measures.claims
        if not is_crowd[list(claim.objects)].any()
        and claim.pixels >= MIN_CLAIM_PIXELS
        and claim.share >= MIN_CLAIM_SHARE
    ]
    text = FindingText(
        Severity.NOTE,
        _("Pixels of two classes"),
        _(
            "Masks of two classes cover the same pixels, a fifth of the smaller mask or more. In semantic segmentation "
            "a pixel has one class: that of the mask that comes later in the labels."
        ),
        _("This is fine for objects in front of each other. For semantic segmentation, list what is in front last."),
    )
    examples = (
        context.make_example(
            claim.row,
            _("{names}: {n} px, {share} of the smaller one").format(
                names=" / ".join(names[class_ids[i]] for i in claim.objects),
                n=format_count(claim.pixels),
                share=format_percent(claim.share, 0),
            ),
            claim.objects,
        )
        for claim in claims
    )
    return make_findings("claimed", text, examples, len(claims))


def _is_crowd(context: CheckContext) -> NDArray[np.bool_]:
    """Return which objects are crowds or groups, bool (M,): their masks cover single objects, and have gaps."""
    return np.asarray((context.objects.flags & (CROWD | GROUP)) != 0)
