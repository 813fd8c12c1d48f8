"""Reads, writes and edits ONNX graphs: attaches classifier heads to backbones. Does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lince import fileio
from lince.errors import ModelError
from lince.i18n import _

OPSET = 17
IMAGES, LOGITS, EMBEDDING, MAP, RAW = "images", "logits", "embedding", "map", "raw"
DenseLayer = tuple[NDArray[Any], NDArray[Any]]  # weight (K, D), bias (K,)


def name_feature_map(level: int) -> str:
    """Return the name of the output that is the feature map ``level``, from 0, the finest, on."""
    return f"map{level}"


def attach_head(backbone: Path, layers: Sequence[DenseLayer], path: Path) -> None:
    """Write to ``path`` the network of ``backbone`` with a head on ``embedding`` that outputs ``logits`` (N, C).

    ``layers`` holds (weight (K, D), bias (K,)) of each dense layer, with a ReLU between consecutive ones. ``embedding``
    and ``map`` stay outputs, after ``logits``. Raises ``ModelError`` when ``backbone`` has no embedding or already has
    logits, or when the widths do not match; ``ValueError`` when a layer's arrays do not have these shapes.
    """
    model = read_onnx(backbone)
    graph = model.graph
    output_names = {output.name for output in graph.output}
    if EMBEDDING not in output_names or LOGITS in output_names:
        raise ModelError(
            _("{path} has the outputs {names}.").format(path=backbone, names=", ".join(sorted(output_names))),
            _("Expected a backbone with the output '{name}' and no logits.").format(name=EMBEDDING),
        )
    _check_widths(backbone, graph, layers)
    _add_dense_layers(graph, layers)
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["N", len(layers[-1][1])])
    outputs = list(graph.output)
    del graph.output[:]
    graph.output.extend([logits, *outputs])
    write_onnx(model, path)


def _check_widths(backbone: Path, graph: Any, layers: Sequence[DenseLayer]) -> None:
    """Raise an error unless each layer takes as many inputs as the embedding, or the layer before it, has."""
    embedding = next(output for output in graph.output if output.name == EMBEDDING)
    width = embedding.type.tensor_type.shape.dim[1].dim_value
    for weight, bias in layers:
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ValueError(f"a dense layer is weight (K, D) and bias (K,), not {weight.shape} and {bias.shape}")
        if weight.shape[1] != width:
            raise ModelError(
                _("The head has {found} inputs.").format(found=weight.shape[1]),
                _("Expected {width}, the number of outputs of {path}.").format(width=width, path=backbone),
            )
        width = weight.shape[0]


def _add_dense_layers(graph: Any, layers: Sequence[DenseLayer]) -> None:
    """Append the nodes and weights of ``layers`` to ``graph``; the last node outputs ``logits``."""
    input_name = EMBEDDING
    for index, (weight, bias) in enumerate(layers):
        is_last = index == len(layers) - 1
        parameter_names = f"head.{index}.weight", f"head.{index}.bias"
        for parameter_name, values in zip(parameter_names, (weight, bias), strict=True):
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), parameter_name))
        output_name = LOGITS if is_last else f"head.{index}"
        graph.node.append(
            helper.make_node("Gemm", [input_name, *parameter_names], [output_name], f"head.{index}.dense", transB=1)
        )
        input_name = output_name
        if not is_last:
            input_name = f"{output_name}.relu"
            graph.node.append(helper.make_node("Relu", [output_name], [input_name], input_name))


def read_onnx(path: Path) -> Any:
    """Return the ONNX model in the file at ``path``; raise ``ModelError`` when it is missing or is not ONNX."""
    try:
        return onnx.load(path)
    except FileNotFoundError as error:
        raise ModelError(_("There is no file {path}.").format(path=path)) from error
    except (DecodeError, ValueError, OSError) as error:
        raise ModelError(
            _("{path} is not an ONNX file: {error}.").format(path=path, error=error),
            _("Expected the network that lince exported."),
        ) from error


def write_onnx(model: Any, path: Path) -> None:
    """Check ``model`` and write it to ``path`` atomically.

    Raises ``onnx.checker.ValidationError`` when the model is invalid.
    """
    onnx.checker.check_model(model)
    fileio.write_bytes(Path(path), model.SerializeToString())
