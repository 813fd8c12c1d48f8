"""How good a model is, in figures that can be trusted: numpy only, so it runs where torch is absent."""

from lince.evaluation.classification import Averages, ClassificationMetrics, ClassScore, evaluate
from lince.evaluation.interval import Interval

__all__ = ["Averages", "ClassScore", "ClassificationMetrics", "Interval", "evaluate"]
