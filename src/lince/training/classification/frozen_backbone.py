"""Exports frozen backbones to ONNX once and caches them; torch is needed only where weights are not lince's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lince import fileio, number_format
from lince.export import efficientnet_lite, efficientnet_lite_int8
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.models import torch_file
from lince.models.classification.efficientnet_names import map_timm_names
from lince.models.classification.registry import ModelEntry
from lince.models.weights_report import WeightsReport
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec
from lince.progress import Progress
from lince.training.recipe import FrozenBackbone
from lince.training.run_report import collect_network_facts

CACHE_VERSION = 2  # of the embedding: a backbone exported by another version is exported again
_OWN_TO_SOURCE = ("provenance", "licence", "notes")  # fields of a report that the source has, in the reader's language
_NETWORK_FILE, _INT8_FILE, _FACTS_FILE = "backbone.onnx", "backbone-int8.onnx", "facts.json"


def prepare_frozen_backbone(
    source: WeightsSource, spec: PreprocessSpec, seed: int, progress: Progress
) -> FrozenBackbone:
    """Return the network of ``source`` without its head, for inputs of ``spec``, from the cache or exported now.

    Random weights are drawn from ``seed``. The cache key covers the weights, the model's entry and the input's shape.
    Raises ``WeightsError`` when the weights do not fit the network.
    """
    weights = source.compute_digest() if source.path is not None else f"random {seed}"
    key = json.dumps(
        [CACHE_VERSION, source.entry.identifier, weights, spec.shape, asdict(source.entry)], sort_keys=True
    )
    folder = fileio.get_cache_folder() / "backbones" / fileio.compute_digest(key.encode())
    network, int8_network = folder / _NETWORK_FILE, folder / _INT8_FILE
    has_int8 = source.kind == "package"
    facts = _read_facts(folder / _FACTS_FILE)
    if facts is None or not network.is_file() or (has_int8 and not int8_network.is_file()):
        progress.show_message(
            _("Preparing {model} (only once for these weights and this size)").format(model=source.entry.name)
        )
        facts = _export_frozen(source, spec, seed, folder)
    lines = _make_report(source, facts["loading"]).format_lines()  # kept as figures: the cache has no language
    for line in [describe_cost(facts, source.entry), *lines]:
        progress.show_message(line)
    shown = {name: value for name, value in facts.items() if name != "loading"}
    facts = {**shown, "source": source.provenance, "weights": lines}
    return FrozenBackbone(network, facts, int8_network if int8_network.is_file() else None)


def describe_cost(facts: dict[str, Any], entry: ModelEntry) -> str:
    """Return one translated line with parameters, multiply-accumulates, latency and published accuracy, where known."""
    parts = [
        _("{params} parameters").format(params=number_format.format_si_suffix(facts["params"])),
        _("{macs} MACs per image").format(macs=number_format.format_si_suffix(facts["macs"])),
    ]
    if "ms" in facts:
        parts.append(_("{ms:.1f} ms per image here").format(ms=facts["ms"]))
    if entry.top1 is not None:
        parts.append(
            _("published ImageNet top-1 accuracy {top1}").format(top1=number_format.format_percent(entry.top1 / 100))
        )
    return _("Network: {name} ({parts})").format(name=facts["name"], parts=", ".join(parts))


def _export_frozen(source: WeightsSource, spec: PreprocessSpec, seed: int, folder: Path) -> dict[str, Any]:
    """Export the backbone and its facts into ``folder``, with its latency in ms per image, and return the facts."""
    network = folder / _NETWORK_FILE
    if source.kind == "package" and source.path is not None:
        facts = _write_packaged(source, source.path, spec, network)
    else:
        facts = _export_with_torch(source, spec, seed, network)
    facts["ms"] = OnnxRuntimeBackend(network).measure((1, *spec.shape), seconds=0.1)
    fileio.write_json(folder / _FACTS_FILE, facts)
    return facts


def _write_packaged(source: WeightsSource, weights: Path, spec: PreprocessSpec, path: Path) -> dict[str, Any]:
    """Write the network of the installed file ``weights`` to ``path`` without torch, and return its facts.

    The network in int8 is written beside it. The facts are those that ``_export_with_torch`` would return, which builds
    it with a head for one class.
    """
    tensors = torch_file.read_tensors(weights)
    names = map_timm_names(tensors)
    renamed = {names[name]: tensor for name, tensor in tensors.items()}
    cost = efficientnet_lite.write_backbone(renamed, spec, path)
    efficientnet_lite_int8.write_int8_backbone(renamed, spec, path.with_name(_INT8_FILE))
    params = cost.params + cost.width + 1
    class_layers = tuple(name for name in names.values() if name.startswith("classifier."))
    count = sum(not name.endswith("num_batches_tracked") for name in tensors) - len(class_layers)  # those in use
    facts = collect_network_facts(source, params, params, cost.macs + cost.width)
    return {**facts, "loading": {"fitted_count": count, "total_count": count, "class_layers": class_layers}}


def _export_with_torch(source: WeightsSource, spec: PreprocessSpec, seed: int, path: Path) -> dict[str, Any]:
    """Build the network of ``source`` with torch, write it to ``path``, and return its facts."""
    # torch takes seconds to import, so only a run that exports imports it.
    from lince.export.torch_to_onnx import export_backbone  # noqa: PLC0415
    from lince.models import weights  # noqa: PLC0415
    from lince.models.classification.classifier import build_classifier  # noqa: PLC0415
    from lince.training.classification.build import describe_network  # noqa: PLC0415

    network = build_classifier(source.entry, 1, spec, seed)
    report = weights.load_classifier_weights(network, source)
    export_backbone(network, spec, path)
    loading = asdict(report)
    for name in _OWN_TO_SOURCE:
        del loading[name]
    return {**describe_network(network, source, spec, []), "loading": loading}


def _make_report(source: WeightsSource, loading: dict[str, Any]) -> WeightsReport:
    """Return how the weights of ``source`` were loaded, from the figures of ``loading`` (JSON), in this language."""
    shapes = [(name, tuple(in_file), tuple(in_network)) for name, in_file, in_network in loading.get("wrong_shape", ())]
    names = {name: tuple(loading.get(name, ())) for name in ("missing", "unexpected", "class_layers")}
    return WeightsReport(
        source.provenance,
        source.licence,
        loading["fitted_count"],
        loading["total_count"],
        wrong_shape=tuple(shapes),
        notes=source.notes,
        **names,
    )


def _read_facts(path: Path) -> dict[str, Any] | None:
    """Return the cached facts; ``None`` when the file is missing, not JSON, or of a version that kept sentences."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts if "loading" in facts else None
