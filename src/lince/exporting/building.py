"""Arithmetic that becomes a graph: ONNX nodes written as one writes numpy, with the kind of number of each known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

PREFIX = "lince/"  # of all names, so that they never meet those of a network


@dataclass
class Building:
    """The nodes and constants written so far."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, value: Any, kind: Any) -> Value:
        """Return ``value``, a number or an array of them, as numbers of ``kind``."""
        name = self._name()
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return Value(self, name, np.dtype(kind))

    def add(self, operator: str, inputs: Sequence[Value], kind: Any = None, count: int = 1, **how: Any) -> list[Value]:
        """Write one node and return its ``count`` answers, of the kind of its first input unless ``kind`` says more."""
        names = [self._name(place) for place in range(count)]
        self.nodes.append(helper.make_node(operator, [one.name for one in inputs], names, name=names[0], **how))
        return [Value(self, name, np.dtype(kind or inputs[0].kind)) for name in names]

    def _name(self, place: int = 0) -> str:
        return f"{PREFIX}{len(self.nodes)}.{len(self.constants)}.{place}"


@dataclass(frozen=True, eq=False)
class Value:
    """What a node answers: its name in the graph, and the kind of its numbers."""

    building: Building
    name: str
    kind: np.dtype[Any]

    def of(self, operator: str, *others: Any, kind: Any = None, **how: Any) -> Value:
        """Return ``operator`` of this and ``others``; numbers among them become constants of this kind."""
        return self.building.add(operator, [self, *map(self.value, others)], kind, **how)[0]

    def cast(self, kind: Any) -> Value:
        """Return the same as numbers of ``kind``."""
        return self.of("Cast", kind=kind, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def pick(self, at: Any, axis: int = 0) -> Value:
        """Return the parts at ``at``, whole numbers, along ``axis``."""
        return self.of("Gather", at if isinstance(at, Value) else self.whole(at), axis=axis)

    def cut(self, start: Any, end: Any, axes: Sequence[int]) -> Value:
        """Return the part from ``start`` to before ``end`` (whole numbers, one for each of ``axes``)."""
        bounds = [one if isinstance(one, Value) else self.whole(one) for one in (start, end)]
        return self.of("Slice", *bounds, self.whole(axes))

    def reshape(self, *sides: Any) -> Value:
        """Return the same in another shape; ``-1`` is the rest, ``0`` the side that was there."""
        return self.of("Reshape", self.whole(sides) if not isinstance(sides[0], Value) else sides[0])

    def with_axis(self, *axes: int) -> Value:
        """Return the same with axes of one more."""
        return self.of("Unsqueeze", self.whole(axes))

    def without_axis(self, *axes: int) -> Value:
        """Return the same without axes of one."""
        return self.of("Squeeze", self.whole(axes))

    def choose(self, yes: Value, no: Value | float) -> Value:
        """Return ``yes`` where this, a condition, holds, and ``no`` elsewhere."""
        return self.building.add("Where", [self, yes, yes.value(no)], yes.kind)[0]

    def where(self) -> Value:
        """Return the places (K,) at which this condition (N,) holds."""
        return self.of("NonZero", kind=np.int64).without_axis(0)

    def whole(self, numbers: Any) -> Value:
        """Return ``numbers`` as whole ones."""
        return self.building.constant(numbers, np.int64)

    def value(self, other: Any) -> Value:
        """Return ``other`` as it is, or a constant of this kind."""
        return other if isinstance(other, Value) else self.building.constant(other, self.kind)

    def __add__(self, other: Any) -> Value:
        return self.of("Add", other)

    def __sub__(self, other: Any) -> Value:
        return self.of("Sub", other)

    def __rsub__(self, other: Any) -> Value:
        return self.value(other) - self

    def __mul__(self, other: Any) -> Value:
        return self.of("Mul", other)

    def __truediv__(self, other: Any) -> Value:
        return self.of("Div", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.value(other) / self

    def __le__(self, other: Any) -> Value:
        return self.of("LessOrEqual", other, kind=np.bool_)

    def __ge__(self, other: Any) -> Value:
        return self.of("GreaterOrEqual", other, kind=np.bool_)

    def __gt__(self, other: Any) -> Value:
        return self.of("Greater", other, kind=np.bool_)

    def __and__(self, other: Value) -> Value:
        return self.of("And", other)

    def same(self, other: Any) -> Value:
        """Return where both are equal."""
        return self.of("Equal", other, kind=np.bool_)


def joined(values: Sequence[Value], axis: int = 0) -> Value:
    """Return ``values`` one after the other along ``axis``."""
    return values[0].building.add("Concat", values, axis=axis)[0]


def counted(count: Value) -> Value:
    """Return 0, 1, ... (N,) up to before ``count``, a number alone, of its kind."""
    return count.building.add("Range", [count.value(0), count, count.value(1)], count.kind)[0]
