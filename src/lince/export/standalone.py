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

from lince import preprocess, tasks
from lince.annotations import Detections
from lince.errors import ModelError
from lince.export import onnx_graph, onnx_postprocess, onnx_preprocess
from lince.export.onnx_builder import NAME_PREFIX, GraphBuilder, GraphValue
from lince.export.parity import match_nearest_box
from lince.i18n import _
from lince.inference import model_folder
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.load import load
from lince.model_card import ModelCard
from lince.postprocess import get_decoder

IMAGE_INPUT = "image"
CLASSIFICATION_OUTPUTS, DETECTION_OUTPUTS = ("probabilities", "class_id"), ("boxes", "scores", "class_ids")
MIN_AGREEMENT = 0.98  # the share of answers that must be those of lince
SCORE_TOLERANCE, BOX_TOLERANCE = 0.05, 2.0  # of two findings of one object; pixels of the photo
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


def compare_standalone(
    path: Path, model: ClassificationPredictor | DetectionPredictor, images: Iterable[ImageArray]
) -> StandaloneReport:
    """Return how near the graph in ``path`` is to ``model`` on ``photos``, uint8 RGB (H, W, 3)."""
    session = OnnxRuntimeBackend(path)
    if isinstance(model, DetectionPredictor):
        return _compare_detections(session, model, images)
    differences, alike = [], 0
    for photo in images:
        shares, first = session.run(photo, CLASSIFICATION_OUTPUTS)
        expected = model.predict_probabilities(preprocess.preprocess_images([photo], model.card.preprocess))[0]
        differences.append(float(np.abs(shares - expected).max()))
        alike += int(first) == int(expected.argmax())
    count = len(differences)
    return StandaloneReport(count, max(differences, default=0.0), 0.0, alike / count if count else 1.0)


def _compare_detections(
    session: OnnxRuntimeBackend, model: DetectionPredictor, photos: Iterable[ImageArray]
) -> StandaloneReport:
    scores, boxes, total, count = [0.0], [0.0], 0, 0
    for photo in photos:
        count += 1
        ours, theirs = _run_detector(session, photo), model.predict(photo).detections
        total += len(ours) + len(theirs)
        for one, other in ((ours, theirs), (theirs, ours)):  # what is too much counts as what is missing
            for row in range(len(other)):
                score, box = match_nearest_box(
                    one, other.boxes[row], int(other.class_ids[row]), float(other.scores[row])
                )
                if score <= SCORE_TOLERANCE and box <= BOX_TOLERANCE:
                    scores.append(score)
                    boxes.append(box)
    return StandaloneReport(count, max(scores), max(boxes), (len(scores) - 1) / total if total else 1.0)


def _run_detector(session: OnnxRuntimeBackend, photo: ImageArray) -> Detections:
    boxes, scores, class_ids = session.run(photo, DETECTION_OUTPUTS)
    return Detections(boxes.astype(np.float64), class_ids.astype(np.int32), scores)


def _require_agreement(found: StandaloneReport) -> StandaloneReport:
    if found.agreement < MIN_AGREEMENT:
        raise ModelError(
            _("The self-contained network answers otherwise: {share:.1%} of its answers are those of lince.").format(
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
            _("A model for {target} cannot be contained in a graph.").format(target=card.target),
            _("Expected an ONNX network."),
        )
    model = onnx_graph.read_onnx(folder / card.network)
    kind = model.graph.input[0].type.tensor_type.elem_type
    opset = max((one.version for one in model.opset_import if not one.domain), default=0)
    if kind != TensorProto.FLOAT or opset < _MIN_OPSET:
        raise ModelError(
            _("{path} cannot be contained in a graph.").format(path=folder / card.network),
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

    if tasks.get_task(card.task) is tasks.DETECT:
        return DETECTION_OUTPUTS, onnx_postprocess.build_detection_postprocess(
            [output(name) for name in get_decoder(card.decoder).outputs], card, frame
        )
    return CLASSIFICATION_OUTPUTS, onnx_postprocess.build_classification_postprocess(output(onnx_graph.LOGITS))
