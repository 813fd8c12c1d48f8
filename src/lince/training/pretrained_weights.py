"""Loads published weights into the network of a recipe, says how, and collects its facts for card and report."""

from __future__ import annotations

from typing import Any

from lince.models import weights
from lince.models.pretrained_network import PretrainedNetwork
from lince.models.weights_source import WeightsSource
from lince.progress import Progress
from lince.training.run_report import collect_network_facts


def load_pretrained(network: PretrainedNetwork, source: WeightsSource, macs: int, progress: Progress) -> dict[str, Any]:
    """Load ``network`` from ``source`` and return its facts (JSON); ``macs`` are its multiply-accumulates per image.

    Shows how the weights were loaded. Raises ``WeightsError`` when they do not fit the network.
    """
    report = weights.load_network_weights(network, source)
    for line in report.format_lines():
        progress.show_message(line)
    return collect_network_facts(
        source,
        sum(parameter.numel() for parameter in network.parameters()),
        sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
        macs,
    )
