"""Checks of the photos: those that do not open, lie about their kind, size or orientation, or show little."""

from __future__ import annotations

import posixpath

import numpy as np
from numpy.typing import NDArray

from lince.audit.finding import Evidence, Example, Finding, Severity, Words, finding
from lince.labels.marks import TOLERANCE
from lince.messages import _

ENDINGS = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif",
    ".bmp": "bmp", ".dib": "bmp", ".tif": "tiff", ".tiff": "tiff",
}  # fmt: skip
LONG = 4.0  # a photo whose longer side is more than so many times the shorter one
LITTLE, MUCH_LESS = 64, 0.25  # pixels of the short side, and its share of the usual one, below which a photo is small
DARK, BLANK = 0.16, 0.012  # the bright end below which a photo is dark; the contrast below which it shows nothing
BLURRED, FAR_BELOW = 4.5, 0.25  # sharpness in grey levels, and its share of the usual one, below which it is blurred
_SIDEWAYS = 5  # the first orientation in which the pixels lie on their side


def check(evidence: Evidence) -> list[Finding]:
    """Return what is wrong with the photos, each photo looked at once."""
    checks = (_unreadable, _misnamed, _turned, _sizes, _shapes, _blank, _dark, _blurred)
    return [found for one in checks for found in one(evidence)]


def turned(evidence: Evidence) -> NDArray[np.bool_]:
    """Return the photos (N,) whose labels were made on the photo as stored, not as the camera's note turns it."""
    columns, stated = evidence.facts.columns, _stated(evidence)
    sideways = columns["orientation"] >= _SIDEWAYS
    real = evidence.facts.sizes
    known = (stated > 0).all(axis=1)
    swapped = sideways & known & (stated == real[:, ::-1]).all(axis=1) & (real[:, 0] != real[:, 1])
    return np.asarray(swapped | (sideways & ~known & _fits_only_unturned(evidence)))


def opened(evidence: Evidence) -> NDArray[np.bool_]:
    """Return which photos (N,) could be opened."""
    return np.asarray(evidence.facts.columns["height"] > 0)


def _unreadable(evidence: Evidence) -> list[Finding]:
    refused = evidence.facts.unreadable
    words = Words(
        Severity.ERROR,
        _("Photos that do not open"),
        _("They are cut off or damaged. Training sets them aside."),
        _("Copy them again from where they come from, or remove them."),
    )
    found = (Example(refusal.path, refusal.reason) for _row, refusal in sorted(refused.items()))
    return finding("unreadable", words, found, len(refused))


def _misnamed(evidence: Evidence) -> list[Finding]:
    texts = {}
    for row in range(len(evidence.dataset)):
        kind = evidence.facts.kind(row)
        ending = posixpath.splitext(evidence.dataset.images.name(row))[1].lower()
        if kind and ENDINGS.get(ending, kind) != kind and row not in evidence.facts.unreadable:
            texts[row] = _("called {ending}, in truth {kind}").format(ending=ending, kind=kind.upper())
    words = Words(
        Severity.WARNING,
        _("Files named as another kind"),
        _("Their ending does not tell what they are. lince reads them all the same; other programs may not."),
        _("Rename them, or save them again as what they are called."),
    )
    return evidence.images("misnamed", words, texts, texts)


def _turned(evidence: Evidence) -> list[Finding]:
    rows = np.flatnonzero(turned(evidence))
    words = Words(
        Severity.ERROR,
        _("Labels made on photos lying on their side"),
        _("They carry a note of the camera (Exif) to turn them, and their boxes fit only without turning."),
        _("Turn the boxes, or save the photos upright without the note and label them again."),
    )
    texts = {int(row): _orientation(evidence, int(row)) for row in rows}
    examples = (evidence.example(int(r), texts[int(r)], _objects(evidence, int(r))) for r in rows)
    return finding("turned", words, examples, len(rows))


def _sizes(evidence: Evidence) -> list[Finding]:
    stated, real = _stated(evidence), evidence.facts.sizes
    differs = (stated > 0).all(axis=1) & opened(evidence) & (stated != real).any(axis=1) & ~turned(evidence)
    texts = {
        row: _("labels say {width} x {height}, the photo has {w} x {h}").format(
            height=int(stated[row, 0]), width=int(stated[row, 1]), h=int(real[row, 0]), w=int(real[row, 1])
        )
        for row in np.flatnonzero(differs).tolist()
    }
    words = Words(
        Severity.ERROR,
        _("Photos of another size than their labels say"),
        _("They do not have the size that their labels were made for, so their boxes stand in wrong places."),
        _("Take the photos that were labelled, or scale the boxes by the same factor."),
    )
    return evidence.images("size", words, texts, texts)


def _shapes(evidence: Evidence) -> list[Finding]:
    real, usable = evidence.facts.sizes, opened(evidence)
    if not usable.any():
        return []
    short, long = real.min(axis=1), real.max(axis=1)
    usual = float(np.median(short[usable]))
    small = usable & (short < LITTLE) & (short < MUCH_LESS * usual)
    narrow = usable & ~small & (long > LONG * short)
    texts = {
        row: _("{width} x {height}").format(height=int(real[row, 0]), width=int(real[row, 1]))
        for row in np.flatnonzero(small | narrow).tolist()
    }
    tiny = Words(
        Severity.NOTE,
        _("Photos much smaller than the others"),
        _("Their short side has less than a quarter of the usual one and fewer than 64 pixels: thumbnails, perhaps."),
        _("Look for the originals."),
    )
    strip = Words(
        Severity.NOTE,
        _("Very long or very tall photos"),
        _("One side is more than four times the other. Much of such a photo is lost when it is made square."),
        _("Cut them into several photos, or leave them out."),
    )
    return [
        *evidence.images("small-photo", tiny, np.flatnonzero(small), texts),
        *evidence.images("long-photo", strip, np.flatnonzero(narrow), texts),
    ]


def _blank(evidence: Evidence) -> list[Finding]:
    words = Words(
        Severity.WARNING,
        _("Photos that show nothing"),
        _("They are of one colour from edge to edge."),
        _("Remove them; a camera with its lid on, or a failed download, makes such files."),
    )
    return evidence.images("blank", words, np.flatnonzero(_is_blank(evidence)), {})


def _dark(evidence: Evidence) -> list[Finding]:
    dark = _photos(evidence) & (evidence.facts.columns["bright_end"] < DARK) & ~_is_blank(evidence)
    words = Words(
        Severity.NOTE,
        _("Very dark photos"),
        _("There is hardly any light in them: even their brightest parts are almost black."),
        _("Look whether a person can tell what they show; if not, leave them out."),
    )
    return evidence.images("dark", words, np.flatnonzero(dark), {})


def _blurred(evidence: Evidence) -> list[Finding]:
    columns, photos = evidence.facts.columns, _photos(evidence) & ~_is_blank(evidence)
    if not photos.any():
        return []
    usual = float(np.median(columns["sharpness"][photos]))
    lit = columns["bright_end"] >= DARK
    blurred = photos & lit & (columns["sharpness"] < min(BLURRED, FAR_BELOW * usual))
    words = Words(
        Severity.NOTE,
        _("Blurred photos"),
        _("They are sharp nowhere."),
        _("Look whether a person can tell what they show; if not, leave them out."),
    )
    return evidence.images("blurred", words, np.flatnonzero(blurred), {})


def _photos(evidence: Evidence) -> NDArray[np.bool_]:
    """Return which rows are photos of files, large enough that their light and sharpness mean something."""
    from_files = np.array([evidence.facts.kind(row) is not None for row in range(len(evidence.dataset))], bool)
    return np.asarray(from_files & (evidence.facts.sizes.min(axis=1) >= LITTLE))


def _is_blank(evidence: Evidence) -> NDArray[np.bool_]:
    # A dark photo has little contrast because it has little light: less is asked of it.
    light = np.clip(2 * evidence.facts.columns["brightness"], 0.1, 1.0)
    return np.asarray(opened(evidence) & (evidence.facts.columns["contrast"] < BLANK * light))


def _stated(evidence: Evidence) -> NDArray[np.int32]:
    sizes = evidence.dataset.sizes
    return np.zeros((len(evidence.dataset), 2), np.int32) if sizes is None else sizes


def _fits_only_unturned(evidence: Evidence) -> NDArray[np.bool_]:
    """Return the images (N,) with a box that leaves the upright photo while all fit the photo as stored."""
    objects, real = evidence.objects, evidence.facts.sizes
    height, width = real[objects.image_ids].T
    beyond = (objects.boxes[:, 2] > width + TOLERANCE) | (objects.boxes[:, 3] > height + TOLERANCE)
    misfit = (objects.boxes[:, 2] > height + TOLERANCE) | (objects.boxes[:, 3] > width + TOLERANCE)
    count = len(evidence.dataset)
    leaves = np.bincount(objects.image_ids[beyond], minlength=count) > 0
    return np.asarray(leaves & (np.bincount(objects.image_ids[misfit], minlength=count) == 0))


def _objects(evidence: Evidence, row: int) -> range:
    of = evidence.objects.of(row)
    return range(of.start, of.stop)


def _orientation(evidence: Evidence, row: int) -> str:
    return _("Exif orientation {n}").format(n=int(evidence.facts.columns["orientation"][row]))
