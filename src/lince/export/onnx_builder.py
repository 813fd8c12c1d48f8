"""Arithmetic that becomes a graph: ONNX nodes written as one writes numpy, with the kind of number of each known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

NAME_PREFIX = "lince/"  # of all names, so that they never meet those of a network


@dataclass
class GraphBuilder:
    """The nodes and constants written so far."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add_constant(self, value: Any, dtype: Any) -> GraphValue:
        """Return ``value``, a number or an array of them, as numbers of ``kind``."""
        name = self._next_name()
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return GraphValue(self, name, np.dtype(dtype))

    def add_node(
        self, operator: str, inputs: Sequence[GraphValue], dtype: Any = None, output_count: int = 1, **how: Any
    ) -> list[GraphValue]:
        """Write one node and return its ``count`` answers, of the kind of its first input unless ``kind`` says more."""
        names = [self._next_name(place) for place in range(output_count)]
        self.nodes.append(helper.make_node(operator, [one.name for one in inputs], names, name=names[0], **how))
        return [GraphValue(self, name, np.dtype(dtype or inputs[0].dtype)) for name in names]

    def _next_name(self, place: int = 0) -> str:
        return f"{NAME_PREFIX}{len(self.nodes)}.{len(self.constants)}.{place}"


@dataclass(frozen=True, eq=False)
class GraphValue:
    """What a node answers: its name in the graph, and the kind of its numbers."""

    builder: GraphBuilder
    name: str
    dtype: np.dtype[Any]

    def apply(self, operator: str, *others: Any, dtype: Any = None, **how: Any) -> GraphValue:
        """Return ``operator`` of this and ``others``; numbers among them become constants of this kind."""
        return self.builder.add_node(operator, [self, *map(self.to_value, others)], dtype, **how)[0]

    def cast(self, dtype: Any) -> GraphValue:
        """Return the same as numbers of ``kind``."""
        return self.apply("Cast", dtype=dtype, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def gather(self, indices: Any, axis: int = 0) -> GraphValue:
        """Return the parts at ``at``, whole numbers, along ``axis``."""
        return self.apply(
            "Gather", indices if isinstance(indices, GraphValue) else self.add_int_constant(indices), axis=axis
        )

    def slice_axes(self, start: Any, end: Any, axes: Sequence[int]) -> GraphValue:
        """Return the part from ``start`` to before ``end`` (whole numbers, one for each of ``axes``)."""
        bounds = [one if isinstance(one, GraphValue) else self.add_int_constant(one) for one in (start, end)]
        return self.apply("Slice", *bounds, self.add_int_constant(axes))

    def reshape(self, *sides: Any) -> GraphValue:
        """Return the same in another shape; ``-1`` is the rest, ``0`` the side that was there."""
        return self.apply("Reshape", self.add_int_constant(sides) if not isinstance(sides[0], GraphValue) else sides[0])

    def unsqueeze(self, *axes: int) -> GraphValue:
        """Return the same with axes of one more."""
        return self.apply("Unsqueeze", self.add_int_constant(axes))

    def squeeze(self, *axes: int) -> GraphValue:
        """Return the same without axes of one."""
        return self.apply("Squeeze", self.add_int_constant(axes))

    def select(self, yes: GraphValue, no: GraphValue | float) -> GraphValue:
        """Return ``yes`` where this, a condition, holds, and ``no`` elsewhere."""
        return self.builder.add_node("Where", [self, yes, yes.to_value(no)], yes.dtype)[0]

    def nonzero(self) -> GraphValue:
        """Return the places (K,) at which this condition (N,) holds."""
        return self.apply("NonZero", dtype=np.int64).squeeze(0)

    def add_int_constant(self, numbers: Any) -> GraphValue:
        """Return ``numbers`` as whole ones."""
        return self.builder.add_constant(numbers, np.int64)

    def to_value(self, other: Any) -> GraphValue:
        """Return ``other`` as it is, or a constant of this kind."""
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
        """Return where both are equal."""
        return self.apply("Equal", other, dtype=np.bool_)


def concat_values(values: Sequence[GraphValue], axis: int = 0) -> GraphValue:
    """Return ``values`` one after the other along ``axis``."""
    return values[0].builder.add_node("Concat", values, axis=axis)[0]


def make_range(count: GraphValue) -> GraphValue:
    """Return 0, 1, ... (N,) up to before ``count``, a number alone, of its kind."""
    return count.builder.add_node("Range", [count.to_value(0), count, count.to_value(1)], count.dtype)[0]
