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
from lince.card import ModelCard
from lince.decode import decoder
from lince.errors import ModelError
from lince.exporting import finding, graph, seeing
from lince.exporting.building import PREFIX, Building, Value
from lince.exporting.parity import nearest
from lince.messages import _
from lince.runtime import modelfolder
from lince.runtime.detection import DetectionPredictor
from lince.runtime.loading import load
from lince.runtime.predictor import Predictor
from lince.runtime.session import Session

IMAGE = "image"
CLASSIFIED, LOCATED = ("probabilities", "class_id"), ("boxes", "scores", "class_ids")
AGREEMENT = 0.98  # the share of answers that must be those of lince
SCORE_TOLERANCE, BOX_TOLERANCE = 0.05, 2.0  # of two findings of one object; pixels of the photo
_NETWORK = "network/"
_OLDEST = 13
_SHAPES: dict[str, tuple[int, list[Any]]] = {
    "probabilities": (TensorProto.FLOAT, ["C"]),
    "class_id": (TensorProto.INT64, []),
    "boxes": (TensorProto.FLOAT, ["K", 4]),
    "scores": (TensorProto.FLOAT, ["K"]),
    "class_ids": (TensorProto.INT64, ["K"]),
}
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Contained:
    """How near the answers of a self-contained graph are to those of lince on ``count`` photos.

    ``score`` is the largest difference of a probability or of a score, ``box`` that of a side in pixels of the photo,
    ``agreement`` the share of photos with the same first class, or of findings with a partner.
    """

    count: int
    score: float
    box: float
    agreement: float

    def record(self) -> dict[str, float]:
        """Return the figures as a plain record."""
        return asdict(self)


def contain(folder: str | Path, path: str | Path, photos: Iterable[Image] = ()) -> Contained:
    """Write the model of a run, or of a model folder, to ``path`` as one self-contained ONNX file.

    Its input ``image`` is uint8 RGB (H, W, 3) of any size; its outputs are ``probabilities`` (C,) and ``class_id``, or
    ``boxes`` (K, 4) in pixels of the photo, ``scores`` (K,) and ``class_ids`` (K,), best first. Class names and the
    card stand in its metadata. It is compared with lince on ``photos``, uint8 RGB (H, W, 3), before it is handed over.
    Raises ``ModelError`` when the model cannot be contained, or answers otherwise.
    """
    located = modelfolder.locate(Path(folder))
    card = ModelCard.load(located)
    target = Path(path)
    graph.write(_whole(card, _network(located, card)), target)
    try:
        return _require_alike(compare(target, load(located), photos))
    except ModelError:
        target.unlink()
        raise


def compare(path: Path, model: Predictor | DetectionPredictor, photos: Iterable[Image]) -> Contained:
    """Return how near the graph in ``path`` is to ``model`` on ``photos``, uint8 RGB (H, W, 3)."""
    session = Session(path)
    if isinstance(model, DetectionPredictor):
        return _located(session, model, photos)
    differences, alike = [], 0
    for photo in photos:
        shares, first = session.run(photo, CLASSIFIED)
        expected = model.probabilities(preprocess.prepare([photo], model.card.preprocess))[0]
        differences.append(float(np.abs(shares - expected).max()))
        alike += int(first) == int(expected.argmax())
    count = len(differences)
    return Contained(count, max(differences, default=0.0), 0.0, alike / count if count else 1.0)


def _located(session: Session, model: DetectionPredictor, photos: Iterable[Image]) -> Contained:
    scores, boxes, total, count = [0.0], [0.0], 0, 0
    for photo in photos:
        count += 1
        ours, theirs = _detections(session, photo), model.predict(photo).detections
        total += len(ours) + len(theirs)
        for one, other in ((ours, theirs), (theirs, ours)):  # what is too much counts as what is missing
            for row in range(len(other)):
                score, box = nearest(one, other.boxes[row], int(other.class_ids[row]), float(other.scores[row]))
                if score <= SCORE_TOLERANCE and box <= BOX_TOLERANCE:
                    scores.append(score)
                    boxes.append(box)
    return Contained(count, max(scores), max(boxes), (len(scores) - 1) / total if total else 1.0)


def _detections(session: Session, photo: Image) -> Detections:
    boxes, scores, class_ids = session.run(photo, LOCATED)
    return Detections(boxes.astype(np.float64), class_ids.astype(np.int32), scores)


def _require_alike(found: Contained) -> Contained:
    if found.agreement < AGREEMENT:
        raise ModelError(
            _("The self-contained network answers otherwise: {share:.1%} of its answers are those of lince.").format(
                share=found.agreement
            ),
            _("Expected {least:.0%} on {count} photos.").format(least=AGREEMENT, count=found.count),
            _("Please report this with the model's name, and use the model folder."),
        )
    return found


def _network(folder: Path, card: ModelCard) -> Any:
    """Return the network of the folder, every name in it behind ``network/``."""
    if card.target != "onnx":
        raise ModelError(
            _("A model for {target} cannot be contained in a graph.").format(target=card.target),
            _("Expected an ONNX network."),
        )
    model = graph.read(folder / card.network)
    kind = model.graph.input[0].type.tensor_type.elem_type
    opset = max((one.version for one in model.opset_import if not one.domain), default=0)
    if kind != TensorProto.FLOAT or opset < _OLDEST:
        raise ModelError(
            _("{path} cannot be contained in a graph.").format(path=folder / card.network),
            _("Expected an input of float32, and operators of ONNX {oldest} or later.").format(oldest=_OLDEST),
        )
    return compose.add_prefix(model, _NETWORK)


def _whole(card: ModelCard, network: Any) -> Any:
    building = Building()
    prepared, frame = seeing.see(Value(building, IMAGE, np.dtype(np.uint8)), card.preprocess)
    building.add("Identity", [prepared])
    building.nodes[-1].output[0] = network.graph.input[0].name
    before = list(building.nodes)
    names, answers = _answers(card, building, frame)
    for name, answer in zip(names, answers, strict=True):
        building.nodes.append(helper.make_node("Identity", [answer.name], [name], name=name))
    nodes = _needed([*before, *network.graph.node, *building.nodes[len(before) :]], names)
    used = {name for node in nodes for name in node.input}
    whole = helper.make_graph(
        nodes,
        "self-contained",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["H", "W", 3])],
        [helper.make_tensor_value_info(name, *_SHAPES[name]) for name in names],
        [*network.graph.initializer, *(one for one in building.constants if one.name in used)],
    )
    model = helper.make_model(whole, opset_imports=network.opset_import, ir_version=network.ir_version)
    model.functions.extend(network.functions)
    told = {"names": json.dumps(card.classes.names, ensure_ascii=False), "card": json.dumps(card.record())}
    helper.set_model_props(model, told)
    onnx.checker.check_model(model)
    return model


def _needed(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """Return the ``nodes``, in order, without which ``outputs`` could not be answered; those of the network stay."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output) or not node.name.startswith(PREFIX):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def _answers(card: ModelCard, building: Building, frame: seeing.Frame) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    """Write what follows the network, and return the names and the values of what the whole graph answers."""

    def output(name: str) -> Value:
        return Value(building, _NETWORK + name, np.dtype(np.float32))

    if tasks.find(card.task) is tasks.DETECT:
        return LOCATED, finding.find([output(name) for name in decoder(card.decoding).outputs], card, frame)
    return CLASSIFIED, finding.probabilities(output(graph.LOGITS))
