"""An ONNX network as a torch module: what a run's file computes, in the hands of everything that starts from torch.

The file is the one that was checked and measured, and it is there for every recipe; a network rebuilt from
checkpoints would have to be checked again. Values that only say how large something is are kept as Python numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from lince.errors import ModelError
from lince.export import onnx_graph
from lince.i18n import _

Attributes = dict[str, Any]
Operation = Callable[..., Any]
_MAX_SHORT_LENGTH = 4


class OnnxModule(nn.Module):
    """The network in the ONNX file at ``path``: ``images`` (N, C, H, W) to a tuple of its outputs, in their order.

    Raises ``ModelError`` when the file holds an operation that has no counterpart here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        model = onnx_graph.read_onnx(path)
        self._input = model.graph.input[0].name
        self.outputs = tuple(output.name for output in model.graph.output)
        self._steps = [_build_step(node, path) for node in model.graph.node if node.op_type != "Constant"]
        self._numbers: dict[str, list[int]] = {}
        self._plain: dict[str, list[float]] = {}  # short constants, for operations that take numbers
        self._held: dict[str, str] = {}  # the buffer of each constant
        constants = [(item.name, item) for item in model.graph.initializer]
        constants += [(node.output[0], node.attribute[0].t) for node in model.graph.node if node.op_type == "Constant"]
        for name, item in constants:
            self._store_constant(name, torch.from_numpy(numpy_helper.to_array(item).copy()))

    def _store_constant(self, name: str, value: Tensor) -> None:
        if value.dtype == torch.int64:
            self._numbers[name] = value.reshape(-1).tolist()
        else:
            self._plain |= {name: value.reshape(-1).tolist()} if value.numel() <= _MAX_SHORT_LENGTH else {}
            self._held[name] = f"constant{len(self._held)}"
            self.register_buffer(self._held[name], value)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for ``images`` (N, C, H, W)."""
        known: dict[str, Any] = {name: getattr(self, held) for name, held in self._held.items()}
        known |= {**self._numbers, self._input: images}
        for operation, attributes, inputs, output in self._steps:
            values = known | self._plain if operation in _NUMBER_OPERATIONS else known
            known[output] = operation(attributes, *(values[name] if name else None for name in inputs))
        return tuple(known[name] for name in self.outputs)


class NamedOutputModule(nn.Module):
    """A ``TorchGraph`` that answers by the names of its outputs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.network = OnnxModule(path)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return each output by its name for ``images`` (N, C, H, W)."""
        return dict(zip(self.network.outputs, self.network(images), strict=True))


def _build_step(node: Any, path: Path) -> tuple[Operation, Attributes, tuple[str, ...], str]:
    if node.op_type not in _OPERATIONS or len(node.output) != 1:
        raise ModelError(
            _("{path} holds the operation {name}, which is not carried over to torch.").format(
                path=path, name=node.op_type
            ),
            _("Expected a network of convolutions, pools and dense layers."),
            _("Export it to onnx or openvino instead."),
        )
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return _OPERATIONS[node.op_type], attributes, tuple(node.input), node.output[0]


def _pad_asymmetric(images: Tensor, attributes: Attributes, value: float = 0.0) -> tuple[Tensor, Any]:
    """Return ``images`` padded where the sides differ, and what is left for the operation itself to pad."""
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    if (top, left) == (bottom, right):
        return images, (top, left)
    return functional.pad(images, (left, right, top, bottom), value=value), (0, 0)


def _conv(attributes: Attributes, images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    images, pads = _pad_asymmetric(images, attributes)
    steps, spread = attributes.get("strides", (1, 1)), attributes.get("dilations", (1, 1))
    return functional.conv2d(images, weight, bias, steps, pads, spread, attributes.get("group", 1))


def _gemm(attributes: Attributes, rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = rows.transpose(0, 1) if attributes.get("transA") else rows
    weight = weight.transpose(0, 1) if attributes.get("transB") else weight
    alpha, beta = float(attributes.get("alpha", 1.0)), float(attributes.get("beta", 1.0))
    answer = (rows @ weight) * alpha
    return answer if bias is None else answer + bias * beta


def _max_pool(attributes: Attributes, images: Tensor) -> Tensor:
    images, pads = _pad_asymmetric(images, attributes, float("-inf"))
    kernel = attributes["kernel_shape"]
    spread, up = attributes.get("dilations", (1, 1)), bool(attributes.get("ceil_mode", 0))
    return functional.max_pool2d(images, kernel, attributes.get("strides", (1, 1)), pads, spread, up)


def _average_pool(attributes: Attributes, images: Tensor) -> Tensor:
    pads = attributes.get("pads", (0, 0, 0, 0))
    counted = bool(attributes.get("count_include_pad", 0))
    kernel, up = attributes["kernel_shape"], bool(attributes.get("ceil_mode", 0))
    return functional.avg_pool2d(images, kernel, attributes.get("strides", (1, 1)), pads[:2], up, counted)


def _reduction_axes(attributes: Attributes, axes: Sequence[int] | None, images: Tensor) -> list[int]:
    found = attributes.get("axes", axes)
    return list(range(images.ndim)) if found is None else list(found)


def _reduce_mean(attributes: Attributes, images: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    return images.mean(_reduction_axes(attributes, axes, images), keepdim=bool(attributes.get("keepdims", 1)))


def _reduce_max(attributes: Attributes, images: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    return images.amax(_reduction_axes(attributes, axes, images), keepdim=bool(attributes.get("keepdims", 1)))


def _clip(
    attributes: Attributes, values: Tensor, low: Sequence[float] | None = None, high: Sequence[float] | None = None
) -> Tensor:
    least, most = (*(low or ()), attributes.get("min"))[0], (*(high or ()), attributes.get("max"))[0]
    return values.clamp(least, most)


def _concat(attributes: Attributes, *parts: Any) -> Any:
    if isinstance(parts[0], list):
        return [number for part in parts for number in part]
    return torch.cat(parts, attributes["axis"])


def _slice(
    attributes: Attributes,
    values: Any,
    starts: list[int],
    ends: list[int],
    axes: list[int] | None = None,
    steps: list[int] | None = None,
) -> Any:
    spans = [slice(start, end, step) for start, end, step in zip(starts, ends, steps or [1] * len(starts), strict=True)]
    if isinstance(values, list):
        return values[spans[0]]
    places: list[slice] = [slice(None)] * values.ndim
    for axis, span in zip(axes or range(len(spans)), spans, strict=True):
        places[axis] = span
    return values[tuple(places)]


def _gather(attributes: Attributes, values: Any, at: Any) -> Any:
    if isinstance(values, list):
        return [values[number] for number in at]
    return values.index_select(attributes.get("axis", 0), torch.tensor(at, device=values.device))


def _reshape(attributes: Attributes, values: Tensor, sides: list[int]) -> Tensor:
    return values.reshape(
        [values.shape[at] if type(side) is int and side == 0 else side for at, side in enumerate(sides)]
    )


def _resize(attributes: Attributes, images: Tensor, _roi: Any, scales: Sequence[float]) -> Tensor:
    times = list(scales[2:])
    if attributes.get("mode") != b"nearest" or any(scale != int(scale) for scale in times):
        raise ModelError(_("Resizing by {scales} is not carried over to torch.").format(scales=times))
    return functional.interpolate(images, scale_factor=times, mode="nearest")


def _flatten(attributes: Attributes, values: Tensor) -> Tensor:
    return values.flatten(attributes.get("axis", 1))


def _hard_sigmoid(attributes: Attributes, values: Tensor) -> Tensor:
    return torch.clamp(values * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5), 0.0, 1.0)


_OPERATIONS: dict[str, Operation] = {
    "Add": lambda _a, one, other: one + other,
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": lambda _a, one, other: one / other,
    "Exp": lambda _a, values: values.exp(),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _a, images: images.mean((2, 3), keepdim=True),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda _a, values: functional.hardswish(values),
    "Identity": lambda _a, values: values,
    "LeakyRelu": lambda a, values: functional.leaky_relu(values, a.get("alpha", 0.01)),
    "MatMul": lambda _a, one, other: one @ other,
    "MaxPool": _max_pool,
    "Mul": lambda _a, one, other: one * other,
    "ReduceMax": _reduce_max,
    "ReduceMean": _reduce_mean,
    "Relu": lambda _a, values: values.relu(),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda _a, values: list(values.shape),
    "Sigmoid": lambda _a, values: values.sigmoid(),
    "Slice": _slice,
    "Softmax": lambda a, values: values.softmax(a.get("axis", -1)),
    "Sqrt": lambda _a, values: values.sqrt(),
    "Sub": lambda _a, one, other: one - other,
    "Tanh": lambda _a, values: values.tanh(),
    "Transpose": lambda a, values: values.permute(a["perm"]),
}
_NUMBER_OPERATIONS = (_clip, _resize)
