"""Checks for duplicate images: copies, contradicting labels, and leaks between the splits.

Duplicates of training images in the test split make a model look better than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.checks.check_context import CheckContext, CheckFinding, FindingExample, FindingText, make_findings
from lince.datasets.duplicates.search import DuplicatePair
from lince.findings import Severity
from lince.i18n import _
from lince.splits import SPLITS

_SAME_PLACE = 0.8  # IoU of two boxes of versions of one photo, as fractions of it


def check_duplicates(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on duplicate images.

    Codes: ``contradiction``, ``leak``, ``copies``, ``near-copies``, ``look-alikes``. Each pair is reported once,
    but for a contradiction in two splits, which is a leak too.
    """
    pairs: dict[str, list[DuplicatePair]] = {}
    for pair in context.duplicate_pairs:
        for code in _classify_pair(context, pair):
            pairs.setdefault(code, []).append(pair)
    findings = {
        "contradiction": (_contradiction_text(), _format_contradiction),
        "leak": (_leak_text(), _format_leak),
        "copies": (_copies_text(), _format_similarity),
        "near-copies": (_near_copies_text(), _format_similarity),
        "look-alikes": (_look_alikes_text(), _format_look_alikes),
    }
    return [
        finding
        for code, (finding_text, format_pair) in findings.items()
        for finding in _pair_findings(context, code, finding_text, pairs.get(code, []), format_pair)
    ]


def _classify_pair(context: CheckContext, pair: DuplicatePair) -> tuple[str, ...]:
    """Return the codes of the findings on a pair; none where there is nothing to say.

    Labels that differ are evidence that two photos differ, so only photos that are equal but for noise are said to
    contradict each other. A turned or mirrored photo with another label, such as a keep-left sign of a keep-right
    sign, is no copy.
    """
    has_conflict = have_conflicting_labels(context, pair)
    if pair.is_turned and (has_conflict or _show_other_classes(context, pair)):
        return ()
    if not pair.is_same_photo or (has_conflict and not pair.is_certain):
        return ("look-alikes",)
    is_leak = bool(_split_names(context, pair)) and (not pair.is_near_duplicate or _are_kept_together(context, pair))
    if has_conflict:
        return ("contradiction", "leak") if is_leak else ("contradiction",)
    if is_leak:
        return ("leak",)
    return ("near-copies",) if pair.is_near_duplicate else ("copies",)


def _are_kept_together(context: CheckContext, pair: DuplicatePair) -> bool:
    """Whether ``lince split`` would keep the images of a pair in one split."""
    return bool(context.groups.ids[pair.first] == context.groups.ids[pair.second])


def check_group_leaks(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``group-leak``: images of one group (see ``groups.find_groups``) in different splits.

    Groups are, for example, the frames of one video or augmented versions of one original. Each image is compared with
    the first of its group. Images of duplicate pairs across splits are left out, because ``check_duplicates`` reports
    them. Nothing is computed when fewer than two splits have images.
    """
    if len(context.get_split_rows()) < 2:
        return []
    told = (pair for pair in context.duplicate_pairs if "leak" in _classify_pair(context, pair))
    reported_rows = {row for pair in told for row in (pair.first, pair.second)}
    group_ids = context.groups.related_ids
    splits, first_rows, leaks = context.dataset.splits, dict[int, int](), []
    for row in np.flatnonzero((splits >= 0) & (np.bincount(group_ids)[group_ids] > 1)).tolist():
        first_row = first_rows.setdefault(int(group_ids[row]), row)
        if splits[first_row] != splits[row] and not {first_row, row} & reported_rows:
            leaks.append(DuplicatePair(first_row, row, is_near_duplicate=True))
    return _pair_findings(context, "group-leak", _group_leak_text(), leaks, _format_splits)


def have_conflicting_labels(context: CheckContext, pair: DuplicatePair) -> bool:
    """Whether the labels of a pair differ: the class of the image, or the number of objects of some class.

    Unlabelled images conflict with nothing. Of near duplicates with objects, a crop may have removed some, so that only
    boxes in the same places with other classes conflict.
    """
    dataset = context.dataset
    if dataset.objects is None:
        pair_rows = [pair.first, pair.second]
        first, second = map(dataset.list_class_names, pair_rows)
        return first != second and bool(dataset.has_image_labels[pair_rows].all())
    if pair.is_near_duplicate:
        return _have_other_classes_in_place(context, pair)
    counts = [
        np.bincount(dataset.objects.class_ids[dataset.objects.slice_of_image(row)], minlength=len(dataset.classes))
        for row in (pair.first, pair.second)
    ]
    return bool((counts[0] != counts[1]).any())


def _have_other_classes_in_place(context: CheckContext, pair: DuplicatePair) -> bool:
    """Whether two images have as many boxes, in the same places of the photo, with other classes."""
    objects = context.objects
    slices = [objects.slice_of_image(row) for row in (pair.first, pair.second)]
    scales = (_get_box_scale(context, row) for row in (pair.first, pair.second))
    first, second = (objects.boxes[one] / scale for one, scale in zip(slices, scales, strict=True))
    if len(first) != len(second) or not len(first):
        return False
    overlaps = geometry.compute_iou(first, second)
    partners = overlaps.argmax(axis=1)
    in_place = (overlaps.max(axis=1) >= _SAME_PLACE).all() and len(set(partners.tolist())) == len(first)
    first_ids, second_ids = (objects.class_ids[one] for one in slices)
    return bool(in_place and (first_ids != second_ids[partners]).any())


def _get_box_scale(context: CheckContext, row: int) -> NDArray[np.float64]:
    """Return the width, height, width and height of an image, to make its boxes fractions of it: (4,)."""
    height, width = context.image_stats.sizes[row].tolist()
    return np.array([width, height, width, height], np.float64).clip(min=1)


def _show_other_classes(context: CheckContext, pair: DuplicatePair) -> bool:
    """Whether the objects of a pair are of different classes; ``False`` without objects."""
    objects = context.dataset.objects
    if objects is None:
        return False
    first, second = (set(objects.class_ids[objects.slice_of_image(row)].tolist()) for row in (pair.first, pair.second))
    return first != second


def _pair_findings(
    context: CheckContext,
    code: str,
    finding_text: FindingText,
    pairs: Sequence[DuplicatePair],
    format_pair: Callable[[CheckContext, DuplicatePair], str],
) -> list[CheckFinding]:
    """Return the finding on ``pairs``, with a remark on each by ``format_pair``; an empty list for no pairs."""
    return make_findings(code, finding_text, _iter_pair_examples(context, pairs, format_pair), len(pairs))


def _iter_pair_examples(
    context: CheckContext, pairs: Sequence[DuplicatePair], format_pair: Callable[[CheckContext, DuplicatePair], str]
) -> Iterator[FindingExample]:
    """Yield the example of each pair."""
    for pair in pairs:
        yield context.make_example(pair.first, format_pair(context, pair), other_row=pair.second)


def _contradiction_text() -> FindingText:
    """Return the wording of ``contradiction``."""
    return FindingText(
        Severity.ERROR,
        _("One photo, two labels"),
        _("The same photo, or a version of it, appears twice with contradictory labels."),
        _(
            "Look at both photos of each pair and correct the label that is wrong. "
            "Remove one only if both are one photo."
        ),
    )


def _leak_text() -> FindingText:
    """Return the wording of ``leak``."""
    return FindingText(
        Severity.ERROR,
        _("Data leakage: the same photos in two splits"),
        _("The same or nearly the same photo is in two splits, so the test results are too optimistic."),
        _("Split again with lince split --ignore-existing-split, which keeps copies together. No photo needs to go."),
    )


def _group_leak_text() -> FindingText:
    """Return the wording of ``group-leak``."""
    return FindingText(
        Severity.ERROR,
        _("Data leakage: related photos in two splits"),
        _(
            "Frames of the same video, or augmented copies of the same photo, are in two splits, so the test "
            "photos are not really new."
        ),
        _("Split again with lince split --ignore-existing-split, which keeps groups together."),
    )


def _copies_text() -> FindingText:
    """Return the wording of ``copies``."""
    return FindingText(
        Severity.WARNING,
        _("Duplicate photos"),
        _("The same photo appears more than once. It weighs more than others, and it can leak between splits."),
        _("Remove one of each pair. lince split keeps copies in the same split."),
    )


def _near_copies_text() -> FindingText:
    """Return the wording of ``near-copies``."""
    return FindingText(
        Severity.NOTE,
        _("Near-duplicate photos"),
        _("The same photo, resized, cropped or edited: such copies add little information."),
        _("Keep them in the same split, as lince split does."),
    )


def _look_alikes_text() -> FindingText:
    """Return the wording of ``look-alikes``."""
    return FindingText(
        Severity.NOTE,
        _("Photos that look alike"),
        _(
            "They differ in detail: taken a moment apart, edited, or of things that look alike. "
            "Only a person can tell. Where they show the same thing in two splits, the test results are too optimistic."
        ),
        _("Look at the pairs in two splits. If they show the same thing, keep them in one split. Remove nothing."),
    )


def _format_contradiction(context: CheckContext, pair: DuplicatePair) -> str:
    """Return the two labels of a pair, and whether its images are the same file."""
    return f"{_format_labels(context, pair)}, {_format_similarity(context, pair)}"


def _format_look_alikes(context: CheckContext, pair: DuplicatePair) -> str:
    """Return the two labels of a pair and its two splits, where they differ."""
    labels = _format_labels(context, pair) if have_conflicting_labels(context, pair) else ""
    return ", ".join(filter(None, (labels, _format_splits(context, pair))))


def _format_labels(context: CheckContext, pair: DuplicatePair) -> str:
    """Return the two classes, or the objects' numbers or else classes, of a pair with contradicting labels."""
    dataset = context.dataset
    if dataset.objects is None:
        return " / ".join(", ".join(dataset.list_class_names(row)) for row in (pair.first, pair.second))
    slices = [dataset.objects.slice_of_image(row) for row in (pair.first, pair.second)]
    first, second = (objects.stop - objects.start for objects in slices)
    if first != second:
        return _("{first} and {second} objects").format(first=first, second=second)
    names = (sorted({context.get_class_name(int(kind)) for kind in dataset.objects.class_ids[one]}) for one in slices)
    return " / ".join(", ".join(listed) for listed in names)


def _split_names(context: CheckContext, pair: DuplicatePair) -> tuple[str, ...]:
    """Return the names of the two splits that a pair is in; empty when they are the same or one image has no split."""
    names = {number: name for name, number in SPLITS.items()}
    split_names = [names.get(int(context.dataset.splits[row])) for row in (pair.first, pair.second)]
    return (
        tuple(name for name in split_names if name)
        if None not in split_names and split_names[0] != split_names[1]
        else ()
    )


def _format_leak(context: CheckContext, pair: DuplicatePair) -> str:
    """Return the two splits of a pair, and whether its images are the same file."""
    return f"{' / '.join(_split_names(context, pair))}, {_format_similarity(context, pair)}"


def _format_splits(context: CheckContext, pair: DuplicatePair) -> str:
    """Return the two splits of a pair."""
    return " / ".join(_split_names(context, pair))


def _format_similarity(context: CheckContext, pair: DuplicatePair) -> str:
    """Return whether the images of a pair are exact or near duplicates, in words."""
    return _("nearly the same") if pair.is_near_duplicate else _("the same file")
