"""Diagnosis rules: each with a case that triggers it and one that does not."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import numpy as np
import pytest

from lince.annotations import Classes
from lince.config import TrainConfig
from lince.evaluation.classification.metrics import compute_classification_metrics
from lince.evaluation.confidence import ConfidenceInterval, compute_binomial_tail
from lince.evaluation.diagnosis.classification.diagnosis import RULES, diagnose_classification
from lince.evaluation.diagnosis.classification.diagnosis_input import ClassificationDiagnosisInput
from lince.evaluation.diagnosis.leak import LeakSummary
from lince.findings import Severity
from lince.tasks import get_task

scipy_stats = pytest.importorskip("scipy.stats")
NAMES = Classes(("daisy", "roses", "tulips"))


def metrics(right=0.95, count=900, sure=None, share=None, mixed=0.0):
    """Return metrics of ``count`` predictions, a share ``right`` of them correct, with probability ``sure``.

    ``share`` is the first class's share of the images; ``mixed`` the share of roses taken for tulips.
    """
    cuts = np.array([1 / 3, 2 / 3]) if share is None else np.array([share, share + (1 - share) / 2])
    truth = np.searchsorted(cuts, (np.arange(count) + 0.5) / count)
    answer = truth.copy()
    wrong = _spread(count, 1 - right)
    answer[wrong] = (truth[wrong] + 1 + np.arange(wrong.sum()) % 2) % 3
    roses = np.flatnonzero(truth == 1)
    answer[roses[: round(mixed * len(roses))]] = 2
    confidence = float((answer == truth).mean()) if sure is None else sure
    shares = np.full((count, 3), (1 - confidence) / 2)
    shares[np.arange(count), answer] = confidence
    return compute_classification_metrics(truth, shares, NAMES)


def _spread(count, share):
    marks = np.floor((np.arange(count) + 1) * share + 1e-9)
    return np.diff(marks, prepend=0) > 0


def codes(**given) -> list[str]:
    given.setdefault("metrics", metrics())
    return [finding.code for finding in diagnose_classification(ClassificationDiagnosisInput(**given))]


def epochs(train: list[float], val: list[float]):
    return tuple(
        {"epoch": i + 1, "train_loss": t, "val_loss": v} for i, (t, v) in enumerate(zip(train, val, strict=True))
    )


GOOD = {
    "train_counts": {"daisy": 200, "roses": 180, "tulips": 150},
    "train_accuracy": 0.97,
    "val_accuracy": 0.95,
    "val_size": 300,
}
FALLING = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2]
LEAK = LeakSummary("Accuracy", 9, 90, ConfidenceInterval(0.9, 0.8, 0.95), ConfidenceInterval(0.89, 0.8, 0.95))
CASES = {
    "leak": ({"leak": LEAK}, {"leak": None}),
    "no_better_than_commonest": (
        {"metrics": metrics(right=0.5, share=0.52, sure=0.5)},
        {"metrics": metrics(right=0.8, share=0.52, sure=0.8)},
    ),
    "underfitting": (
        {"metrics": metrics(right=0.6), "train_accuracy": 0.62},
        {"metrics": metrics(right=0.9), "train_accuracy": 0.75},
    ),
    "overfitting": (
        {"metrics": metrics(right=0.8), "train_accuracy": 0.99},
        {"metrics": metrics(right=0.96), "train_accuracy": 0.99},
    ),
    "val_loss_rises": (
        {"history": epochs(FALLING, [1.0, 0.7, 0.5, 0.52, 0.55, 0.58, 0.6])},
        {"history": epochs(FALLING, [1.0, 0.7, 0.5, 0.5, 0.49, 0.5, 0.51])},
    ),
    "val_above_test": (
        {"metrics": metrics(right=0.8), "val_accuracy": 0.93, "val_size": 600},
        {"metrics": metrics(right=0.8), "val_accuracy": 0.83, "val_size": 60},
    ),
    "never_answered": (
        {"metrics": compute_classification_metrics(np.arange(90) % 3, np.eye(3)[np.arange(90) % 3 // 2], NAMES)},
        {"metrics": metrics()},
    ),
    "confused_pairs": ({"metrics": metrics(mixed=0.12)}, {"metrics": metrics(right=0.98, mixed=0.02)}),
    "overconfident": ({"metrics": metrics(right=0.8, sure=0.99)}, {"metrics": metrics(right=0.8, sure=0.82)}),
    "underconfident": ({"metrics": metrics(right=0.95, sure=0.6)}, {"metrics": metrics(right=0.95, sure=0.94)}),
    "few_examples": (
        {"train_counts": {"daisy": 200, "roses": 29, "tulips": 150}},
        {"train_counts": {"daisy": 40, "roses": 30, "tulips": 31}},
    ),
    "untrained_classes": (
        {"train_counts": {"daisy": 200, "roses": 0, "tulips": 150}},
        {"train_counts": {"daisy": 200, "roses": 1, "tulips": 150}},
    ),
    "imbalance": (
        {"train_counts": {"daisy": 500, "roses": 90, "tulips": 300}},
        {"train_counts": {"daisy": 400, "roses": 90, "tulips": 300}},
    ),
    "untested_classes": (
        {"metrics": compute_classification_metrics(np.arange(90) % 2, np.eye(3)[np.arange(90) % 2], NAMES)},
        {"metrics": metrics()},
    ),
    "small_test_set": ({"metrics": metrics(right=0.8, count=60)}, {"metrics": metrics(right=0.8, count=900)}),
    "all_well": ({}, {"metrics": metrics(right=0.5)}),
}


@pytest.mark.parametrize("code", CASES)
def test_each_rule_fires_exactly_when_it_should(code):
    on, off = CASES[code]
    assert code in codes(**(GOOD | on))
    assert code not in codes(**(GOOD | off))


def test_every_rule_has_its_case():
    inputs = [ClassificationDiagnosisInput(**({"metrics": metrics()} | GOOD | on)) for on, _off in CASES.values()]
    fired = {rule for rule in RULES if any(rule(given) is not None for given in inputs)}
    assert fired == set(RULES)  # which finds one of two codes


def test_a_good_run_gets_a_single_positive_finding():
    assert codes(**GOOD) == ["all_well"]


def test_a_good_run_may_have_notes_but_no_warnings():
    noted = diagnose_classification(ClassificationDiagnosisInput(metrics(right=1, mixed=0.1), **GOOD))
    assert [finding.code for finding in noted] == ["all_well", "confused_pairs"]
    warned = diagnose_classification(ClassificationDiagnosisInput(metrics(right=1, mixed=0.3), **GOOD))
    assert "all_well" not in [finding.code for finding in warned]
    assert warned[0].severity is Severity.WARNING


def test_findings_are_sorted_by_severity_and_are_json():
    found = diagnose_classification(
        ClassificationDiagnosisInput(metrics(right=0.3), train_counts={"daisy": 3, "roses": 80, "tulips": 90})
    )
    assert [finding.severity for finding in found] == sorted(finding.severity for finding in found)
    records = json.loads(json.dumps([finding.to_dict() for finding in found], allow_nan=False))
    assert records[0]["severity"] == "serious"
    assert all(record["text"] and record["advice"] and record["figures"] for record in records)


def test_the_texts_contain_the_figures():
    evidence = ClassificationDiagnosisInput(metrics(right=1, mixed=0.2), {"daisy": 12, "roses": 500})
    texts = {finding.code: finding for finding in diagnose_classification(evidence)}
    assert "“roses” predicted as “tulips”: 60 of 300 (20.0%)" in texts["confused_pairs"].text
    assert "daisy has 12 (add 18)" in texts["few_examples"].text
    assert "41.7" in texts["imbalance"].text


def test_a_larger_test_set_as_advised_is_large_enough():
    found = next(
        f
        for f in diagnose_classification(ClassificationDiagnosisInput(metrics(right=0.8, count=60)))
        if f.code == "small_test_set"
    )
    needed = found.figures["needed"]
    accuracy = metrics(right=0.8, count=needed).accuracy
    assert (accuracy.high - accuracy.low) / 2 == pytest.approx(0.03, abs=0.006)


def test_a_diverged_history_is_passed_over():
    assert codes(**GOOD, history=epochs(FALLING, [1.0, 0.5, 0.6, float("nan"), 0.8, 0.9, float("inf")])) == ["all_well"]


@pytest.mark.parametrize("recipe", ["scratch", "transfer", "finetune"])
@pytest.mark.parametrize("code", CASES)
def test_advice_names_only_what_the_recipe_uses_or_the_recipe_that_does(code, recipe):
    task = get_task("classify")
    on, _off = CASES[code]
    findings = diagnose_classification(
        ClassificationDiagnosisInput(**(GOOD | {"metrics": metrics()} | on), recipe=recipe)
    )
    options = {field.name for field in fields(TrainConfig)}
    for finding in findings:
        assert finding.advice or recipe == "transfer"
        for sentence in finding.advice:
            named = re.findall(r"--recipe (\w+)", sentence)
            assert recipe not in named
            flags = {flag.replace("-", "_") for flag in re.findall(r"--([a-z][a-z-]+)", sentence)}
            flags = {"rate" if flag == "lr" else flag for flag in flags} & options
            assert all(task.uses_option(other, flag) for flag in flags for other in named or [recipe])
            if recipe == "transfer" and not named:
                assert not re.search("augmentation|epochs|dropout|mixup|longer", sentence)


@pytest.mark.parametrize(
    ("right", "count", "severity"),
    [(0.43, 99, None), (0.43, 30, Severity.WARNING), (0.32, 99, Severity.SERIOUS), (1 / 3, 99, Severity.SERIOUS)],
)
def test_better_than_the_commonest_class_is_judged_by_an_exact_test(right, count, severity):
    inputs = ClassificationDiagnosisInput(metrics(right=right, count=count))
    found = {finding.code: finding for finding in diagnose_classification(inputs)}.get("no_better_than_commonest")
    assert (found and found.severity) == severity
    if severity is Severity.WARNING:
        assert "better" in found.text
        assert "too few test images" in found.title.lower()
        accuracy, share = inputs.metrics.accuracy.value, inputs.metrics.majority_class[1]
        exact = scipy_stats.binomtest(round(accuracy * count), count, share, alternative="greater").pvalue
        assert found.figures["p_value"] == pytest.approx(exact)


@pytest.mark.parametrize(("hits", "total", "share"), [(0, 5, 0.3), (5, 5, 0.3), (4200, 10_000, 0.4), (7, 20, 0.05)])
def test_the_binomial_tail_is_that_of_scipy(hits, total, share):
    assert compute_binomial_tail(hits, total, share) == pytest.approx(scipy_stats.binom.sf(hits - 1, total, share))


def test_a_linear_head_is_advised_to_those_who_have_another() -> None:
    advised = {}
    for head in ("linear", "mlp"):
        known = GOOD | {"metrics": metrics(right=0.8), "train_accuracy": 1.0}
        inputs = ClassificationDiagnosisInput(**known, recipe="transfer", head=head)
        advised[head] = str([finding.advice for finding in diagnose_classification(inputs)])
    assert "--model" in advised["linear"]
    assert "--head linear" not in advised["linear"]
    assert "--head linear" in advised["mlp"]
