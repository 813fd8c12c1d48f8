"""What the figures of a run say in plain words, and what to try next: a list of rules, each a function."""

from __future__ import annotations

from lince.evaluation.diagnosis import curve_rules, data_rules, prediction_rules
from lince.evaluation.diagnosis.finding import DiagnosisInput, Finding, Severity
from lince.i18n import _
from lince.number_format import format_percent, format_percent_range

__all__ = ["RULES", "DiagnosisInput", "Finding", "Severity", "diagnose_classification"]

RULES = (
    curve_rules.check_majority_baseline,
    curve_rules.check_underfitting,
    curve_rules.check_overfitting,
    curve_rules.check_val_loss_rise,
    curve_rules.check_val_above_test,
    prediction_rules.check_never_predicted,
    prediction_rules.check_confused_pairs,
    prediction_rules.check_calibration,
    data_rules.check_few_examples,
    data_rules.check_class_imbalance,
    data_rules.check_untested_classes,
    data_rules.check_test_set_size,
)


def diagnose_classification(evidence: DiagnosisInput) -> tuple[Finding, ...]:
    """Return what every rule found, the gravest first; when nothing is wrong, one finding that says so."""
    found = [finding for rule in RULES if (finding := rule(evidence)) is not None]
    found.sort(key=lambda finding: finding.severity)
    if not found or min(finding.severity for finding in found) > Severity.WARNING:
        found.insert(0, _no_problem(evidence))
    return tuple(found)


def _no_problem(evidence: DiagnosisInput) -> Finding:
    accuracy = evidence.metrics.accuracy
    return Finding(
        "all_well",
        Severity.GOOD,
        _("No serious fault was found"),
        _("The model is right on {accuracy} of images it has never seen ({range}).").format(
            accuracy=format_percent(accuracy.value), range=format_percent_range(accuracy.low, accuracy.high)
        ),
        (_("Try it on photos from where it will be used: those are the test that counts."),),
        accuracy.to_dict(),
    )
