"""Measures the latency of a detector with masks on this machine, by its name, at random weights."""

from __future__ import annotations

from lince.export.detection.latency import measure_entry
from lince.models.instances.registry import get_model_entry


def measure_latency(model: str, size: int | None = None, class_count: int = 10, grey: bool = False) -> float:
    """Return the milliseconds per image of ``model`` exported to ONNX, for an input of ``size`` pixels.

    ``grey`` has no effect: detectors read colour images. Raises ``UsageError`` for an unknown name.
    """
    del grey
    return measure_entry(get_model_entry(model), size, class_count)
