"""A network that needs no lince: preparation, network and decoding in one graph, uint8 pixels in, answers out.

Encoded photos cannot go in: ONNX has an operator that decodes them, ``ImageDecoder``, but ONNX Runtime has no kernel
for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from lince.errors import ModelError
from lince.export import onnx_graph, onnx_preprocess
from lince.export.onnx_builder import NAME_PREFIX, GraphBuilder, GraphValue
from lince.i18n import _
from lince.inference import model_folder
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.load import load
from lince.inference.predictor import Predictor
from lince.model_card import ModelCard
from lince.tasks import get_task

IMAGE_INPUT = "image"
MIN_AGREEMENT = 0.98  # the share of answers that must be those of lince
_NETWORK_PREFIX = "network/"
_MIN_OPSET = 13
_OUTPUT_TYPES: dict[str, tuple[int, list[Any]]] = {
    "probabilities": (TensorProto.FLOAT, ["C"]),
    "class_id": (TensorProto.INT64, []),
    "boxes": (TensorProto.FLOAT, ["K", 4]),
    "scores": (TensorProto.FLOAT, ["K"]),
    "class_ids": (TensorProto.INT64, ["K"]),
}
ImageArray = NDArray[np.uint8]


@dataclass(frozen=True)
class StandaloneReport:
    """How near the answers of a self-contained graph are to those of lince on ``count`` photos.

    ``score`` is the largest difference of a probability or of a score, ``box`` that of a side in pixels of the photo,
    ``agreement`` the share of photos with the same first class, or of findings with a partner.
    """

    count: int
    score: float
    box: float
    agreement: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures as a plain record."""
        return asdict(self)


def export_standalone(folder: str | Path, path: str | Path, images: Iterable[ImageArray] = ()) -> StandaloneReport:
    """Write the model of a run, or of a model folder, to ``path`` as one self-contained ONNX file.

    Its input ``image`` is uint8 RGB (H, W, 3) of any size; its outputs are ``probabilities`` (C,) and ``class_id``, or
    ``boxes`` (K, 4) in pixels of the photo, ``scores`` (K,) and ``class_ids`` (K,), best first. Class names and the
    card stand in its metadata. It is compared with lince on ``photos``, uint8 RGB (H, W, 3), before it is handed over.
    Raises ``ModelError`` when the model cannot be contained, or answers otherwise.
    """
    located = model_folder.find_model_folder(Path(folder))
    card = ModelCard.load(located)
    target = Path(path)
    onnx_graph.write_onnx(_build_standalone_model(card, _load_prefixed_network(located, card)), target)
    try:
        return _require_agreement(compare_standalone(target, load(located), images))
    except ModelError:
        target.unlink()
        raise


def compare_standalone(path: Path, model: Predictor, images: Iterable[ImageArray]) -> StandaloneReport:
    """Return how near the graph in ``path`` is to ``model`` on ``images``, uint8 RGB (H, W, 3)."""
    compare = get_task(model.card.task).load_part("standalone").compare_graph
    report: StandaloneReport = compare(OnnxRuntimeBackend(path), model, images)
    return report


def _require_agreement(found: StandaloneReport) -> StandaloneReport:
    if found.agreement < MIN_AGREEMENT:
        raise ModelError(
            _("The self-contained network gives different results: {share:.1%} of them agree with lince.").format(
                share=found.agreement
            ),
            _("Expected {least:.0%} on {count} photos.").format(least=MIN_AGREEMENT, count=found.count),
            _("Please report this with the model's name, and use the model folder."),
        )
    return found


def _load_prefixed_network(folder: Path, card: ModelCard) -> Any:
    """Return the network of the folder, every name in it behind ``network/``."""
    if card.target != "onnx":
        raise ModelError(
            _("A model for {target} cannot be made self-contained.").format(target=card.target),
            _("Expected an ONNX network."),
        )
    model = onnx_graph.read_onnx(folder / card.network)
    kind = model.graph.input[0].type.tensor_type.elem_type
    opset = max((one.version for one in model.opset_import if not one.domain), default=0)
    if kind != TensorProto.FLOAT or opset < _MIN_OPSET:
        raise ModelError(
            _("{path} cannot be made self-contained.").format(path=folder / card.network),
            _("Expected an input of float32, and operators of ONNX {oldest} or later.").format(oldest=_MIN_OPSET),
        )
    return compose.add_prefix(model, _NETWORK_PREFIX)


def _build_standalone_model(card: ModelCard, network: Any) -> Any:
    building = GraphBuilder()
    prepared, frame = onnx_preprocess.build_preprocess(
        GraphValue(building, IMAGE_INPUT, np.dtype(np.uint8)), card.preprocess
    )
    building.add_node("Identity", [prepared])
    building.nodes[-1].output[0] = network.graph.input[0].name
    before = list(building.nodes)
    names, answers = _add_postprocess(card, building, frame)
    for name, answer in zip(names, answers, strict=True):
        building.nodes.append(helper.make_node("Identity", [answer.name], [name], name=name))
    nodes = _prune_nodes([*before, *network.graph.node, *building.nodes[len(before) :]], names)
    used = {name for node in nodes for name in node.input}
    whole = helper.make_graph(
        nodes,
        "self-contained",
        [helper.make_tensor_value_info(IMAGE_INPUT, TensorProto.UINT8, ["H", "W", 3])],
        [helper.make_tensor_value_info(name, *_OUTPUT_TYPES[name]) for name in names],
        [*network.graph.initializer, *(one for one in building.constants if one.name in used)],
    )
    model = helper.make_model(whole, opset_imports=network.opset_import, ir_version=network.ir_version)
    model.functions.extend(network.functions)
    told = {"names": json.dumps(card.classes.names, ensure_ascii=False), "card": json.dumps(card.to_dict())}
    helper.set_model_props(model, told)
    onnx.checker.check_model(model)
    return model


def _prune_nodes(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """Return the ``nodes``, in order, without which ``outputs`` could not be answered; those of the network stay."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output) or not node.name.startswith(NAME_PREFIX):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def _add_postprocess(
    card: ModelCard, building: GraphBuilder, frame: onnx_preprocess.ImagePlacement
) -> tuple[tuple[str, ...], tuple[GraphValue, ...]]:
    """Write what follows the network, and return the names and the values of what the whole graph answers."""

    def output(name: str) -> GraphValue:
        return GraphValue(building, _NETWORK_PREFIX + name, np.dtype(np.float32))

    names, outputs = get_task(card.task).load_part("standalone").add_postprocess(output, card, building, frame)
    return names, outputs
