"""Checks whether the validation and test splits resemble the training split.

Metrics on a split with other classes or other images than the training split say little about the model. A difference
is reported when it is large enough to matter and too large to be due to a random split.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince.checks.check_context import CheckContext, CheckFinding, FindingText, make_findings
from lince.checks.image_checks import get_readable_mask
from lince.findings import Severity
from lince.i18n import _
from lince.number_format import format_percent

MAX_P_VALUE = 0.001  # a difference is reported when it would be rarer than this in a random split
MIN_SHARE_DISTANCE, MIN_KS_DISTANCE = 0.1, 0.25  # smaller differences do not matter, however certain they are
PERMUTATIONS = 2000  # random splits in the permutation test
_MAX_ROWS = 20_000  # images in the permutation test; more do not change its result noticeably
_MIN_SPLIT_IMAGES = 20  # smaller splits are not compared
FloatArray = NDArray[np.float64]


def check_split_shift(context: CheckContext) -> list[CheckFinding]:
    """Return the findings on how the validation and test splits differ from the training split.

    Codes: ``shares``, ``brightness``, ``photo-sizes``, ``shapes``.
    Splits with fewer than ``_MIN_SPLIT_IMAGES`` images are not compared; without a training split nothing is.
    """
    split_rows = {name: rows for name, rows in context.get_split_rows().items() if len(rows) >= _MIN_SPLIT_IMAGES}
    train_rows = split_rows.pop("train", None)
    if train_rows is None:
        return []
    return [
        finding for split, rows in split_rows.items() for finding in _split_findings(context, split, train_rows, rows)
    ]


def compute_total_variation(counts: FloatArray, other_counts: FloatArray) -> float:
    """Return the total variation distance between two distributions, given as counts (C,): 0 equal, 1 disjoint."""
    return float(0.5 * np.abs(counts / max(counts.sum(), 1) - other_counts / max(other_counts.sum(), 1)).sum())


def compute_share_p_value(counts: FloatArray, in_split: NDArray[np.bool_], seed: int = 0) -> float:
    """Return the probability that a random split differs in its class shares at least as much as ``in_split`` (N,).

    ``counts`` (N, C) is how often each image shows each class. This is a permutation test on Pearson's chi-square
    statistic that exchanges whole images, because the objects on one image are not independent of each other.
    """
    rng = np.random.default_rng(seed)
    if len(counts) > _MAX_ROWS:
        kept = rng.permutation(len(counts))[:_MAX_ROWS]
        counts, in_split = counts[kept], in_split[kept]
    observed = _chi_square(counts, in_split[None].astype(np.float64))[0]
    extreme_count, batch = 0, 50
    for _round in range(PERMUTATIONS // batch):
        shuffled = rng.permuted(np.broadcast_to(in_split, (batch, len(in_split))), axis=1).astype(np.float64)
        extreme_count += int((_chi_square(counts, shuffled) >= observed - 1e-9).sum())
    return (extreme_count + 1) / (PERMUTATIONS + 1)


def run_ks_test(sample: FloatArray, other_sample: FloatArray) -> tuple[float, float]:
    """Return the statistic of the two-sample Kolmogorov-Smirnov test, 0..1, and its asymptotic p-value.

    The statistic is the largest distance between the cumulative distributions of the samples (N,) and (M,).
    """
    pooled = np.sort(np.concatenate([sample, other_sample]))
    cdf = np.searchsorted(np.sort(sample), pooled, side="right") / len(sample)
    other_cdf = np.searchsorted(np.sort(other_sample), pooled, side="right") / len(other_sample)
    gap = float(np.abs(cdf - other_cdf).max())
    scaled = gap * np.sqrt(len(sample) * len(other_sample) / (len(sample) + len(other_sample)))
    terms = np.arange(1, 101)
    p_value = 2 * float(((-1.0) ** (terms - 1) * np.exp(-2 * (terms * max(scaled, 0.2)) ** 2)).sum())
    return gap, float(np.clip(p_value, 0.0, 1.0))


def count_classes_per_image(context: CheckContext) -> FloatArray:
    """Return how often each image shows each class, float64 (N, max(C, 1)); an unlabelled image shows none."""
    dataset = context.dataset
    counts = np.zeros((len(dataset), max(len(dataset.classes), 1)))
    if dataset.objects is not None:
        np.add.at(counts, (dataset.objects.image_ids, dataset.objects.class_ids), 1.0)
    else:
        labelled_rows = np.flatnonzero(dataset.class_ids >= 0)
        counts[labelled_rows, dataset.class_ids[labelled_rows]] = 1.0
        if dataset.label_sets is not None:
            counts[dataset.label_sets.image_ids, dataset.label_sets.class_ids] = 1.0
    return counts


def _split_findings(
    context: CheckContext, split: str, train_rows: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[CheckFinding]:
    """Return the findings on how the images at ``rows``, those of ``split``, differ from the training images."""
    return [
        *_class_share_findings(context, split, train_rows, rows),
        *_appearance_findings(context, split, train_rows, rows),
    ]


def _class_share_findings(
    context: CheckContext, split: str, train_rows: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[CheckFinding]:
    """Return the finding ``shares``: the classes have other shares in ``split`` than in the training split.

    Figures: ``part`` (the split), ``distance`` (total variation) and ``share`` (the same as a percentage), ``name`` of
    the class that differs most, and ``chance`` (the p-value).
    """
    counts = count_classes_per_image(context)
    train_counts, split_counts = counts[train_rows].sum(axis=0), counts[rows].sum(axis=0)
    distance = compute_total_variation(train_counts, split_counts)
    if distance < MIN_SHARE_DISTANCE:
        return []
    in_split = np.concatenate([np.zeros(len(train_rows), bool), np.ones(len(rows), bool)])
    p_value = compute_share_p_value(counts[np.concatenate([train_rows, rows])], in_split)
    shares = split_counts / max(split_counts.sum(), 1) - train_counts / max(train_counts.sum(), 1)
    most_changed = int(np.argmax(np.abs(shares)))
    finding_text = FindingText(
        Severity.WARNING,
        _("Different class distribution in a split"),
        _(
            "The class distribution of “{part}” differs from the training split by {share} (total variation), "
            "most for “{name}”."
        ),
        _("If this distribution matches real use, keep it. Otherwise split the data again with lince split."),
    )
    figures = {
        "part": split,
        "share": format_percent(distance),
        "name": context.get_class_name(most_changed),
        "distance": distance,
        "chance": p_value,
    }
    return make_findings("shares", finding_text, (), int(p_value < MAX_P_VALUE), figures)


def _appearance_findings(
    context: CheckContext, split: str, train_rows: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[CheckFinding]:
    """Return the findings on brightness, size and aspect ratio of the images, by Kolmogorov-Smirnov tests.

    Images that cannot be opened are left out; nothing is compared when either split has no others. Figures: ``part``
    (the split), ``what`` is compared, ``distance`` and ``gap`` (the same as a percentage), and ``chance`` (the
    p-value).
    """
    findings: list[CheckFinding] = []
    is_readable = get_readable_mask(context)
    if not (is_readable[train_rows].any() and is_readable[rows].any()):
        return []
    for name, code, values in _image_measures(context):
        gap, p_value = run_ks_test(values[train_rows[is_readable[train_rows]]], values[rows[is_readable[rows]]])
        finding_text = FindingText(
            Severity.WARNING,
            _("Distribution shift between splits"),
            _("The photos of “{part}” differ from the training photos in {what} (distance {gap}, maximum 100%)."),
            _("If the photos come from another camera, place or time, mix them, or state it with the results."),
        )
        figures = {"part": split, "what": name, "gap": format_percent(gap, 0), "distance": gap, "chance": p_value}
        findings += make_findings(
            code, finding_text, (), int(gap >= MIN_KS_DISTANCE and p_value < MAX_P_VALUE), figures
        )
    return findings


def _image_measures(context: CheckContext) -> list[tuple[str, str, FloatArray]]:
    """Return what is compared, as (name in the current language, finding code, values float64 (N,))."""
    columns = context.image_stats.columns
    height, width = (columns[name].astype(np.float64) for name in ("height", "width"))
    return [
        (_("brightness"), "brightness", columns["brightness"].astype(np.float64)),
        (_("size"), "photo-sizes", np.sqrt(height * width)),
        (_("aspect ratio"), "shapes", width / np.maximum(height, 1)),
    ]


def _chi_square(counts: FloatArray, in_split: FloatArray) -> FloatArray:
    """Return Pearson's chi-square statistic (R,) of each row of ``in_split`` (R, N), 0 or 1.

    The 2 x C table compares the class counts inside and outside the split, with ``counts`` (N, C) per image.
    """
    observed, total = in_split @ counts, counts.sum(axis=0)
    fraction = observed.sum(axis=1, keepdims=True) / max(total.sum(), 1)
    expected = np.maximum(fraction * total, 1e-9)
    expected_outside = np.maximum((1 - fraction) * total, 1e-9)
    return np.asarray(((observed - expected) ** 2 * (1 / expected + 1 / expected_outside)).sum(axis=1), np.float64)
