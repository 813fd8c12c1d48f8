"""Measures the latency of a detector on this machine, by its name, at random weights."""

from __future__ import annotations

from lince.export.latency import measure_export
from lince.export.torch_to_onnx import export_detector
from lince.models import weights_source
from lince.models.detection.builders import build_detector
from lince.models.detection.registry import DetectorEntry, get_detector_entry


def measure_latency(model: str, size: int | None = None, class_count: int = 10, grey: bool = False) -> float:
    """Return the milliseconds per image of ``model`` exported to ONNX, for an input of ``size`` pixels.

    ``grey`` has no effect: detectors read colour images. Raises ``UsageError`` for an unknown name.
    """
    del grey
    return measure_entry(get_detector_entry(model), size, class_count)


def measure_entry(entry: DetectorEntry, size: int | None = None, class_count: int = 10) -> float:
    """Return the milliseconds per image of the network of ``entry``, as ``measure_latency`` does.

    Only the network is measured: without decoding the image and without selecting boxes.
    """
    spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), size)
    return measure_export(lambda path: export_detector(build_detector(entry, class_count, spec), spec, path), spec)
