"""Exports a model as one self-contained ONNX graph, from uint8 pixels to results, which runs without lince.

The input is a decoded image: ONNX has an operator that decodes image files, ``ImageDecoder``, but ONNX Runtime does not
implement it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from lince import fileio
from lince.errors import ModelError
from lince.evaluation.confidence import compute_binomial_tail
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
MIN_AGREEMENT = 0.98  # fraction of the results that must be those of lince
_MIN_UNDECIDED_AGREEMENT = 0.9  # below, a result is refused even on photos that are too few to decide
_SIGNIFICANCE_LEVEL = 0.05  # of an agreement below ``MIN_AGREEMENT``
_NETWORK_PREFIX = "network/"
_MIN_OPSET = 13
_OUTPUT_TYPES: dict[str, tuple[int, list[Any]]] = {
    "probabilities": (TensorProto.FLOAT, ["C"]),
    "class_id": (TensorProto.INT64, []),
    "boxes": (TensorProto.FLOAT, ["K", 4]),
    "scores": (TensorProto.FLOAT, ["K"]),
    "class_ids": (TensorProto.INT64, ["K"]),
    "class_map": (TensorProto.UINT8, ["H", "W"]),
    "pixel_probabilities": (TensorProto.FLOAT, ["C + 1", "H", "W"]),
}
ImageArray = NDArray[np.uint8]


@dataclass(frozen=True)
class StandaloneReport:
    """How close the results of a self-contained graph are to those of lince on ``count`` images.

    Attributes:
        count: number of images.
        score: largest difference of a probability or score.
        box: largest difference of a side of a box, in pixels of the image.
        agreement: fraction of images with the same predicted class, of classes that both say or do not say of an image,
            of detections that the other has, too, or of pixels of the same class.
        results: number of images, of such answers, of detections or of pixels that ``agreement`` is a fraction of.
    """

    count: int
    score: float
    box: float
    agreement: float
    results: int = 0

    @property
    def differing(self) -> int:
        """The number of results that differ."""
        return round((1 - self.agreement) * self.results)

    @property
    def is_sufficient(self) -> bool:
        """Whether the agreement is high enough, or not significantly too low (exact binomial test, one-sided)."""
        if self.agreement >= MIN_AGREEMENT:
            return True
        chance = compute_binomial_tail(self.differing, self.results, 1 - MIN_AGREEMENT)
        return self.agreement >= _MIN_UNDECIDED_AGREEMENT and chance >= _SIGNIFICANCE_LEVEL

    @property
    def note(self) -> str:
        """The sentence about an agreement that is too low but may be so by chance; empty elsewhere."""
        if self.agreement >= MIN_AGREEMENT or not self.is_sufficient:
            return ""
        return _(
            "Warning: {differing} of {results} results differ from those of lince. That is more than {most:.0%}, but "
            "on so few it may be chance. Compare on more photos: --data FOLDER --count 500"
        ).format(differing=self.differing, results=self.results, most=1 - MIN_AGREEMENT)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {**asdict(self), "note": self.note or None}


def export_standalone(
    folder: str | os.PathLike[str], path: str | os.PathLike[str], images: Iterable[ImageArray] = ()
) -> StandaloneReport:
    """Write the model of a run, or of a model folder, to ``path`` as one self-contained ONNX file, and compare it.

    Its input ``image`` is uint8 RGB (H, W, 3) of any size. Its outputs are ``probabilities`` (C,) and ``class_id`` (),
    or ``boxes`` (K, 4) in pixels of the image, ``scores`` (K,) and ``class_ids`` (K,), best first; of a multilabel
    model ``probabilities`` (C,) and ``class_ids`` (K,), the classes that are said, the most probable first; of a
    segmentation model ``class_map`` uint8 (H, W), 0 for the background and class id + 1 for a class, and
    ``pixel_probabilities`` (C + 1, H, W). The metadata ``names`` and ``card`` hold class names and model card as JSON.
    The graph is compared with lince on ``images``, uint8 RGB (H, W, 3).

    Raises ``ModelError``, and writes no file, when the results differ; also when the network is not ONNX with a float32
    input.
    """
    model_path = model_folder.find_model_folder(Path(folder))
    card = ModelCard.load(model_path)
    with fileio.atomic_file(Path(path)) as temporary:
        onnx_graph.write_onnx(_build_standalone_model(card, _load_prefixed_network(model_path, card)), temporary)
        return _require_agreement(compare_standalone(temporary, load(model_path), images))


def compare_standalone(path: Path, model: Predictor, images: Iterable[ImageArray]) -> StandaloneReport:
    """Return how close the graph in ``path`` is to ``model`` on ``images``, uint8 RGB (H, W, 3)."""
    compare = get_task(model.card.task).load_part("standalone").compare_graph
    report: StandaloneReport = compare(OnnxRuntimeBackend(path), model, images)
    return report


def _require_agreement(report: StandaloneReport) -> StandaloneReport:
    """Return ``report``; raise ``ModelError`` when the agreement is too low, and not only by chance."""
    if not report.is_sufficient:
        raise ModelError(
            _(
                "The self-contained network gives different results: {differing} of {results} differ from lince's."
            ).format(differing=report.differing, results=report.results),
            _("Expected at most {most:.0%} of them to differ, on {count} photos.").format(
                most=1 - MIN_AGREEMENT, count=report.count
            ),
            _(
                "Compare on more photos (--data FOLDER). If they differ there too, please report this with the model's "
                "name, and use the model folder."
            ),
        )
    return report


def _load_prefixed_network(folder: Path, card: ModelCard) -> Any:
    """Return the ONNX network of the folder with ``network/`` before every name in it.

    Raises ``ModelError`` when it cannot be part of a graph.
    """
    if card.target != "onnx":
        raise ModelError(
            _("A model for {target} cannot be made self-contained.").format(target=card.target),
            _("Expected an ONNX network."),
        )
    model = onnx_graph.read_onnx(folder / card.network)
    input_type = model.graph.input[0].type.tensor_type.elem_type
    opset = max((opset_id.version for opset_id in model.opset_import if not opset_id.domain), default=0)
    if input_type != TensorProto.FLOAT or opset < _MIN_OPSET:
        raise ModelError(
            _("{path} cannot be made self-contained.").format(path=folder / card.network),
            _("Expected an input of float32, and operators of ONNX {oldest} or later.").format(oldest=_MIN_OPSET),
        )
    return compose.add_prefix(model, _NETWORK_PREFIX)


def _build_standalone_model(card: ModelCard, network: Any) -> Any:
    """Return the ONNX model of preprocessing, ``network`` and postprocessing, with its metadata."""
    builder = GraphBuilder()
    prepared, placement = onnx_preprocess.build_preprocess(
        GraphValue(builder, IMAGE_INPUT, np.dtype(np.uint8)), card.preprocess
    )
    builder.add_node("Identity", [prepared])
    builder.nodes[-1].output[0] = network.graph.input[0].name
    preprocess_nodes = list(builder.nodes)
    names, values = _add_postprocess(card, builder, placement)
    for name, value in zip(names, values, strict=True):
        builder.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
    nodes = _prune_nodes([*preprocess_nodes, *network.graph.node, *builder.nodes[len(preprocess_nodes) :]], names)
    used_names = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "self-contained",
        [helper.make_tensor_value_info(IMAGE_INPUT, TensorProto.UINT8, ["H", "W", 3])],
        [helper.make_tensor_value_info(name, *_OUTPUT_TYPES[name]) for name in names],
        [*network.graph.initializer, *(constant for constant in builder.constants if constant.name in used_names)],
    )
    model = helper.make_model(graph, opset_imports=network.opset_import, ir_version=network.ir_version)
    model.functions.extend(network.functions)
    metadata = {"names": json.dumps(card.classes.names, ensure_ascii=False), "card": json.dumps(card.to_dict())}
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model


def _prune_nodes(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """Return the ``nodes``, in order, that ``outputs`` depend on; the nodes of the network all stay."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.output) or not node.name.startswith(NAME_PREFIX):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]


def _add_postprocess(
    card: ModelCard, builder: GraphBuilder, placement: onnx_preprocess.ImagePlacement
) -> tuple[tuple[str, ...], tuple[GraphValue, ...]]:
    """Append the postprocessing of the card's task; return the names and the values of the outputs."""

    def get_network_output(name: str) -> GraphValue:
        return GraphValue(builder, _NETWORK_PREFIX + name, np.dtype(np.float32))

    names, outputs = (
        get_task(card.task).load_part("standalone").add_postprocess(get_network_output, card, builder, placement)
    )
    return names, outputs
