"""Surgery on ONNX graphs: heads put on, padding folded in. No torch here, so a warm transfer never loads it."""

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


def attach_head(backbone: Path, layers: Sequence[DenseLayer], path: Path) -> None:
    """Write to ``path`` the network of ``backbone`` with a head on its ``embedding`` that answers ``logits`` (N, C).

    ``layers`` holds (weight (K, D), bias (K,)) of each dense layer; ReLU stands between them. The head is placed at
    the end of the graph; ``embedding`` and ``map`` stay outputs. Raises ``ModelError`` when the widths disagree.
    """
    model = read_onnx(backbone)
    graph = model.graph
    known = {output.name for output in graph.output}
    if EMBEDDING not in known or LOGITS in known:
        raise ModelError(
            _("{path} answers {names}.").format(path=backbone, names=", ".join(sorted(known))),
            _("Expected a backbone that answers '{name}' and no logits yet.").format(name=EMBEDDING),
        )
    _check_widths(backbone, graph, layers)
    _add_dense_layers(graph, layers)
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["N", len(layers[-1][1])])
    outputs = list(graph.output)
    del graph.output[:]
    graph.output.extend([logits, *outputs])
    write_onnx(model, path)


def _check_widths(backbone: Path, graph: Any, layers: Sequence[DenseLayer]) -> None:
    embedding = next(output for output in graph.output if output.name == EMBEDDING)
    width = embedding.type.tensor_type.shape.dim[1].dim_value
    for weight, bias in layers:
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ValueError(f"a dense layer is weight (K, D) and bias (K,), not {weight.shape} and {bias.shape}")
        if weight.shape[1] != width:
            raise ModelError(
                _("The head reads {found} values.").format(found=weight.shape[1]),
                _("Expected {width}, which {path} answers.").format(width=width, path=backbone),
            )
        width = weight.shape[0]


def _add_dense_layers(graph: Any, layers: Sequence[DenseLayer]) -> None:
    name = EMBEDDING
    for place, (weight, bias) in enumerate(layers):
        last = place == len(layers) - 1
        parts = f"head.{place}.weight", f"head.{place}.bias"
        for part, values in zip(parts, (weight, bias), strict=True):
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), part))
        answer = LOGITS if last else f"head.{place}"
        graph.node.append(helper.make_node("Gemm", [name, *parts], [answer], f"head.{place}.dense", transB=1))
        name = answer
        if not last:
            name = f"{answer}.relu"
            graph.node.append(helper.make_node("Relu", [answer], [name], name))


def read_onnx(path: Path) -> Any:
    """Return the ONNX model in the file at ``path``; raise ``ModelError`` when it is missing or not one."""
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
    """Check ``model`` and write it to ``path``, whole or not at all."""
    onnx.checker.check_model(model)
    fileio.write_bytes(Path(path), model.SerializeToString())
