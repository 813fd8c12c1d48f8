"""A network built, filled with weights and measured: what every recipe that loads torch starts from."""

from __future__ import annotations

from typing import Any

from lince.models import weights
from lince.models.classifier import Classifier, build
from lince.models.sources import Source
from lince.models.summary import summary
from lince.preprocess import Preprocess


def loaded(source: Source, spec: Preprocess, classes: int, seed: int) -> tuple[Classifier, dict[str, Any]]:
    """Return the network of ``source`` for ``classes``, its body filled, and its facts for the report (JSON).

    Raises ``WeightsError`` when the weights do not fit.
    """
    network = build(source.entry, classes, spec, seed)
    report = weights.load(network, source)
    return network, facts(network, source, spec, report.lines())


def facts(network: Classifier, source: Source, spec: Preprocess, lines: list[str]) -> dict[str, Any]:
    """Return name, source, licence, cost and layers of ``network`` as the report shows them."""
    table = summary(network, spec)
    return {
        "name": source.entry.text if source.kind != "file" else source.entry.unpublished,
        "source": source.origin,
        "licence": source.licence,
        "params": table.params,
        "trainable": table.trainable,
        "macs": table.macs,
        "layers": [],
        "weights": lines,
    }
