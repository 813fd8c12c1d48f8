"""Surgery on ONNX graphs: heads put on, padding folded in. No torch here, so a warm transfer never loads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lince import files
from lince.errors import ModelError
from lince.messages import _

OPSET = 17
IMAGES, LOGITS, EMBEDDING, MAP = "images", "logits", "embedding", "map"
Layer = tuple[NDArray[Any], NDArray[Any]]  # weight (K, D), bias (K,)


def attach_head(backbone: Path, layers: Sequence[Layer], path: Path) -> None:
    """Write to ``path`` the network of ``backbone`` with a head on its ``embedding`` that answers ``logits`` (N, C).

    ``layers`` holds (weight (K, D), bias (K,)) of each dense layer; ReLU stands between them. The head is placed at
    the end of the graph; ``embedding`` and ``map`` stay outputs. Raises ``ModelError`` when the widths disagree.
    """
    model = read(backbone)
    graph = model.graph
    known = {output.name for output in graph.output}
    if EMBEDDING not in known or LOGITS in known:
        raise ModelError(
            _("{path} answers {names}.").format(path=backbone, names=", ".join(sorted(known))),
            _("Expected a backbone that answers '{name}' and no logits yet.").format(name=EMBEDDING),
        )
    _check_widths(backbone, graph, layers)
    _add_dense(graph, layers)
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["N", len(layers[-1][1])])
    outputs = list(graph.output)
    del graph.output[:]
    graph.output.extend([logits, *outputs])
    write(model, path)


def _check_widths(backbone: Path, graph: Any, layers: Sequence[Layer]) -> None:
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


def _add_dense(graph: Any, layers: Sequence[Layer]) -> None:
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


def fold_padding(model: Any) -> int:
    """Move every constant zero padding into the convolution that alone reads it, in place; return how many."""
    graph = model.graph
    constants = _constants(graph)
    readers = _readers(graph)
    folded = 0
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        followers = readers.get(pad.output[0], [])
        pads = constants.get(pad.input[1])
        if pads is None or len(followers) != 1 or followers[0].op_type != "Conv" or not _is_zero(pad, constants):
            continue
        if len(pads) != 8 or pads[[0, 1, 4, 5]].any():
            continue
        _add_pads(followers[0], pads)
        followers[0].input[0] = pad.input[0]
        graph.node.remove(pad)
        folded += 1
    _drop_unread(graph)
    return folded


def _add_pads(convolution: Any, pads: NDArray[Any]) -> None:
    attribute = next((one for one in convolution.attribute if one.name == "pads"), None)
    own = list(attribute.ints) if attribute is not None else [0, 0, 0, 0]
    if attribute is not None:
        convolution.attribute.remove(attribute)
    total = [int(a + b) for a, b in zip(own, pads[[2, 3, 6, 7]], strict=True)]
    convolution.attribute.append(helper.make_attribute("pads", total))


def _is_zero(pad: Any, constants: dict[str, NDArray[Any]]) -> bool:
    modes = [helper.get_attribute_value(one) for one in pad.attribute if one.name == "mode"]
    if modes and modes[0] != b"constant":
        return False
    value = constants.get(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(1)
    return value is not None and not value.any()


def _constants(graph: Any) -> dict[str, NDArray[Any]]:
    found = {
        one.name: numpy_helper.to_array(one)
        for one in graph.initializer
        if one.data_type == TensorProto.INT64 or len(one.dims) == 0
    }
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _readers(graph: Any) -> dict[str, list[Any]]:
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _drop_unread(graph: Any) -> None:
    read_names = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for node in [one for one in graph.node if one.op_type == "Constant" and one.output[0] not in read_names]:
        graph.node.remove(node)
    for initializer in [one for one in graph.initializer if one.name not in read_names]:
        graph.initializer.remove(initializer)


def read(path: Path) -> Any:
    """Return the ONNX model in the file at ``path``; raise ``ModelError`` when it is missing or not one."""
    try:
        return onnx.load(path)
    except FileNotFoundError as error:
        raise ModelError(_("There is no file {path}.").format(path=path)) from error
    except Exception as error:  # noqa: BLE001
        raise ModelError(str(error)) from error


def write(model: Any, path: Path) -> None:
    """Check ``model`` and write it to ``path``, whole or not at all."""
    onnx.checker.check_model(model)
    files.write_bytes(Path(path), model.SerializeToString())
