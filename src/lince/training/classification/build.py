"""Builds a classification network, loads its weights and measures its cost."""

from __future__ import annotations

from typing import Any

from lince.models import weights
from lince.models.classification.classifier import Classifier, build_classifier
from lince.models.layer_summary import summarise_network
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec
from lince.training.run_report import collect_network_facts


def build_with_weights(
    source: WeightsSource, spec: PreprocessSpec, classes: int, seed: int
) -> tuple[Classifier, dict[str, Any]]:
    """Return the network of ``source`` with a new head for ``classes`` classes, and its facts for the report (JSON).

    The head is initialised from ``seed``. Raises ``WeightsError`` when the weights do not fit the network.
    """
    network = build_classifier(source.entry, classes, spec, seed)
    report = weights.load_classifier_weights(network, source)
    return network, describe_network(network, source, spec, report.format_lines())


def describe_network(
    network: Classifier, source: WeightsSource, spec: PreprocessSpec, lines: list[str]
) -> dict[str, Any]:
    """Return name, source, licence, cost and layers of ``network`` for the report (JSON).

    ``params`` and ``trainable`` count parameters, ``macs`` multiply-accumulates per image of ``spec``; ``lines``
    describe how the weights were loaded.
    """
    summary = summarise_network(network, spec)
    facts = collect_network_facts(source, summary.params, summary.trainable, summary.macs)
    return {**facts, "weights": lines}
