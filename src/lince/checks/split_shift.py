"""Checks whether the parts of a dataset resemble each other: a test unlike the training photos misleads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince.checks.finding import CheckContext, Finding, FindingText, Severity, make_findings
from lince.checks.image_checks import get_readable_mask
from lince.i18n import _
from lince.number_format import format_percent

MAX_P_VALUE = 0.001  # probability that chance alone divides the photos so unequally
MIN_SHARE_DISTANCE, MIN_KS_DISTANCE = 0.1, 0.25  # effects below these do not matter, however certain they are
PERMUTATIONS = 2000  # drawings of a test part by chance
_MAX_ROWS = 20_000  # images drawn from; the effect of more on the probability is nil
_MIN_SPLIT_IMAGES = 20  # images of a part below which nothing can be told
FloatArray = NDArray[np.float64]


def check_split_shift(evidence: CheckContext) -> list[Finding]:
    """Return how val and test differ from train, in the shares of their classes and in the look of their photos."""
    parts = {name: rows for name, rows in evidence.get_split_rows().items() if len(rows) >= _MIN_SPLIT_IMAGES}
    train = parts.pop("train", None)
    if train is None:
        return []
    return [found for part, rows in parts.items() for found in _split_findings(evidence, part, train, rows)]


def compute_total_variation(one: FloatArray, other: FloatArray) -> float:
    """Return half the sum of differences between two sets of shares, each made to sum to 1: 0 alike, 1 disjoint."""
    return float(0.5 * np.abs(one / max(one.sum(), 1) - other / max(other.sum(), 1)).sum())


def compute_share_p_value(counts: FloatArray, in_split: NDArray[np.bool_], seed: int = 0) -> float:
    """Return the probability that a part drawn by chance differs as much as ``drawn`` (N,) does.

    ``counts`` (N, C) tells what each image shows. Whole images are exchanged (a permutation test on Pearson's
    chi-square), because the objects on one image are not independent of each other.
    """
    rng = np.random.default_rng(seed)
    if len(counts) > _MAX_ROWS:
        kept = rng.permutation(len(counts))[:_MAX_ROWS]
        counts, in_split = counts[kept], in_split[kept]
    found = _chi_square(counts, in_split[None].astype(np.float64))[0]
    beyond, batch = 0, 50
    for _round in range(PERMUTATIONS // batch):
        shuffled = rng.permuted(np.broadcast_to(in_split, (batch, len(in_split))), axis=1).astype(np.float64)
        beyond += int((_chi_square(counts, shuffled) >= found - 1e-9).sum())
    return (beyond + 1) / (PERMUTATIONS + 1)


def run_ks_test(one: FloatArray, other: FloatArray) -> tuple[float, float]:
    """Return the largest gap between two samples' cumulative shares (Kolmogorov and Smirnov), and its probability.

    The probability that chance makes a gap as large is the asymptotic one.
    """
    both = np.sort(np.concatenate([one, other]))
    first = np.searchsorted(np.sort(one), both, side="right") / len(one)
    second = np.searchsorted(np.sort(other), both, side="right") / len(other)
    gap = float(np.abs(first - second).max())
    scaled = gap * np.sqrt(len(one) * len(other) / (len(one) + len(other)))
    terms = np.arange(1, 101)
    chance = 2 * float(((-1.0) ** (terms - 1) * np.exp(-2 * (terms * max(scaled, 0.2)) ** 2)).sum())
    return gap, float(np.clip(chance, 0.0, 1.0))


def count_classes_per_image(evidence: CheckContext) -> FloatArray:
    """Return how often each image shows each class, float64 (N, C)."""
    dataset = evidence.dataset
    counts = np.zeros((len(dataset), max(len(dataset.classes), 1)))
    if dataset.objects is not None:
        np.add.at(counts, (dataset.objects.image_ids, dataset.objects.class_ids), 1.0)
    else:
        known = np.flatnonzero(dataset.class_ids >= 0)
        counts[known, dataset.class_ids[known]] = 1.0
    return counts


def _split_findings(
    evidence: CheckContext, part: str, train: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[Finding]:
    return [*_class_share_findings(evidence, part, train, rows), *_appearance_findings(evidence, part, train, rows)]


def _class_share_findings(
    evidence: CheckContext, part: str, train: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[Finding]:
    counts = count_classes_per_image(evidence)
    ours, theirs = counts[train].sum(axis=0), counts[rows].sum(axis=0)
    effect = compute_total_variation(ours, theirs)
    if effect < MIN_SHARE_DISTANCE:
        return []
    drawn = np.concatenate([np.zeros(len(train), bool), np.ones(len(rows), bool)])
    chance = compute_share_p_value(counts[np.concatenate([train, rows])], drawn)
    shares = theirs / max(theirs.sum(), 1) - ours / max(ours.sum(), 1)
    most = int(np.argmax(np.abs(shares)))
    words = FindingText(
        Severity.WARNING,
        _("A part with other shares of the classes"),
        _("{share} of “{part}” would have to change class to have the shares of the training part; “{name}” most."),
        _("If the shares are those of real use, keep them. Else divide the data anew with lince split."),
    )
    figures = {
        "part": part,
        "share": format_percent(effect),
        "name": evidence.get_class_name(most),
        "distance": effect,
        "chance": chance,
    }
    return make_findings("shares", words, (), int(chance < MAX_P_VALUE), figures)


def _appearance_findings(
    evidence: CheckContext, part: str, train: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[Finding]:
    found: list[Finding] = []
    usable = get_readable_mask(evidence)
    for name, code, values in _image_measures(evidence):
        gap, chance = run_ks_test(values[train[usable[train]]], values[rows[usable[rows]]])
        words = FindingText(
            Severity.WARNING,
            _("A part with other photos"),
            _("The photos of “{part}” differ from the training photos in {what} ({gap} apart, where 100% is all)."),
            _("Do the photos come from another camera, place or time? Then mix them, or say so with the results."),
        )
        figures = {"part": part, "what": name, "gap": format_percent(gap, 0), "distance": gap, "chance": chance}
        found += make_findings(code, words, (), int(gap >= MIN_KS_DISTANCE and chance < MAX_P_VALUE), figures)
    return found


def _image_measures(evidence: CheckContext) -> list[tuple[str, str, FloatArray]]:
    columns = evidence.image_stats.columns
    height, width = (columns[name].astype(np.float64) for name in ("height", "width"))
    return [
        (_("brightness"), "brightness", columns["brightness"].astype(np.float64)),
        (_("size"), "photo-sizes", np.sqrt(height * width)),
        (_("shape"), "shapes", width / np.maximum(height, 1)),
    ]


def _chi_square(counts: FloatArray, drawn: FloatArray) -> FloatArray:
    """Return Pearson's statistic (R,) of each way ``drawn`` (R, N) to divide images that show ``counts`` (N, C)."""
    inside, total = drawn @ counts, counts.sum(axis=0)
    share = inside.sum(axis=1, keepdims=True) / max(total.sum(), 1)
    expected = np.maximum(share * total, 1e-9)
    rest = np.maximum((1 - share) * total, 1e-9)
    return np.asarray(((inside - expected) ** 2 * (1 / expected + 1 / rest)).sum(axis=1), np.float64)
