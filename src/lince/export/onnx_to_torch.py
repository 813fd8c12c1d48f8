"""Runs an ONNX network as a torch module, for the export targets that start from torch.

The ONNX file is the one that was verified and evaluated, and every recipe writes one; a network rebuilt from a
checkpoint would have to be verified again. Integer constants and shapes are kept as Python numbers, so that tracing
does not turn them into tensors.
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
_RESIZE_MODES = {b"nearest": "nearest", b"linear": "bilinear"}
_CENTRED_COORDINATES = (b"half_pixel", b"pytorch_half_pixel")


class OnnxModule(nn.Module):
    """The network in the ONNX file at ``path``: maps ``images`` (N, C, H, W) to a tuple of its outputs, in file order.

    Raises ``ModelError`` when the file contains an operator that is not implemented here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        model = onnx_graph.read_onnx(path)
        self._input_name = model.graph.input[0].name
        self.outputs = tuple(output.name for output in model.graph.output)
        self._steps = [_build_step(node, path) for node in model.graph.node if node.op_type != "Constant"]
        self._int_constants: dict[str, list[int]] = {}
        self._short_constants: dict[str, list[float]] = {}  # by name, for operators that take Python numbers
        self._buffer_names: dict[str, str] = {}  # by the name of the constant
        constants = [(item.name, item) for item in model.graph.initializer]
        constants += [(node.output[0], node.attribute[0].t) for node in model.graph.node if node.op_type == "Constant"]
        for name, item in constants:
            self._store_constant(name, torch.from_numpy(numpy_helper.to_array(item).copy()))

    def _store_constant(self, name: str, value: Tensor) -> None:
        """Keep a constant: integers as a list of Python numbers, others as a buffer, short ones also as a list."""
        if value.dtype == torch.int64:
            self._int_constants[name] = value.reshape(-1).tolist()
        else:
            self._short_constants |= {name: value.reshape(-1).tolist()} if value.numel() <= _MAX_SHORT_LENGTH else {}
            self._buffer_names[name] = f"constant{len(self._buffer_names)}"
            self.register_buffer(self._buffer_names[name], value)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for ``images`` (N, C, H, W)."""
        values_by_name: dict[str, Any] = {
            name: getattr(self, buffer_name) for name, buffer_name in self._buffer_names.items()
        }
        values_by_name |= {**self._int_constants, self._input_name: images}
        for operation, attributes, inputs, output in self._steps:
            values = values_by_name | self._short_constants if operation in _NUMBER_OPERATIONS else values_by_name
            values_by_name[output] = operation(attributes, *(values[name] if name else None for name in inputs))
        return tuple(values_by_name[name] for name in self.outputs)


class NamedOutputModule(nn.Module):
    """An ``OnnxModule`` that returns its outputs by name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.network = OnnxModule(path)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return each output by name for ``images`` (N, C, H, W)."""
        return dict(zip(self.network.outputs, self.network(images), strict=True))


def _build_step(node: Any, path: Path) -> tuple[Operation, Attributes, tuple[str, ...], str]:
    """Return (operation, attributes, input names, output name) of ``node``.

    Raises ``ModelError`` for an operator that is not implemented, or a node with several outputs.
    """
    if node.op_type not in _OPERATIONS or len(node.output) != 1:
        raise ModelError(
            _("{path} contains the operation {name}, which cannot be converted to torch.").format(
                path=path, name=node.op_type
            ),
            _("Expected a network of convolutions, pools and dense layers."),
            _("Export it to onnx or openvino instead."),
        )
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return _OPERATIONS[node.op_type], attributes, tuple(node.input), node.output[0]


def _pad_asymmetric(images: Tensor, attributes: Attributes, value: float = 0.0) -> tuple[Tensor, Any]:
    """Return ``images`` and the (vertical, horizontal) padding left for the operator itself.

    Padding that differs between opposite sides, which torch's operators do not take, is applied here with ``value``.
    """
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    if (top, left) == (bottom, right):
        return images, (top, left)
    return functional.pad(images, (left, right, top, bottom), value=value), (0, 0)


def _conv(attributes: Attributes, images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """2-D convolution with ONNX's attributes."""
    images, pads = _pad_asymmetric(images, attributes)
    strides, dilations = attributes.get("strides", (1, 1)), attributes.get("dilations", (1, 1))
    return functional.conv2d(images, weight, bias, strides, pads, dilations, attributes.get("group", 1))


def _gemm(attributes: Attributes, rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """alpha * rows @ weight + beta * bias, with optional transposition."""
    rows = rows.transpose(0, 1) if attributes.get("transA") else rows
    weight = weight.transpose(0, 1) if attributes.get("transB") else weight
    alpha, beta = float(attributes.get("alpha", 1.0)), float(attributes.get("beta", 1.0))
    product = (rows @ weight) * alpha
    return product if bias is None else product + bias * beta


def _max_pool(attributes: Attributes, images: Tensor) -> Tensor:
    """2-D max pool with ONNX's attributes; padding never wins."""
    images, pads = _pad_asymmetric(images, attributes, float("-inf"))
    kernel = attributes["kernel_shape"]
    dilations, ceil_mode = attributes.get("dilations", (1, 1)), bool(attributes.get("ceil_mode", 0))
    return functional.max_pool2d(images, kernel, attributes.get("strides", (1, 1)), pads, dilations, ceil_mode)


def _average_pool(attributes: Attributes, images: Tensor) -> Tensor:
    """2-D average pool with ONNX's attributes; only symmetric padding is supported."""
    pads = attributes.get("pads", (0, 0, 0, 0))
    count_padding = bool(attributes.get("count_include_pad", 0))
    kernel, ceil_mode = attributes["kernel_shape"], bool(attributes.get("ceil_mode", 0))
    return functional.avg_pool2d(images, kernel, attributes.get("strides", (1, 1)), pads[:2], ceil_mode, count_padding)


def _reduction_axes(attributes: Attributes, axes: Sequence[int] | None, images: Tensor) -> list[int]:
    """Return the axes of a reduction, from the attribute or the input; all axes when there is neither."""
    own_axes = attributes.get("axes", axes)
    return list(range(images.ndim)) if own_axes is None else list(own_axes)


def _reduce_mean(attributes: Attributes, images: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Mean over axes."""
    return images.mean(_reduction_axes(attributes, axes, images), keepdim=bool(attributes.get("keepdims", 1)))


def _reduce_max(attributes: Attributes, images: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Maximum over axes."""
    return images.amax(_reduction_axes(attributes, axes, images), keepdim=bool(attributes.get("keepdims", 1)))


def _clip(
    attributes: Attributes, values: Tensor, low: Sequence[float] | None = None, high: Sequence[float] | None = None
) -> Tensor:
    """Clamp, with bounds from the inputs or, in older opsets, from the attributes."""
    lower, upper = (*(low or ()), attributes.get("min"))[0], (*(high or ()), attributes.get("max"))[0]
    return values.clamp(lower, upper)


def _concat(attributes: Attributes, *parts: Any) -> Any:
    """Concatenate tensors along the attribute's axis, or lists of numbers."""
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
    """Slice a tensor along ``axes`` (by default the first ones), or a list of numbers."""
    slices = [
        slice(start, end, step) for start, end, step in zip(starts, ends, steps or [1] * len(starts), strict=True)
    ]
    if isinstance(values, list):
        return values[slices[0]]
    index: list[slice] = [slice(None)] * values.ndim
    for axis, part in zip(axes or range(len(slices)), slices, strict=True):
        index[axis] = part
    return values[tuple(index)]


def _gather(attributes: Attributes, values: Any, indices: Any) -> Any:
    """Select ``indices`` along one axis of a tensor, or from a list of numbers."""
    if isinstance(values, list):
        return [values[number] for number in indices]
    return values.index_select(attributes.get("axis", 0), torch.tensor(indices, device=values.device))


def _reshape(attributes: Attributes, values: Tensor, sides: list[int]) -> Tensor:
    """Reshape; a constant side of 0 keeps the side at its position."""
    return values.reshape(
        [values.shape[axis] if type(side) is int and side == 0 else side for axis, side in enumerate(sides)]
    )


def _resize(attributes: Attributes, images: Tensor, _roi: Any, scales: Sequence[float]) -> Tensor:
    """Enlarge by whole factors, with nearest neighbour or linear between the centres of pixels.

    Raises ``ModelError`` for any other resize.
    """
    factors, mode = list(scales[2:]), attributes.get("mode")
    is_centred = attributes.get("coordinate_transformation_mode", b"half_pixel") in _CENTRED_COORDINATES
    if (
        mode not in _RESIZE_MODES
        or (mode == b"linear" and not is_centred)
        or any(item != int(item) for item in factors)
    ):
        raise ModelError(_("Resizing by {scales} cannot be converted to torch.").format(scales=factors))
    align_corners = False if mode == b"linear" else None
    return functional.interpolate(images, scale_factor=factors, mode=_RESIZE_MODES[mode], align_corners=align_corners)


def _flatten(attributes: Attributes, values: Tensor) -> Tensor:
    """Flatten the axes from the attribute's axis (by default 1) on."""
    return values.flatten(attributes.get("axis", 1))


def _hard_sigmoid(attributes: Attributes, values: Tensor) -> Tensor:
    """alpha * x + beta, clamped to [0, 1]."""
    return torch.clamp(values * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5), 0.0, 1.0)


_OPERATIONS: dict[str, Operation] = {
    "Add": lambda _a, left, right: left + right,
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": lambda _a, left, right: left / right,
    "Exp": lambda _a, values: values.exp(),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _a, images: images.mean((2, 3), keepdim=True),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda _a, values: functional.hardswish(values),
    "Identity": lambda _a, values: values,
    "LeakyRelu": lambda a, values: functional.leaky_relu(values, a.get("alpha", 0.01)),
    "MatMul": lambda _a, left, right: left @ right,
    "MaxPool": _max_pool,
    "Mul": lambda _a, left, right: left * right,
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
    "Sub": lambda _a, left, right: left - right,
    "Tanh": lambda _a, values: values.tanh(),
    "Transpose": lambda a, values: values.permute(a["perm"]),
}
_NUMBER_OPERATIONS = (_clip, _resize)
