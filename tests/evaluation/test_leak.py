"""The finding on test images that are copies of training images."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis.detection.diagnosis_input import DetectionDiagnosisInput
from lince.evaluation.diagnosis.leak import LeakSummary, check_leak
from lince.findings import Severity


def test_the_finding_names_both_figures() -> None:
    leak = LeakSummary("Accuracy", 30, 100, ConfidenceInterval(0.9, 0.8, 0.95), ConfidenceInterval(0.7, 0.6, 0.8))
    finding = check_leak(DetectionDiagnosisInput(metrics=None, leak=leak))  # type: ignore[arg-type]
    assert finding is not None
    assert finding.severity == Severity.SERIOUS
    for part in ("30 of 100", "90.0%", "70.0%", "60.0%", "80.0%", "20.0 points"):
        assert part in finding.text
    assert "(" not in finding.text.partition(".")[0], "without a count by kind none is told"
    counted = check_leak(DetectionDiagnosisInput(metrics=None, leak=replace(leak, kinds={"copies": 1, "frames": 29})))  # type: ignore[arg-type]
    assert counted is not None
    assert "training or validation images (1 copy, 29 frames of the same film). Accuracy is" in counted.text
    assert finding.figures["inflation"] == pytest.approx(0.2)


def test_a_test_set_of_copies_alone_is_said_to_measure_nothing() -> None:
    leak = LeakSummary("Accuracy", 9, 9, ConfidenceInterval(1.0, 0.7, 1.0), None)
    finding = check_leak(DetectionDiagnosisInput(metrics=None, leak=leak))  # type: ignore[arg-type]
    assert finding is not None
    assert finding.severity == Severity.SERIOUS
    assert "nothing is left to measure it on" in finding.text
    assert check_leak(DetectionDiagnosisInput(metrics=None)) is None  # type: ignore[arg-type]
