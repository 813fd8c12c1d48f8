"""What reading the labels already refused, gathered by the kind of fault."""

from __future__ import annotations

from collections.abc import Iterable

from lince.annotations import FAULTS, Rejected
from lince.audit.finding import Evidence, Example, Finding, Severity, Words, finding
from lince.labels import scan
from lince.messages import _


def check(evidence: Evidence) -> list[Finding]:
    """Return a finding for each kind of fault among what was rejected, and one on what was mended while reading."""
    refused: list[Rejected] = []
    others: list[Rejected] = []
    whole = evidence.dataset.objects is None  # else what is no photo is a label file that cannot be read
    for item in evidence.dataset.rejected:
        other = whole and item.fault == "unusable" and not scan.looks_like_image(item.path)
        (others if other else refused).append(item)
    found = _gathered("other-file", _others(), others)
    for fault in FAULTS:
        found += _gathered(fault, _words(fault), [item for item in refused if item.fault == fault])
    return found + _gathered("mended", _mended(), evidence.dataset.repaired)


def _gathered(code: str, words: Words, refused: Iterable[Rejected]) -> list[Finding]:
    listed = list(refused)
    return finding(code, words, map(_example, listed), len(listed))


def _example(item: Rejected) -> Example:
    place = item.path if item.line is None else f"{item.path}:{item.line}"
    return Example(place, item.reason)


def _words(fault: str) -> Words:
    """Return what is said of a kind of fault (one of ``FAULTS``)."""
    title, text, remedy = {**_on_boxes(), **_on_rows()}[fault]
    return Words(Severity.WARNING if fault == "no-label" else Severity.ERROR, title, text, remedy)


def _on_boxes() -> dict[str, tuple[str, str, str]]:
    return {
        "outside": (
            _("Boxes outside the photo"),
            _("They reach further than the photo does, and are not used."),
            _("Correct them. Most often the photo was resized or turned after it was labelled. --fix clip cuts them."),
        ),
        "inverted": (
            _("Boxes the wrong way round"),
            _("Their right side stands before the left one, or the bottom above the top. They are not used."),
            _("Look whether two columns are exchanged. --fix order exchanges the sides while reading."),
        ),
        "empty": (
            _("Boxes without area"),
            _("They have no area, or their outline has none, and are not used."),
            _("Draw them again, or remove them: they come from a click without a drag."),
        ),
        "number": (
            _("Coordinates that are no numbers"),
            _("These marks are not used."),
            _("Correct the lines named."),
        ),
        "double": (
            _("Written twice"),
            _("The same object, photo or label is there twice, and is used once or not at all."),
            _("Remove one of each; objects are dropped by --fix duplicates."),
        ),
    }


def _on_rows() -> dict[str, tuple[str, str, str]]:
    return {
        "class": (
            _("Classes that are not declared"),
            _("These labels name a class that the list of classes does not have, and are not used."),
            _("Add the class to the list, or correct the labels. Ids count from 0 in YOLO."),
        ),
        "row": (
            _("Rows that cannot be understood"),
            _("These rows of label files are not used."),
            _("Correct the lines named, or export the labels again."),
        ),
        "no-image": (
            _("Labels without a photo"),
            _("These labels speak of a photo that is not there, and are not used."),
            _("Put the photos where the labels expect them, or correct the names; case counts."),
        ),
        "no-label": (
            _("Photos without a label"),
            _("They have no label file, so it is not known what they show. They are not used."),
            _("Label them, or move them away. If they show nothing, an empty label file says so."),
        ),
        "unusable": (
            _("Files that cannot be used"),
            _("Photos or label files that are empty, damaged or hold something else. They are not used."),
            _("Copy or export them again from where they come from; save photos as JPEG or PNG."),
        ),
    }


def _others() -> Words:
    return Words(
        Severity.NOTE,
        _("Files that are no photos"),
        _("They lie among the photos and are no images."),
        _("Nothing needs to be done; to have a tidy list, move them elsewhere."),
    )


def _mended() -> Words:
    return Words(
        Severity.NOTE,
        _("Mended while reading"),
        _("These labels were mended as you asked; the files stay as they are."),
        _("Write the mended labels with lince convert, so that other programs read them too."),
    )
