"""Checks of photos that are there more than once: plain copies, contradicting labels, and leaks between the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lince.checks.finding import CheckContext, Example, Finding, FindingText, Severity, make_findings
from lince.datasets.duplicates.search import DuplicatePair
from lince.i18n import _
from lince.splits import SPLITS


def check_duplicates(evidence: CheckContext, pairs: Sequence[DuplicatePair]) -> list[Finding]:
    """Return what the pairs ``found`` of photos that are alike mean for training and testing.

    A pair counts once: as a contradiction when its labels differ, else as a leak when it lies in two parts, else as
    copies, exact or near.
    """
    contradicting = [pair for pair in pairs if have_conflicting_labels(evidence, pair)]
    leaking = [pair for pair in pairs if pair not in set(contradicting) and _split_names(evidence, pair)]
    others = [pair for pair in pairs if pair not in {*contradicting, *leaking}]
    exact = [pair for pair in others if not pair.is_near_duplicate]
    near = [pair for pair in others if pair.is_near_duplicate]
    return [
        *_pair_findings(evidence, "contradiction", _contradiction_text(), contradicting, _format_labels),
        *_pair_findings(evidence, "leak", _leak_text(), leaking, _format_leak),
        *_pair_findings(evidence, "copies", _copies_text(), exact, _format_similarity),
        *_pair_findings(evidence, "near-copies", _near_copies_text(), near, _format_similarity),
    ]


def check_group_leaks(
    evidence: CheckContext, group_ids: NDArray[np.int64], pairs: Sequence[DuplicatePair]
) -> list[Finding]:
    """Return the finding on groups that stand in two parts: frames of one film, or altered copies of one original.

    ``ids`` int64 (N,) numbers the groups; what the pairs ``found`` already tell is left out.
    """
    told = {row for pair in pairs if _split_names(evidence, pair) for row in (pair.first, pair.second)}
    splits, first, apart = evidence.dataset.splits, dict[int, int](), []
    for row in np.flatnonzero((splits >= 0) & (np.bincount(group_ids)[group_ids] > 1)).tolist():
        before = first.setdefault(int(group_ids[row]), row)
        if splits[before] != splits[row] and not {before, row} & told:
            apart.append(DuplicatePair(before, row, is_near_duplicate=True))
    return _pair_findings(evidence, "group-leak", _group_leak_text(), apart, _format_splits)


def have_conflicting_labels(evidence: CheckContext, pair: DuplicatePair) -> bool:
    """Whether the labels of a pair differ: the class of the image, or the number of objects of a class.

    Near copies with objects are not held against each other: a cut may have taken some away.
    """
    dataset = evidence.dataset
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
    evidence: CheckContext,
    code: str,
    words: FindingText,
    pairs: Sequence[DuplicatePair],
    say: Callable[[CheckContext, DuplicatePair], str],
) -> list[Finding]:
    return make_findings(code, words, _iter_pair_examples(evidence, pairs, say), len(pairs))


def _iter_pair_examples(
    evidence: CheckContext, pairs: Iterable[DuplicatePair], say: Callable[[CheckContext, DuplicatePair], str]
) -> Iterable[Example]:
    for pair in pairs:
        yield evidence.make_example(pair.first, say(evidence, pair), other=pair.second)


def _contradiction_text() -> FindingText:
    return FindingText(
        Severity.ERROR,
        _("One photo, two labels"),
        _("The same photo, or nearly, is there twice, and its labels contradict each other."),
        _("Look which label is right, and remove the other copy."),
    )


def _leak_text() -> FindingText:
    return FindingText(
        Severity.ERROR,
        _("Photos in two parts"),
        _("The same photo, or nearly, stands in two parts. What was learned by heart then passes for understood."),
        _("Remove one copy of each, or divide anew with lince split, which keeps copies together."),
    )


def _group_leak_text() -> FindingText:
    return FindingText(
        Severity.ERROR,
        _("Photos of one group in two parts"),
        _("Frames of one film, or altered copies of one original, stand in two parts: the test is not of new photos."),
        _("Divide anew with lince split, which keeps groups together."),
    )


def _copies_text() -> FindingText:
    return FindingText(
        Severity.WARNING,
        _("Photos that are there twice"),
        _("The same photo is there more than once. It weighs more than others, and splits may leak."),
        _("Remove one of each. lince split keeps copies in one part."),
    )


def _near_copies_text() -> FindingText:
    return FindingText(
        Severity.NOTE,
        _("Photos that are nearly the same"),
        _("Resized, cut, altered or taken a moment later: they teach little more than one of them does."),
        _("Keep them in one part, as lince split does."),
    )


def _format_labels(evidence: CheckContext, pair: DuplicatePair) -> str:
    dataset = evidence.dataset
    if dataset.objects is None:
        return " / ".join(evidence.get_class_name(int(dataset.class_ids[row])) for row in (pair.first, pair.second))
    sizes = (dataset.objects.slice_of_image(row) for row in (pair.first, pair.second))
    first, second = (of.stop - of.start for of in sizes)
    return _("{first} and {second} objects").format(first=first, second=second)


def _split_names(evidence: CheckContext, pair: DuplicatePair) -> tuple[str, ...]:
    """Return the names of the two parts that a pair stands in; nothing when it is one, or when either has none."""
    names = {number: name for name, number in SPLITS.items()}
    found = [names.get(int(evidence.dataset.splits[row])) for row in (pair.first, pair.second)]
    return tuple(name for name in found if name) if None not in found and found[0] != found[1] else ()


def _format_leak(evidence: CheckContext, pair: DuplicatePair) -> str:
    return f"{' / '.join(_split_names(evidence, pair))}, {_format_similarity(evidence, pair)}"


def _format_splits(evidence: CheckContext, pair: DuplicatePair) -> str:
    return " / ".join(_split_names(evidence, pair))


def _format_similarity(evidence: CheckContext, pair: DuplicatePair) -> str:
    return _("nearly the same") if pair.is_near_duplicate else _("the same file")
