"""Checks for duplicate images: copies, contradicting labels, and leaks between the splits.

Duplicates of training images in the test split make a model look better than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lince.checks.check_context import CheckContext, CheckFinding, FindingExample, FindingText, make_findings
from lince.datasets.duplicates.search import DuplicatePair
from lince.datasets.groups import find_groups
from lince.findings import Severity
from lince.i18n import _
from lince.splits import SPLITS


def check_duplicates(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on duplicate images (``contradiction``, ``leak``, ``copies``, ``near-copies``).

    Each pair is reported once: as a contradiction when its labels differ, else as a leak when its images are in
    different splits, else as an exact or a near copy.
    """
    contradicting: list[DuplicatePair] = []
    leaking: list[DuplicatePair] = []
    exact: list[DuplicatePair] = []
    near: list[DuplicatePair] = []
    for pair in context.duplicate_pairs:
        if have_conflicting_labels(context, pair):
            contradicting.append(pair)
        elif _split_names(context, pair):
            leaking.append(pair)
        else:
            (near if pair.is_near_duplicate else exact).append(pair)
    return [
        *_pair_findings(context, "contradiction", _contradiction_text(), contradicting, _format_labels),
        *_pair_findings(context, "leak", _leak_text(), leaking, _format_leak),
        *_pair_findings(context, "copies", _copies_text(), exact, _format_similarity),
        *_pair_findings(context, "near-copies", _near_copies_text(), near, _format_similarity),
    ]


def check_group_leaks(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``group-leak``: images of one group (see ``groups.find_groups``) in different splits.

    Groups are, for example, the frames of one video or augmented versions of one original. Each image is compared with
    the first of its group. Images of duplicate pairs across splits are left out, because ``check_duplicates`` reports
    them. Nothing is computed when fewer than two splits have images.
    """
    if len(context.get_split_rows()) < 2:
        return []
    pairs = context.duplicate_pairs
    group_ids = find_groups(context.dataset, context.progress, pairs=pairs).ids
    reported_rows = {row for pair in pairs if _split_names(context, pair) for row in (pair.first, pair.second)}
    splits, first_rows, leaks = context.dataset.splits, dict[int, int](), []
    for row in np.flatnonzero((splits >= 0) & (np.bincount(group_ids)[group_ids] > 1)).tolist():
        first_row = first_rows.setdefault(int(group_ids[row]), row)
        if splits[first_row] != splits[row] and not {first_row, row} & reported_rows:
            leaks.append(DuplicatePair(first_row, row, is_near_duplicate=True))
    return _pair_findings(context, "group-leak", _group_leak_text(), leaks, _format_splits)


def have_conflicting_labels(context: CheckContext, pair: DuplicatePair) -> bool:
    """Whether the labels of a pair differ: the class of the image, or the number of objects of some class.

    Unlabelled images conflict with nothing. Near duplicates with objects are not compared, because a crop may have
    removed some of the objects.
    """
    dataset = context.dataset
    if dataset.objects is None:
        first, second = (int(dataset.class_ids[row]) for row in (pair.first, pair.second))
        return first != second and min(first, second) >= 0
    if pair.is_near_duplicate:
        return False
    counts = [
        np.bincount(dataset.objects.class_ids[dataset.objects.slice_of_image(row)], minlength=len(dataset.classes))
        for row in (pair.first, pair.second)
    ]
    return bool((counts[0] != counts[1]).any())


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
        _("The same or nearly the same photo appears twice with contradictory labels."),
        _("Decide which label is correct, and remove the other copy."),
    )


def _leak_text() -> FindingText:
    """Return the wording of ``leak``."""
    return FindingText(
        Severity.ERROR,
        _("Data leakage: the same photos in two splits"),
        _("The same or nearly the same photo is in two splits, so the test results are too optimistic."),
        _("Remove one copy of each, or split again with lince split, which keeps copies together."),
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
        _("Split again with lince split, which keeps groups together."),
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
        _("Resized, cropped, edited or taken a moment later: they add little information."),
        _("Keep them in the same split, as lince split does."),
    )


def _format_labels(context: CheckContext, pair: DuplicatePair) -> str:
    """Return the two classes, or the two numbers of objects, of a pair with contradicting labels."""
    dataset = context.dataset
    if dataset.objects is None:
        return " / ".join(context.get_class_name(int(dataset.class_ids[row])) for row in (pair.first, pair.second))
    slices = (dataset.objects.slice_of_image(row) for row in (pair.first, pair.second))
    first, second = (objects.stop - objects.start for objects in slices)
    return _("{first} and {second} objects").format(first=first, second=second)


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
