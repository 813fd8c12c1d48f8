"""Diagnosis of a trained multilabel model: applies the rules on its curves, its predictions and its images."""

from __future__ import annotations

from lince.evaluation.diagnosis.classification import curve_rules, data_rules, prediction_rules
from lince.evaluation.diagnosis.figure_rules import report_all_well
from lince.evaluation.diagnosis.leak import check_leak
from lince.evaluation.diagnosis.multilabel import rules
from lince.evaluation.diagnosis.multilabel.diagnosis_input import MultilabelDiagnosisInput
from lince.evaluation.diagnosis.rule_runner import apply_rules
from lince.findings import Finding
from lince.i18n import _

RULES = (
    check_leak,
    rules.check_chance,
    rules.check_overfitting,
    curve_rules.check_val_loss_rise,
    prediction_rules.check_never_predicted,
    rules.check_weak_classes,
    data_rules.check_untrained_classes,
    data_rules.check_few_examples,
    data_rules.check_untested_classes,
    rules.check_test_set_size,
)


def diagnose_multilabel(inputs: MultilabelDiagnosisInput) -> tuple[Finding, ...]:
    """Return the findings of all rules, the gravest first.

    When nothing is graver than a note, the finding ``all_well`` comes before them.
    """
    return apply_rules(RULES, inputs, _no_problem)


def _no_problem(inputs: MultilabelDiagnosisInput) -> Finding:
    """Return the finding ``all_well``, with the mean average precision and its interval."""
    return report_all_well(inputs.metrics.map, _("The mean average precision is {value} on unseen images ({range})."))
