"""Frozen networks as ONNX files, exported once and kept: the second run on the same weights never loads torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lince import files
from lince.evaluation import figures
from lince.messages import _
from lince.models.registry import ModelEntry
from lince.models.sources import Source
from lince.preprocess import Preprocess
from lince.progress import Progress
from lince.runtime.session import Session
from lince.training.job import Backbone

VERSION = 1  # of the embedding: a backbone exported by another version is exported again
_NETWORK, _FACTS = "backbone.onnx", "facts.json"


def frozen(source: Source, spec: Preprocess, seed: int, progress: Progress) -> Backbone:
    """Return the network of ``source`` without its head, for inputs of ``spec``: from the cache, or exported now.

    Random weights are drawn from ``seed``. Raises ``WeightsError`` when the weights do not fit.
    """
    weights = source.digest() if source.path is not None else f"random {seed}"
    key = json.dumps([VERSION, source.entry.text, weights, spec.shape, asdict(source.entry)], sort_keys=True)
    folder = files.cache_folder() / "backbones" / files.digest(key.encode())
    network = folder / _NETWORK
    facts = _read(folder / _FACTS)
    if facts is None or not network.is_file():
        progress.say(_("Preparing {model} (once for these weights and this size)").format(model=source.entry.name))
        facts = _export(source, spec, seed, folder)
    for line in [cost(facts, source.entry), *facts["weights"]]:
        progress.say(line)
    return Backbone(network, facts)


def cost(facts: dict[str, Any], entry: ModelEntry) -> str:
    """Return the sentence that tells what a network costs before anyone trains it."""
    parts = [
        _("{params} parameters").format(params=figures.magnitude(facts["params"])),
        _("{macs} multiply-accumulates a photo").format(macs=figures.magnitude(facts["macs"])),
    ]
    if "ms" in facts:
        parts.append(_("{ms:.1f} ms a photo here").format(ms=facts["ms"]))
    if entry.top1 is not None:
        parts.append(_("published ImageNet accuracy {top1:.1f} %").format(top1=entry.top1))
    return _("Network: {name} ({parts})").format(name=facts["name"], parts=", ".join(parts))


def _export(source: Source, spec: Preprocess, seed: int, folder: Path) -> dict[str, Any]:
    # torch takes seconds to load, so only the run that exports loads it.
    from lince.exporting.onnx import export_backbone  # noqa: PLC0415
    from lince.training.networks import loaded  # noqa: PLC0415

    network, facts = loaded(source, spec, classes=1, seed=seed)
    export_backbone(network, spec, folder / _NETWORK)
    facts["ms"] = Session(folder / _NETWORK).measure((1, *spec.shape), seconds=0.2)
    files.write_json(folder / _FACTS, facts)
    return facts


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts
