"""Reports what reading the labels already rejected or repaired, grouped by the kind of fault."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lince.annotations import RejectedItem
from lince.checks.check_context import CheckContext, CheckFinding, FindingExample, FindingText, make_findings
from lince.findings import Severity
from lince.i18n import _
from lince.storage import scan

# Of the kinds that are no errors.
_SEVERITIES = {
    "no-label": Severity.WARNING,
    "unlabelled": Severity.WARNING,
    "reduced": Severity.WARNING,
    "overlap": Severity.WARNING,
    "other-labels": Severity.NOTE,
    "unread-labels": Severity.WARNING,
    "own-output": Severity.NOTE,
    "assumed": Severity.NOTE,
}


def check_rejected_labels(context: CheckContext) -> list[CheckFinding]:
    """Return one finding for each kind of rejected item, and the findings ``other-file`` and ``mended``.

    The codes are those of ``REJECTION_KINDS``. ``other-file`` lists files among class folders that are not images;
    ``mended`` what was repaired by ``fix``.
    """
    rejected: list[RejectedItem] = []
    other_files: list[RejectedItem] = []
    # With objects, an unusable file that is not an image is a label file that cannot be read.
    has_class_labels = context.dataset.objects is None
    for item in (*context.dataset.rejected, *_list_contradictions(context)):
        is_other_file = has_class_labels and item.kind == "unusable" and not scan.looks_like_image(item.path)
        (other_files if is_other_file else rejected).append(item)
    findings = _make_rejected_findings("other-file", _other_file_text(), other_files)
    for kind, finding_text in _texts_by_kind().items():
        findings += _make_rejected_findings(kind, finding_text, [item for item in rejected if item.kind == kind])
    return findings + _make_rejected_findings("mended", _repaired_text(), context.dataset.repaired)


def _list_contradictions(context: CheckContext) -> list[RejectedItem]:
    """Return the few images with several classes, where nearly all have one and these may be mistakes."""
    sets = context.dataset.label_sets
    rows = [] if sets is None or sets.is_listed else np.flatnonzero(sets.counts > 1).tolist()
    return [context.dataset.explain_several_classes(row) for row in rows]


def _make_rejected_findings(code: str, finding_text: FindingText, items: Sequence[RejectedItem]) -> list[CheckFinding]:
    """Return the finding on ``items``; an empty list for none."""
    return make_findings(code, finding_text, map(_to_example, items), len(items))


def _to_example(item: RejectedItem) -> FindingExample:
    """Return the example of an item, with its line number after the path where it has one."""
    place = item.path if item.line is None else f"{item.path}:{item.line}"
    return FindingExample(place, item.reason)


def _texts_by_kind() -> dict[str, FindingText]:
    """Return the wording for each kind of rejection that is a fault of the data."""
    texts = {**_box_rejection_texts(), **_row_rejection_texts(), **_image_rejection_texts(), **_notice_texts()}
    return {
        kind: FindingText(_SEVERITIES.get(kind, Severity.ERROR), title, text, advice)
        for kind, (title, text, advice) in texts.items()
    }


def _box_rejection_texts() -> dict[str, tuple[str, str, str]]:
    """Return (title, text, advice) for the kinds of rejected boxes and outlines."""
    return {
        "outside": (
            _("Boxes outside the image"),
            _("They extend past the image and are not used."),
            _(
                "Correct them. Usually the photo was resized or rotated after it was labelled. --fix clip "
                "clips them to the image."
            ),
        ),
        "inverted": (
            _("Boxes with swapped corners"),
            _("The right edge is left of the left edge, or the bottom is above the top. They are not used."),
            _("Check whether two columns are swapped. --fix order swaps the edges while reading."),
        ),
        "empty": (
            _("Boxes without area"),
            _("The box or its polygon has no area. They are not used."),
            _("Draw them again, or remove them. Usual cause: a click without dragging."),
        ),
        "number": (
            _("Coordinates that are not numbers"),
            _("These annotations are not used."),
            _("Correct the lines listed."),
        ),
        "double": (
            _("Duplicate entries"),
            _("The same object, photo or label appears twice, and is used once or not at all."),
            _("Remove one of each pair; --fix duplicates drops duplicate objects."),
        ),
    }


def _row_rejection_texts() -> dict[str, tuple[str, str, str]]:
    """Return (title, text, advice) for the kinds of rejected rows and files."""
    return {
        "class": (
            _("Undeclared classes"),
            _("The class of these labels is not in the list of classes. They are not used."),
            _("Add the class to the list, or correct the labels. Ids count from 0 in YOLO."),
        ),
        "row": (
            _("Rows that cannot be parsed"),
            _("These rows of label files are not used."),
            _("Correct the lines listed, or export the labels again."),
        ),
        "no-image": (
            _("Labels without a photo"),
            _("The photo of these labels is missing, or its name is not clear. They are not used."),
            _("Put the photos where the labels expect them, or correct the names."),
        ),
        "no-class": (
            _("Labels without a class"),
            _("They do not say which class it is. They are not used."),
            _("Write the class, or remove them."),
        ),
        "several-classes": (
            _("Photos with several classes"),
            _("They are not used where each photo has one class."),
            _("Keep one class for each photo, or train with --task multilabel to learn several."),
        ),
        "split": (
            _("Unknown or contradictory splits"),
            _(
                "These rows name a split that lince does not know, or another one than the rows before. They are "
                "not used."
            ),
            _("Write train, val or test, the same in all rows of a photo."),
        ),
    }


def _image_rejection_texts() -> dict[str, tuple[str, str, str]]:
    """Return (title, text, advice) for the kinds of rejected photos and files."""
    return {
        "no-label": (
            _("Photos without a label"),
            _("They have no label. They are not used."),
            _("Label them, or move them elsewhere. For a photo without objects, add an empty label file."),
        ),
        "unlabelled": (
            _("Photos that no label names"),
            _("They lie among the others, but have no label. They are not used."),
            _("Label them if they should be learned from; otherwise nothing needs to be done."),
        ),
        "lost": (
            _("Photos that lost all their labels"),
            _(
                "Every label of these photos was refused. They are not used: they would count as photos without "
                "objects."
            ),
            _("Correct their labels; the other findings name each one."),
        ),
        "unsupported": (
            _("Photos in a format that lince does not read"),
            _("They are not used."),
            _(
                "Save them as JPEG or PNG, in the same folders and under the same names: iPhone photos (HEIC) with "
                "“Export” in the photo program, or choose “Most compatible” in the camera settings."
            ),
        ),
        "unusable": (
            _("Unusable files"),
            _("Photos or label files that are empty, damaged or of another type. They are not used."),
            _("Copy or export them again from where they come from; save photos as JPEG or PNG."),
        ),
    }


def _notice_texts() -> dict[str, tuple[str, str, str]]:
    """Return (title, text, advice) for the kinds of notices, by which no photo and no box is lost."""
    return {
        "reduced": (
            _("Labels used in part"),
            _("Their boxes, polygons or masks are used. What else they hold, such as key points, is not."),
            _("Nothing needs to be done unless you need the rest, which lince cannot learn."),
        ),
        "overlap": (
            _("The same photos declared for two splits"),
            _("They are used once, in the split that comes first in train, val, test."),
            _("Give each split photos of its own, or leave the others out of the file; lince split can divide them."),
        ),
        "other-labels": (
            _("Label files of another kind"),
            _("They hold no boxes, polygons or masks. The labels are read from the other files."),
            _("Nothing needs to be done."),
        ),
        "unread-labels": (
            _("Labels that are not read"),
            _("They look like labels of the photos. The format that is read here takes the classes from elsewhere."),
            _("If they are the labels, read them instead, as each line says; otherwise move them elsewhere."),
        ),
        "own-output": (
            _("Written by lince"),
            _("Runs, models, answers and the like among the photos. They are not read as data."),
            _("Nothing needs to be done. To read one of them, give it by itself."),
        ),
        "assumed": (
            _("What the labels leave open"),
            _("Such as a photo's name in another spelling. lince took what is likely, and used the labels."),
            _("Look at an example of each. Where one is wrong, correct the labels."),
        ),
    }


def _other_file_text() -> FindingText:
    """Return the wording of ``other-file``."""
    return FindingText(
        Severity.NOTE,
        _("Files that are no photos"),
        _("They are in the photo folders, but are no photos in any format that lince knows."),
        _("If they are photos, save them as JPEG or PNG; otherwise ignore them or move them elsewhere."),
    )


def _repaired_text() -> FindingText:
    """Return the wording of ``mended``."""
    return FindingText(
        Severity.NOTE,
        _("Fixed while reading"),
        _("These labels were fixed as requested (--fix); the files were not changed."),
        _("Write the fixed labels with lince convert, so that other programs can read them too."),
    )
