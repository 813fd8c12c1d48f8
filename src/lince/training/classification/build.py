"""A network built, filled with weights and measured: what every recipe that loads torch starts from."""

from __future__ import annotations

from typing import Any

from lince.models import weights
from lince.models.classification.classifier import Classifier, build_classifier
from lince.models.layer_summary import summarise_network
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec


def build_with_weights(
    source: WeightsSource, spec: PreprocessSpec, classes: int, seed: int
) -> tuple[Classifier, dict[str, Any]]:
    """Return the network of ``source`` for ``classes``, its body filled, and its facts for the report (JSON).

    Raises ``WeightsError`` when the weights do not fit.
    """
    network = build_classifier(source.entry, classes, spec, seed)
    report = weights.load_classifier_weights(network, source)
    return network, describe_network(network, source, spec, report.format_lines())


def describe_network(
    network: Classifier, source: WeightsSource, spec: PreprocessSpec, lines: list[str]
) -> dict[str, Any]:
    """Return name, source, licence, cost and layers of ``network`` as the report shows them."""
    table = summarise_network(network, spec)
    return {
        "name": source.entry.identifier if source.kind != "file" else source.entry.name_without_tag,
        "source": source.provenance,
        "licence": source.licence,
        "params": table.params,
        "trainable": table.trainable,
        "macs": table.macs,
        "layers": [],
        "weights": lines,
    }
