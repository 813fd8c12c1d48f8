"""What the figures of a run say in plain words, and what to try next: a list of rules, each a function."""

from __future__ import annotations

from lince.evaluation.diagnosis import answers, images, learning
from lince.evaluation.diagnosis.finding import Evidence, Finding, Severity
from lince.evaluation.figures import percent, percent_range
from lince.messages import _

__all__ = ["RULES", "Evidence", "Finding", "Severity", "diagnose"]

RULES = (
    learning.no_better_than_commonest,
    learning.underfitting,
    learning.overfitting,
    learning.val_loss_rises,
    learning.val_above_test,
    answers.never_answered,
    answers.confused_pairs,
    answers.calibration,
    images.few_examples,
    images.imbalance,
    images.untested_classes,
    images.small_test_set,
)


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what every rule found, the gravest first; when nothing is wrong, one finding that says so."""
    found = [finding for rule in RULES if (finding := rule(evidence)) is not None]
    found.sort(key=lambda finding: finding.severity)
    if not found or min(finding.severity for finding in found) > Severity.WARNING:
        found.insert(0, _all_well(evidence))
    return tuple(found)


def _all_well(evidence: Evidence) -> Finding:
    accuracy = evidence.metrics.accuracy
    return Finding(
        "all_well",
        Severity.GOOD,
        _("No serious fault was found"),
        _("The model is right on {accuracy} of images it has never seen ({range}).").format(
            accuracy=percent(accuracy.value), range=percent_range(accuracy)
        ),
        (_("Try it on photos from where it will be used: those are the test that counts."),),
        accuracy.record(),
    )
