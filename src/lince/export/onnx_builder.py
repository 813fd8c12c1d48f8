"""Builds ONNX graphs with numpy-like operators; each value knows its dtype."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

NAME_PREFIX = "lince/"  # of what is built around a network, so that names never clash with those of the network


@dataclass
class GraphBuilder:
    """Collects the nodes and constants of a graph that is being built; ``prefix`` begins all generated names."""

    prefix: str = NAME_PREFIX
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add_constant(self, value: Any, dtype: Any) -> GraphValue:
        """Return ``value``, a number or a (nested) sequence of numbers, as a constant of ``dtype``."""
        name = self._next_name()
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return GraphValue(self, name, np.dtype(dtype))

    def add_node(
        self, operator: str, inputs: Sequence[GraphValue], dtype: Any = None, output_count: int = 1, **attributes: Any
    ) -> list[GraphValue]:
        """Append one node and return its ``output_count`` outputs.

        ``dtype`` is that of all outputs, by default that of the first input. ``attributes`` are ONNX attributes; names
        of nodes and values are generated.
        """
        names = [self._next_name(position) for position in range(output_count)]
        self.nodes.append(
            helper.make_node(operator, [value.name for value in inputs], names, name=names[0], **attributes)
        )
        return [GraphValue(self, name, np.dtype(dtype or inputs[0].dtype)) for name in names]

    def _next_name(self, position: int = 0) -> str:
        """Return a name that is unique in this builder, for output ``position`` of the next node."""
        return f"{self.prefix}{len(self.nodes)}.{len(self.constants)}.{position}"


@dataclass(frozen=True, eq=False)
class GraphValue:
    """A value in the graph: its name and its dtype. Operators append nodes to ``builder`` and return new values.

    Numbers and arrays on the other side of an operator become constants of this value's dtype. Comparisons return bool
    values.
    """

    builder: GraphBuilder
    name: str
    dtype: np.dtype[Any]

    def apply(self, operator: str, *others: Any, dtype: Any = None, **attributes: Any) -> GraphValue:
        """Return ``operator`` applied to this value and ``others``, which may be values, numbers or arrays.

        ``dtype`` is that of the result, by default this value's. ``attributes`` are ONNX attributes.
        """
        return self.builder.add_node(operator, [self, *map(self.to_value, others)], dtype, **attributes)[0]

    def cast(self, dtype: Any) -> GraphValue:
        """Return this value converted to ``dtype``."""
        return self.apply("Cast", dtype=dtype, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def gather(self, indices: Any, axis: int = 0) -> GraphValue:
        """Return the elements at ``indices`` (integers) along ``axis``; a scalar index removes the axis."""
        return self.apply(
            "Gather", indices if isinstance(indices, GraphValue) else self.add_int_constant(indices), axis=axis
        )

    def slice_axes(self, start: Any, end: Any, axes: Sequence[int]) -> GraphValue:
        """Return the part from ``start`` to before ``end`` along ``axes``.

        Both bounds are integers, one for each of ``axes``, given as a sequence or as a value.
        """
        bounds = [bound if isinstance(bound, GraphValue) else self.add_int_constant(bound) for bound in (start, end)]
        return self.apply("Slice", *bounds, self.add_int_constant(axes))

    def reshape(self, *sides: Any) -> GraphValue:
        """Return this value in another shape, given as integers or as one value.

        ``-1`` stands for the rest, ``0`` for the side at the same position.
        """
        return self.apply("Reshape", self.add_int_constant(sides) if not isinstance(sides[0], GraphValue) else sides[0])

    def unsqueeze(self, *axes: int) -> GraphValue:
        """Return this value with axes of length 1 inserted at ``axes`` of the result."""
        return self.apply("Unsqueeze", self.add_int_constant(axes))

    def squeeze(self, *axes: int) -> GraphValue:
        """Return this value without the ``axes``, which have length 1."""
        return self.apply("Squeeze", self.add_int_constant(axes))

    def select(self, if_true: GraphValue, if_false: GraphValue | float) -> GraphValue:
        """Return ``if_true`` where this condition holds, and ``if_false`` elsewhere."""
        return self.builder.add_node("Where", [self, if_true, if_true.to_value(if_false)], if_true.dtype)[0]

    def nonzero(self) -> GraphValue:
        """Return the indices int64 (K,) at which this condition (N,) holds."""
        return self.apply("NonZero", dtype=np.int64).squeeze(0)

    def add_int_constant(self, numbers: Any) -> GraphValue:
        """Return ``numbers`` as an int64 constant, whatever this value's dtype."""
        return self.builder.add_constant(numbers, np.int64)

    def to_value(self, other: Any) -> GraphValue:
        """Return ``other`` unchanged when it is a value, else as a constant of this value's dtype."""
        return other if isinstance(other, GraphValue) else self.builder.add_constant(other, self.dtype)

    def __add__(self, other: Any) -> GraphValue:
        return self.apply("Add", other)

    def __sub__(self, other: Any) -> GraphValue:
        return self.apply("Sub", other)

    def __rsub__(self, other: Any) -> GraphValue:
        return self.to_value(other) - self

    def __mul__(self, other: Any) -> GraphValue:
        return self.apply("Mul", other)

    def __truediv__(self, other: Any) -> GraphValue:
        return self.apply("Div", other)

    def __rtruediv__(self, other: Any) -> GraphValue:
        return self.to_value(other) / self

    def __le__(self, other: Any) -> GraphValue:
        return self.apply("LessOrEqual", other, dtype=np.bool_)

    def __ge__(self, other: Any) -> GraphValue:
        return self.apply("GreaterOrEqual", other, dtype=np.bool_)

    def __gt__(self, other: Any) -> GraphValue:
        return self.apply("Greater", other, dtype=np.bool_)

    def __and__(self, other: GraphValue) -> GraphValue:
        return self.apply("And", other)

    def equal(self, other: Any) -> GraphValue:
        """Return the condition that both are equal; ``==`` itself compares the Python objects."""
        return self.apply("Equal", other, dtype=np.bool_)


def concat_values(values: Sequence[GraphValue], axis: int = 0) -> GraphValue:
    """Return ``values``, at least one, concatenated along ``axis``."""
    return values[0].builder.add_node("Concat", values, axis=axis)[0]


def make_range(count: GraphValue) -> GraphValue:
    """Return 0, 1, ..., ``count`` - 1 as (N,), of the dtype of ``count``, a scalar."""
    return count.builder.add_node("Range", [count.to_value(0), count, count.to_value(1)], count.dtype)[0]
