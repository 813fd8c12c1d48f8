"""Measures the latency of a segmentation network on this machine, by its name, at random weights."""

from __future__ import annotations

from lince.export.latency import measure_export
from lince.export.torch_to_onnx import export_segmenter
from lince.models import weights_source
from lince.models.segmentation.registry import get_segmenter_entry
from lince.models.segmentation.segmenter import build_segmenter


def measure_latency(model: str, size: int | None = None, class_count: int = 10, grey: bool = False) -> float:
    """Return the milliseconds per image of ``model`` exported to ONNX, for an input of ``size`` pixels.

    Only the network is measured: without decoding the image and without bringing the classes to its size. ``size`` is
    by default that of the backbone. Raises ``UsageError`` for an unknown name.
    """
    entry = get_segmenter_entry(model)
    spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), size, grey=grey)
    network = build_segmenter(entry, class_count, spec)
    return measure_export(lambda path: export_segmenter(network, spec, path), spec)
