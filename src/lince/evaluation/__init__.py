"""How good a model is, in figures that can be trusted: numpy only, so it runs where torch is absent."""

from lince.evaluation.classification import Averages, ClassificationMetrics, ClassScore, evaluate
from lince.evaluation.compare import Comparison, compare
from lince.evaluation.compare_found import FoundComparison, compare_found
from lince.evaluation.detection import DetectionMetrics, DetectionScore, evaluate_detections
from lince.evaluation.interval import Interval
from lince.evaluation.predictions import Predictions

__all__ = [
    "Averages",
    "ClassScore",
    "ClassificationMetrics",
    "Comparison",
    "DetectionMetrics",
    "DetectionScore",
    "FoundComparison",
    "Interval",
    "Predictions",
    "compare",
    "compare_found",
    "evaluate",
    "evaluate_detections",
]
