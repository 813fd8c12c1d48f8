"""Diagnosis of a trained classifier: applies the rules on its curves, its predictions and its images."""

from __future__ import annotations

from lince.evaluation.diagnosis.classification import curve_rules, data_rules, prediction_rules
from lince.evaluation.diagnosis.classification.diagnosis_input import ClassificationDiagnosisInput
from lince.evaluation.diagnosis.figure_rules import report_all_well
from lince.evaluation.diagnosis.leak import check_leak
from lince.evaluation.diagnosis.rule_runner import apply_rules
from lince.findings import Finding
from lince.i18n import _

RULES = (
    check_leak,
    curve_rules.check_majority_baseline,
    curve_rules.check_underfitting,
    curve_rules.check_overfitting,
    curve_rules.check_val_loss_rise,
    curve_rules.check_val_above_test,
    prediction_rules.check_never_predicted,
    prediction_rules.check_confused_pairs,
    prediction_rules.check_calibration,
    data_rules.check_untrained_classes,
    data_rules.check_few_examples,
    data_rules.check_class_imbalance,
    data_rules.check_untested_classes,
    data_rules.check_test_set_size,
)


def diagnose_classification(inputs: ClassificationDiagnosisInput) -> tuple[Finding, ...]:
    """Return the findings of all rules, the gravest first.

    When nothing is graver than a note, the finding ``all_well`` comes before them. Its figures are the accuracy with
    its confidence interval.
    """
    return apply_rules(RULES, inputs, _no_problem)


def _no_problem(inputs: ClassificationDiagnosisInput) -> Finding:
    """Return the finding ``all_well``, with the test accuracy and its confidence interval."""
    text = _("The model classifies {accuracy} of unseen images correctly ({range}).")
    return report_all_well(inputs.metrics.accuracy, text.replace("{accuracy}", "{value}"))
