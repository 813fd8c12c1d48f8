"""Checks of image files: unreadable, misnamed, wrong orientation or size, unusual shape, blank, dark, blurred.

They read the measurements of ``image_stats`` and do not open any image again. What is unusual is judged relative to
the median of the dataset where possible, so that a dataset of thumbnails is not reported as a whole.
"""

from __future__ import annotations

import posixpath

import numpy as np
from numpy.typing import NDArray

from lince.checks.check_context import CheckContext, CheckFinding, FindingExample, FindingText, make_findings
from lince.datasets.label_sizes import find_labelled_before_rotation, find_other_sizes, get_labelled_sizes
from lince.findings import Severity
from lince.i18n import _

SUFFIX_FORMATS = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif",
    ".bmp": "bmp", ".dib": "bmp", ".tif": "tiff", ".tiff": "tiff",
}  # fmt: skip
MAX_ASPECT_RATIO = 4.0  # longer side over shorter side
# An image is small when its short side is below MIN_SIDE pixels and below this share of the dataset's median.
MIN_SIDE, MIN_SIDE_SHARE = 64, 0.25
DARK_LEVEL = 0.16  # 99th percentile of brightness, 0..1
BLANK_CONTRAST = 0.012  # standard deviation of brightness, 0..1
# An image is blurred when its sharpness, in grey levels, is below both this and this share of the dataset's median.
BLUR_SHARPNESS, BLUR_SHARE = 4.5, 0.25


def check_images(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on image files.

    Codes: ``unreadable``, ``misnamed``, ``turned``, ``size``, ``small-photo``, ``long-photo``, ``blank``, ``dark``,
    ``blurred``.
    """
    checks = (
        _unreadable_images,
        _misnamed_files,
        _labelled_before_rotation,
        _size_mismatches,
        _unusual_shapes,
        _blank_images,
        _dark_images,
        _blurred_images,
    )
    return [finding for check in checks for finding in check(context)]


def get_readable_mask(context: CheckContext) -> NDArray[np.bool_]:
    """Return which images could be opened: bool (N,)."""
    return np.asarray(context.image_stats.columns["height"] > 0)


def _unreadable_images(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``unreadable``: images that cannot be decoded."""
    rejected_by_row = context.image_stats.unreadable_images
    finding_text = FindingText(
        Severity.ERROR,
        _("Unreadable photos"),
        _("They are truncated or damaged. Training skips them."),
        _("Copy them again from where they come from, or remove them."),
    )
    examples = (FindingExample(rejected.path, rejected.reason) for _row, rejected in sorted(rejected_by_row.items()))
    return make_findings("unreadable", finding_text, examples, len(rejected_by_row))


def _misnamed_files(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``misnamed``: files whose suffix names another image format than their content."""
    texts = {}
    for row in range(len(context.dataset)):
        image_format = context.image_stats.get_image_format(row)
        suffix = posixpath.splitext(context.dataset.images.get_name(row))[1].lower()
        if (
            image_format
            and SUFFIX_FORMATS.get(suffix, image_format) != image_format
            and row not in context.image_stats.unreadable_images
        ):
            texts[row] = _("named {ending}, actually {kind}").format(ending=suffix, kind=image_format.upper())
    finding_text = FindingText(
        Severity.WARNING,
        _("Wrong file extensions"),
        _("Their extension does not match their content. lince reads them anyway; other programs may not."),
        _("Rename them, or save them again in the format of their extension."),
    )
    return context.make_image_findings("misnamed", finding_text, texts, texts)


def _labelled_before_rotation(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``turned``: images labelled without applying their Exif orientation."""
    rows = np.flatnonzero(find_labelled_before_rotation(context.dataset, context.image_stats))
    finding_text = FindingText(
        Severity.ERROR,
        _("Labels that ignore the Exif orientation"),
        _("The photos have an Exif orientation tag, but the boxes only fit the unrotated image."),
        _("Rotate the boxes, or save the photos upright without the Exif tag and label them again."),
    )
    texts = {int(row): _format_orientation(context, int(row)) for row in rows}
    examples = (context.make_example(int(row), texts[int(row)], _object_range(context, int(row))) for row in rows)
    return make_findings("turned", finding_text, examples, len(rows))


def _size_mismatches(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``size``: images whose labels state another size than the image has."""
    labelled_sizes, sizes = get_labelled_sizes(context.dataset), context.image_stats.sizes
    differs = find_other_sizes(context.dataset, context.image_stats)
    texts = {
        row: _("labels say {width} x {height}, the photo has {w} x {h}").format(
            height=int(labelled_sizes[row, 0]),
            width=int(labelled_sizes[row, 1]),
            h=int(sizes[row, 0]),
            w=int(sizes[row, 1]),
        )
        for row in np.flatnonzero(differs).tolist()
    }
    finding_text = FindingText(
        Severity.ERROR,
        _("Image sizes that differ from the labels"),
        _("The photos do not have the size stated in their labels, so the boxes are in the wrong place."),
        _("Use the photos that were labelled, or scale the boxes by the same factor."),
    )
    return context.make_image_findings("size", finding_text, texts, texts)


def _unusual_shapes(context: CheckContext) -> list[CheckFinding]:
    """Return the findings ``small-photo`` and ``long-photo``; a small image is not also reported as long."""
    sizes, is_readable = context.image_stats.sizes, get_readable_mask(context)
    if not is_readable.any():
        return []
    short, long = sizes.min(axis=1), sizes.max(axis=1)
    median_side = float(np.median(short[is_readable]))
    is_small = is_readable & (short < MIN_SIDE) & (short < MIN_SIDE_SHARE * median_side)
    is_long = is_readable & ~is_small & (long > MAX_ASPECT_RATIO * short)
    texts = {
        row: _("{width} x {height}").format(height=int(sizes[row, 0]), width=int(sizes[row, 1]))
        for row in np.flatnonzero(is_small | is_long).tolist()
    }
    small_text = FindingText(
        Severity.NOTE,
        _("Photos much smaller than the others"),
        _("Their short side is less than a quarter of the median and under 64 pixels: they may be thumbnails."),
        _("Look for the originals."),
    )
    long_text = FindingText(
        Severity.NOTE,
        _("Extreme aspect ratios"),
        _("One side is more than four times the other. Much of the photo is lost when it is resized to a square."),
        _("Split them into several photos, or remove them."),
    )
    return [
        *context.make_image_findings("small-photo", small_text, np.flatnonzero(is_small), texts),
        *context.make_image_findings("long-photo", long_text, np.flatnonzero(is_long), texts),
    ]


def _blank_images(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``blank``: images of a single colour."""
    finding_text = FindingText(
        Severity.WARNING,
        _("Blank photos"),
        _("They have a single colour from edge to edge."),
        _("Remove them. Usual causes: a covered lens or a failed download."),
    )
    return context.make_image_findings("blank", finding_text, np.flatnonzero(_blank_mask(context)), {})


def _dark_images(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``dark``: images whose 99th percentile of brightness is below ``DARK_LEVEL``.

    Blank and very small images are left out.
    """
    is_dark = (
        _measurable_mask(context) & (context.image_stats.columns["bright_end"] < DARK_LEVEL) & ~_blank_mask(context)
    )
    finding_text = FindingText(
        Severity.NOTE,
        _("Very dark photos"),
        _("They are underexposed: even their brightest parts are almost black."),
        _("Check whether a person can recognise what they show; if not, remove them."),
    )
    return context.make_image_findings("dark", finding_text, np.flatnonzero(is_dark), {})


def _blurred_images(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``blurred``: images without a sharp area, compared with the median of the dataset.

    Blank, dark and very small images are left out.
    """
    columns, is_measurable = context.image_stats.columns, _measurable_mask(context) & ~_blank_mask(context)
    if not is_measurable.any():
        return []
    median_sharpness = float(np.median(columns["sharpness"][is_measurable]))
    is_bright = columns["bright_end"] >= DARK_LEVEL
    is_blurred = is_measurable & is_bright & (columns["sharpness"] < min(BLUR_SHARPNESS, BLUR_SHARE * median_sharpness))
    finding_text = FindingText(
        Severity.NOTE,
        _("Blurred photos"),
        _("No part of them is in focus."),
        _("Check whether a person can recognise what they show; if not, remove them."),
    )
    return context.make_image_findings("blurred", finding_text, np.flatnonzero(is_blurred), {})


def _measurable_mask(context: CheckContext) -> NDArray[np.bool_]:
    """Return which images come from files and are large enough to measure light and sharpness: bool (N,)."""
    from_files = np.array(
        [context.image_stats.get_image_format(row) is not None for row in range(len(context.dataset))], bool
    )
    return np.asarray(from_files & (context.image_stats.sizes.min(axis=1) >= MIN_SIDE))


def _blank_mask(context: CheckContext) -> NDArray[np.bool_]:
    """Return which images have less contrast than ``BLANK_CONTRAST``, scaled by their brightness: bool (N,)."""
    # A dark image has little contrast because it has little light, so its threshold is lower.
    light = np.clip(2 * context.image_stats.columns["brightness"], 0.1, 1.0)
    return np.asarray(get_readable_mask(context) & (context.image_stats.columns["contrast"] < BLANK_CONTRAST * light))


def _object_range(context: CheckContext, row: int) -> range:
    """Return the indices of the objects on the image at ``row``."""
    objects_of_image = context.objects.slice_of_image(row)
    return range(objects_of_image.start, objects_of_image.stop)


def _format_orientation(context: CheckContext, row: int) -> str:
    """Return the Exif orientation of an image in words."""
    return _("Exif orientation {n}").format(n=int(context.image_stats.columns["orientation"][row]))
