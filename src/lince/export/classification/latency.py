"""Measures the latency of a classifier on this machine, and lists its layers, by its name, at random weights."""

from __future__ import annotations

from lince.export.latency import measure_export
from lince.export.torch_to_onnx import export_classifier
from lince.models import weights_source
from lince.models.classification.classifier import Classifier, build_classifier
from lince.models.classification.registry import get_model_entry
from lince.models.layer_summary import ModelSummary, summarise_network
from lince.preprocess import PreprocessSpec


def measure_latency(model: str, size: int | None = None, class_count: int = 10, grey: bool = False) -> float:
    """Return the milliseconds per image of ``model`` exported to ONNX, for an input of ``size`` pixels.

    ``size`` is by default that of the network. Raises ``UsageError`` for an unknown name.
    """
    network, spec = build_random_classifier(model, size, class_count, grey)
    return measure_export(lambda path: export_classifier(network, spec, path), spec)


def summarise_layers(model: str, size: int | None = None, class_count: int = 10, grey: bool = False) -> ModelSummary:
    """Return the layers of ``model`` with their output shapes and costs; the arguments are those above."""
    return summarise_network(*build_random_classifier(model, size, class_count, grey))


def build_random_classifier(
    model: str, size: int | None, class_count: int, grey: bool
) -> tuple[Classifier, PreprocessSpec]:
    """Return the network called ``model`` at random weights, and the preprocessing of its input."""
    entry = get_model_entry(model)
    spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), size, grey=grey)
    return build_classifier(entry, class_count, spec), spec
