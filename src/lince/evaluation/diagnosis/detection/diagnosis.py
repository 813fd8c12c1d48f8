"""Diagnosis of a trained detector: applies the rules on its images, its curves and its errors."""

from __future__ import annotations

from lince.evaluation.diagnosis.detection import rules
from lince.evaluation.diagnosis.detection.diagnosis_input import DetectionDiagnosisInput
from lince.evaluation.diagnosis.leak import check_leak
from lince.evaluation.diagnosis.rule_runner import apply_rules
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_percent

RULES = (
    check_leak,
    rules.check_few_boxes,
    rules.check_untested_classes,
    rules.check_test_set_size,
    rules.check_confused_classes,
    rules.check_small_objects,
    rules.check_costly_errors,
    rules.check_overfitting,
    rules.check_not_converged,
)


def diagnose_detection(inputs: DetectionDiagnosisInput) -> tuple[Finding, ...]:
    """Return the findings of all rules, the gravest first.

    When nothing is graver than a note, the finding ``all_well`` comes before them.
    """
    return apply_rules(RULES, inputs, _no_problem)


def _no_problem(inputs: DetectionDiagnosisInput) -> Finding:
    """Return the finding ``all_well``, with the test mAP50 and its interval."""
    map50 = inputs.metrics.map50
    return Finding(
        "all_well",
        Severity.GOOD,
        _("No serious problem was found"),
        _("mAP50 is {value} on unseen images ({low} to {high}).").format(
            value=format_percent(map50.value), low=format_percent(map50.low), high=format_percent(map50.high)
        ),
        (_("Test it on photos from where it will be used: that is the test that counts."),),
        map50.to_dict(),
    )
