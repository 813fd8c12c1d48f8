"""Checks of photos that are there more than once: plain copies, contradicting labels, and leaks between the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lince.audit.finding import Evidence, Example, Finding, Severity, Words, finding
from lince.data import SPLITS
from lince.data.alike import Pair
from lince.messages import _


def check(evidence: Evidence, found: Sequence[Pair]) -> list[Finding]:
    """Return what the pairs ``found`` of photos that are alike mean for training and testing.

    A pair counts once: as a contradiction when its labels differ, else as a leak when it lies in two parts, else as
    copies, exact or near.
    """
    contradicting = [pair for pair in found if contradicts(evidence, pair)]
    leaking = [pair for pair in found if pair not in set(contradicting) and _parts(evidence, pair)]
    others = [pair for pair in found if pair not in {*contradicting, *leaking}]
    exact = [pair for pair in others if not pair.near]
    near = [pair for pair in others if pair.near]
    return [
        *_told(evidence, "contradiction", _contradiction(), contradicting, _labels),
        *_told(evidence, "leak", _leak(), leaking, _where),
        *_told(evidence, "copies", _copies(), exact, _kind),
        *_told(evidence, "near-copies", _near(), near, _kind),
    ]


def families(evidence: Evidence, ids: NDArray[np.int64], found: Sequence[Pair]) -> list[Finding]:
    """Return the finding on groups that stand in two parts: frames of one film, or altered copies of one original.

    ``ids`` int64 (N,) numbers the groups; what the pairs ``found`` already tell is left out.
    """
    told = {row for pair in found if _parts(evidence, pair) for row in (pair.first, pair.second)}
    splits, first, apart = evidence.dataset.splits, dict[int, int](), []
    for row in np.flatnonzero((splits >= 0) & (np.bincount(ids)[ids] > 1)).tolist():
        before = first.setdefault(int(ids[row]), row)
        if splits[before] != splits[row] and not {before, row} & told:
            apart.append(Pair(before, row, near=True))
    return _told(evidence, "group-leak", _group_leak(), apart, _where_alone)


def contradicts(evidence: Evidence, pair: Pair) -> bool:
    """Whether the labels of a pair differ: the class of the image, or the number of objects of a class.

    Near copies with objects are not held against each other: a cut may have taken some away.
    """
    dataset = evidence.dataset
    if dataset.objects is None:
        first, second = (int(dataset.class_ids[row]) for row in (pair.first, pair.second))
        return first != second and min(first, second) >= 0
    if pair.near:
        return False
    counts = [
        np.bincount(dataset.objects.class_ids[dataset.objects.of(row)], minlength=len(dataset.classes))
        for row in (pair.first, pair.second)
    ]
    return bool((counts[0] != counts[1]).any())


def _told(
    evidence: Evidence, code: str, words: Words, pairs: Sequence[Pair], say: Callable[[Evidence, Pair], str]
) -> list[Finding]:
    return finding(code, words, _examples(evidence, pairs, say), len(pairs))


def _examples(evidence: Evidence, pairs: Iterable[Pair], say: Callable[[Evidence, Pair], str]) -> Iterable[Example]:
    for pair in pairs:
        yield evidence.example(pair.first, say(evidence, pair), other=pair.second)


def _contradiction() -> Words:
    return Words(
        Severity.ERROR,
        _("One photo, two labels"),
        _("The same photo, or nearly, is there twice, and its labels contradict each other."),
        _("Look which label is right, and remove the other copy."),
    )


def _leak() -> Words:
    return Words(
        Severity.ERROR,
        _("Photos in two parts"),
        _("The same photo, or nearly, stands in two parts. What was learned by heart then passes for understood."),
        _("Remove one copy of each, or divide anew with lince split, which keeps copies together."),
    )


def _group_leak() -> Words:
    return Words(
        Severity.ERROR,
        _("Photos of one group in two parts"),
        _("Frames of one film, or altered copies of one original, stand in two parts: the test is not of new photos."),
        _("Divide anew with lince split, which keeps groups together."),
    )


def _copies() -> Words:
    return Words(
        Severity.WARNING,
        _("Photos that are there twice"),
        _("The same photo is there more than once. It weighs more than others, and splits may leak."),
        _("Remove one of each. lince split keeps copies in one part."),
    )


def _near() -> Words:
    return Words(
        Severity.NOTE,
        _("Photos that are nearly the same"),
        _("Resized, cut, altered or taken a moment later: they teach little more than one of them does."),
        _("Keep them in one part, as lince split does."),
    )


def _labels(evidence: Evidence, pair: Pair) -> str:
    dataset = evidence.dataset
    if dataset.objects is None:
        return " / ".join(evidence.class_name(int(dataset.class_ids[row])) for row in (pair.first, pair.second))
    sizes = (dataset.objects.of(row) for row in (pair.first, pair.second))
    first, second = (of.stop - of.start for of in sizes)
    return _("{first} and {second} objects").format(first=first, second=second)


def _parts(evidence: Evidence, pair: Pair) -> tuple[str, ...]:
    """Return the names of the two parts that a pair stands in; nothing when it is one, or when either has none."""
    names = {number: name for name, number in SPLITS.items()}
    found = [names.get(int(evidence.dataset.splits[row])) for row in (pair.first, pair.second)]
    return tuple(name for name in found if name) if None not in found and found[0] != found[1] else ()


def _where(evidence: Evidence, pair: Pair) -> str:
    return f"{' / '.join(_parts(evidence, pair))}, {_kind(evidence, pair)}"


def _where_alone(evidence: Evidence, pair: Pair) -> str:
    return " / ".join(_parts(evidence, pair))


def _kind(evidence: Evidence, pair: Pair) -> str:
    return _("nearly the same") if pair.near else _("the same file")
