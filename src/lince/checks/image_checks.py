"""Checks of the photos: those that do not open, lie about their kind, size or orientation, or show little."""

from __future__ import annotations

import posixpath

import numpy as np
from numpy.typing import NDArray

from lince.checks.finding import CheckContext, Example, Finding, FindingText, Severity, make_findings
from lince.formats.builders.object_table import EDGE_TOLERANCE
from lince.i18n import _

SUFFIX_FORMATS = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif",
    ".bmp": "bmp", ".dib": "bmp", ".tif": "tiff", ".tiff": "tiff",
}  # fmt: skip
MAX_ASPECT_RATIO = 4.0  # a photo whose longer side is more than so many times the shorter one
MIN_SIDE, MIN_SIDE_SHARE = (
    64,
    0.25,
)  # pixels of the short side, and its share of the usual one, below which a photo is small
DARK_LEVEL, BLANK_CONTRAST = (
    0.16,
    0.012,
)  # the bright end below which a photo is dark; the contrast below which it shows nothing
BLUR_SHARPNESS, BLUR_SHARE = (
    4.5,
    0.25,
)  # sharpness in grey levels, and its share of the usual one, below which it is blurred
_FIRST_SIDEWAYS_ORIENTATION = 5  # the first orientation in which the pixels lie on their side


def check_images(evidence: CheckContext) -> list[Finding]:
    """Return what is wrong with the photos, each photo looked at once."""
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
    return [found for one in checks for found in one(evidence)]


def find_labelled_before_rotation(evidence: CheckContext) -> NDArray[np.bool_]:
    """Return the photos (N,) whose labels were made on the photo as stored, not as the camera's note turns it."""
    columns, stated = evidence.image_stats.columns, _labelled_sizes(evidence)
    sideways = columns["orientation"] >= _FIRST_SIDEWAYS_ORIENTATION
    real = evidence.image_stats.sizes
    known = (stated > 0).all(axis=1)
    swapped = sideways & known & (stated == real[:, ::-1]).all(axis=1) & (real[:, 0] != real[:, 1])
    return np.asarray(swapped | (sideways & ~known & _fits_only_unrotated(evidence)))


def get_readable_mask(evidence: CheckContext) -> NDArray[np.bool_]:
    """Return which photos (N,) could be opened."""
    return np.asarray(evidence.image_stats.columns["height"] > 0)


def _unreadable_images(evidence: CheckContext) -> list[Finding]:
    refused = evidence.image_stats.unreadable_images
    words = FindingText(
        Severity.ERROR,
        _("Photos that do not open"),
        _("They are cut off or damaged. Training sets them aside."),
        _("Copy them again from where they come from, or remove them."),
    )
    found = (Example(refusal.path, refusal.reason) for _row, refusal in sorted(refused.items()))
    return make_findings("unreadable", words, found, len(refused))


def _misnamed_files(evidence: CheckContext) -> list[Finding]:
    texts = {}
    for row in range(len(evidence.dataset)):
        kind = evidence.image_stats.get_image_format(row)
        ending = posixpath.splitext(evidence.dataset.images.get_name(row))[1].lower()
        if kind and SUFFIX_FORMATS.get(ending, kind) != kind and row not in evidence.image_stats.unreadable_images:
            texts[row] = _("called {ending}, in truth {kind}").format(ending=ending, kind=kind.upper())
    words = FindingText(
        Severity.WARNING,
        _("Files named as another kind"),
        _("Their ending does not tell what they are. lince reads them all the same; other programs may not."),
        _("Rename them, or save them again as what they are called."),
    )
    return evidence.make_image_findings("misnamed", words, texts, texts)


def _labelled_before_rotation(evidence: CheckContext) -> list[Finding]:
    rows = np.flatnonzero(find_labelled_before_rotation(evidence))
    words = FindingText(
        Severity.ERROR,
        _("Labels made on photos lying on their side"),
        _("They carry a note of the camera (Exif) to turn them, and their boxes fit only without turning."),
        _("Turn the boxes, or save the photos upright without the note and label them again."),
    )
    texts = {int(row): _format_orientation(evidence, int(row)) for row in rows}
    examples = (evidence.make_example(int(r), texts[int(r)], _object_range(evidence, int(r))) for r in rows)
    return make_findings("turned", words, examples, len(rows))


def _size_mismatches(evidence: CheckContext) -> list[Finding]:
    stated, real = _labelled_sizes(evidence), evidence.image_stats.sizes
    differs = (
        (stated > 0).all(axis=1)
        & get_readable_mask(evidence)
        & (stated != real).any(axis=1)
        & ~find_labelled_before_rotation(evidence)
    )
    texts = {
        row: _("labels say {width} x {height}, the photo has {w} x {h}").format(
            height=int(stated[row, 0]), width=int(stated[row, 1]), h=int(real[row, 0]), w=int(real[row, 1])
        )
        for row in np.flatnonzero(differs).tolist()
    }
    words = FindingText(
        Severity.ERROR,
        _("Photos of another size than their labels say"),
        _("They do not have the size that their labels were made for, so their boxes stand in wrong places."),
        _("Take the photos that were labelled, or scale the boxes by the same factor."),
    )
    return evidence.make_image_findings("size", words, texts, texts)


def _unusual_shapes(evidence: CheckContext) -> list[Finding]:
    real, usable = evidence.image_stats.sizes, get_readable_mask(evidence)
    if not usable.any():
        return []
    short, long = real.min(axis=1), real.max(axis=1)
    usual = float(np.median(short[usable]))
    small = usable & (short < MIN_SIDE) & (short < MIN_SIDE_SHARE * usual)
    narrow = usable & ~small & (long > MAX_ASPECT_RATIO * short)
    texts = {
        row: _("{width} x {height}").format(height=int(real[row, 0]), width=int(real[row, 1]))
        for row in np.flatnonzero(small | narrow).tolist()
    }
    tiny = FindingText(
        Severity.NOTE,
        _("Photos much smaller than the others"),
        _("Their short side has less than a quarter of the usual one and fewer than 64 pixels: thumbnails, perhaps."),
        _("Look for the originals."),
    )
    strip = FindingText(
        Severity.NOTE,
        _("Very long or very tall photos"),
        _("One side is more than four times the other. Much of such a photo is lost when it is made square."),
        _("Cut them into several photos, or leave them out."),
    )
    return [
        *evidence.make_image_findings("small-photo", tiny, np.flatnonzero(small), texts),
        *evidence.make_image_findings("long-photo", strip, np.flatnonzero(narrow), texts),
    ]


def _blank_images(evidence: CheckContext) -> list[Finding]:
    words = FindingText(
        Severity.WARNING,
        _("Photos that show nothing"),
        _("They are of one colour from edge to edge."),
        _("Remove them; a camera with its lid on, or a failed download, makes such files."),
    )
    return evidence.make_image_findings("blank", words, np.flatnonzero(_blank_mask(evidence)), {})


def _dark_images(evidence: CheckContext) -> list[Finding]:
    dark = (
        _measurable_mask(evidence) & (evidence.image_stats.columns["bright_end"] < DARK_LEVEL) & ~_blank_mask(evidence)
    )
    words = FindingText(
        Severity.NOTE,
        _("Very dark photos"),
        _("There is hardly any light in them: even their brightest parts are almost black."),
        _("Look whether a person can tell what they show; if not, leave them out."),
    )
    return evidence.make_image_findings("dark", words, np.flatnonzero(dark), {})


def _blurred_images(evidence: CheckContext) -> list[Finding]:
    columns, photos = evidence.image_stats.columns, _measurable_mask(evidence) & ~_blank_mask(evidence)
    if not photos.any():
        return []
    usual = float(np.median(columns["sharpness"][photos]))
    lit = columns["bright_end"] >= DARK_LEVEL
    blurred = photos & lit & (columns["sharpness"] < min(BLUR_SHARPNESS, BLUR_SHARE * usual))
    words = FindingText(
        Severity.NOTE,
        _("Blurred photos"),
        _("They are sharp nowhere."),
        _("Look whether a person can tell what they show; if not, leave them out."),
    )
    return evidence.make_image_findings("blurred", words, np.flatnonzero(blurred), {})


def _measurable_mask(evidence: CheckContext) -> NDArray[np.bool_]:
    """Return which rows are photos of files, large enough that their light and sharpness mean something."""
    from_files = np.array(
        [evidence.image_stats.get_image_format(row) is not None for row in range(len(evidence.dataset))], bool
    )
    return np.asarray(from_files & (evidence.image_stats.sizes.min(axis=1) >= MIN_SIDE))


def _blank_mask(evidence: CheckContext) -> NDArray[np.bool_]:
    # A dark photo has little contrast because it has little light: less is asked of it.
    light = np.clip(2 * evidence.image_stats.columns["brightness"], 0.1, 1.0)
    return np.asarray(get_readable_mask(evidence) & (evidence.image_stats.columns["contrast"] < BLANK_CONTRAST * light))


def _labelled_sizes(evidence: CheckContext) -> NDArray[np.int32]:
    sizes = evidence.dataset.sizes
    return np.zeros((len(evidence.dataset), 2), np.int32) if sizes is None else sizes


def _fits_only_unrotated(evidence: CheckContext) -> NDArray[np.bool_]:
    """Return the images (N,) with a box that leaves the upright photo while all fit the photo as stored."""
    objects, real = evidence.objects, evidence.image_stats.sizes
    height, width = real[objects.image_ids].T
    beyond = (objects.boxes[:, 2] > width + EDGE_TOLERANCE) | (objects.boxes[:, 3] > height + EDGE_TOLERANCE)
    misfit = (objects.boxes[:, 2] > height + EDGE_TOLERANCE) | (objects.boxes[:, 3] > width + EDGE_TOLERANCE)
    count = len(evidence.dataset)
    leaves = np.bincount(objects.image_ids[beyond], minlength=count) > 0
    return np.asarray(leaves & (np.bincount(objects.image_ids[misfit], minlength=count) == 0))


def _object_range(evidence: CheckContext, row: int) -> range:
    of = evidence.objects.slice_of_image(row)
    return range(of.start, of.stop)


def _format_orientation(evidence: CheckContext, row: int) -> str:
    return _("Exif orientation {n}").format(n=int(evidence.image_stats.columns["orientation"][row]))
