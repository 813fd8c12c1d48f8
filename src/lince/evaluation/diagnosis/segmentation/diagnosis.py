"""Diagnosis of a trained model of semantic segmentation: applies the rules on its curves, predictions and images."""

from __future__ import annotations

from lince.evaluation.diagnosis.classification import curve_rules, data_rules
from lince.evaluation.diagnosis.figure_rules import report_all_well
from lince.evaluation.diagnosis.leak import check_leak
from lince.evaluation.diagnosis.rule_runner import apply_rules
from lince.evaluation.diagnosis.segmentation import rules
from lince.evaluation.diagnosis.segmentation.diagnosis_input import SegmentationDiagnosisInput
from lince.findings import Finding
from lince.i18n import _

RULES = (
    check_leak,
    rules.check_baseline,
    rules.check_overfitting,
    curve_rules.check_val_loss_rise,
    rules.check_never_predicted,
    rules.check_weak_classes,
    rules.check_tiny_classes,
    rules.check_void_share,
    data_rules.check_few_examples,
    data_rules.check_untested_classes,
    rules.check_test_set_size,
)


def diagnose_segmentation(inputs: SegmentationDiagnosisInput) -> tuple[Finding, ...]:
    """Return the findings of all rules, the gravest first.

    When nothing is graver than a note, the finding ``all_well`` comes before them.
    """
    return apply_rules(RULES, inputs, _no_problem)


def _no_problem(inputs: SegmentationDiagnosisInput) -> Finding:
    """Return the finding ``all_well``, with the mean IoU and its interval."""
    return report_all_well(inputs.metrics.miou, _("The mean IoU is {value} on unseen images ({range})."))
