"""What reading the labels already refused, gathered by the kind of fault."""

from __future__ import annotations

from collections.abc import Iterable

from lince.annotations import REJECTION_KINDS, RejectedItem
from lince.checks.finding import CheckContext, Example, Finding, FindingText, Severity, make_findings
from lince.i18n import _
from lince.storage import scan


def check_rejected_labels(evidence: CheckContext) -> list[Finding]:
    """Return a finding for each kind of fault among what was rejected, and one on what was mended while reading."""
    refused: list[RejectedItem] = []
    others: list[RejectedItem] = []
    whole = evidence.dataset.objects is None  # else what is no photo is a label file that cannot be read
    for item in evidence.dataset.rejected:
        other = whole and item.kind == "unusable" and not scan.looks_like_image(item.path)
        (others if other else refused).append(item)
    found = _make_rejected_findings("other-file", _other_file_text(), others)
    for fault in REJECTION_KINDS:
        found += _make_rejected_findings(
            fault, _text_for_fault(fault), [item for item in refused if item.kind == fault]
        )
    return found + _make_rejected_findings("mended", _repaired_text(), evidence.dataset.repaired)


def _make_rejected_findings(code: str, words: FindingText, refused: Iterable[RejectedItem]) -> list[Finding]:
    listed = list(refused)
    return make_findings(code, words, map(_to_example, listed), len(listed))


def _to_example(item: RejectedItem) -> Example:
    place = item.path if item.line is None else f"{item.path}:{item.line}"
    return Example(place, item.reason)


def _text_for_fault(fault: str) -> FindingText:
    """Return what is said of a kind of fault (one of ``FAULTS``)."""
    title, text, remedy = {**_box_fault_texts(), **_row_fault_texts()}[fault]
    return FindingText(Severity.WARNING if fault == "no-label" else Severity.ERROR, title, text, remedy)


def _box_fault_texts() -> dict[str, tuple[str, str, str]]:
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


def _row_fault_texts() -> dict[str, tuple[str, str, str]]:
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


def _other_file_text() -> FindingText:
    return FindingText(
        Severity.NOTE,
        _("Files that are no photos"),
        _("They lie among the photos and are no images."),
        _("Nothing needs to be done; to have a tidy list, move them elsewhere."),
    )


def _repaired_text() -> FindingText:
    return FindingText(
        Severity.NOTE,
        _("Mended while reading"),
        _("These labels were mended as you asked; the files stay as they are."),
        _("Write the mended labels with lince convert, so that other programs read them too."),
    )
