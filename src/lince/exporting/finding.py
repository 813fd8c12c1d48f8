"""What a network's answers mean, inside the graph: classes and boxes out, by the rules of ``decode``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lince.card import ModelCard
from lince.decode import Keeping
from lince.decode.yolox import LARGEST, places
from lince.errors import ModelError
from lince.exporting.building import Value, joined
from lince.exporting.seeing import Frame
from lince.messages import _
from lince.preprocess import Preprocess

_NEVER = -1.0  # the score of a class that a box is not
_CANDIDATES = 300  # as ``decode.queries`` looks at


@dataclass(frozen=True)
class Candidates:
    """Boxes (K, 4) in pixels of the input, with one class and score (K,) each."""

    boxes: Value
    scores: Value
    class_ids: Value

    def at(self, rows: Value) -> Candidates:
        """Return those of ``rows``."""
        return Candidates(self.boxes.pick(rows), self.scores.pick(rows), self.class_ids.pick(rows))


def probabilities(logits: Value) -> tuple[Value, Value]:
    """Return the probabilities (C,) of ``logits`` (1, C), and the number of the most probable class."""
    shares = logits.of("Softmax", axis=1).without_axis(0)
    return shares, shares.of("ArgMax", kind=np.int64, axis=0, keepdims=0)


def find(outputs: Sequence[Value], card: ModelCard, frame: Frame) -> tuple[Value, Value, Value]:
    """Return boxes (K, 4) in pixels of the photo, scores (K,) and classes (K,), best first, as ``decode`` does.

    Raises ``ModelError`` for a kind of detector whose answers no graph of lince reads.
    """
    kind = _KINDS.get(card.decoding)
    if kind is None:
        raise ModelError(
            _("What {model} answers ({kind}) cannot be read inside the graph.").format(
                model=card.model, kind=card.decoding
            ),
            _("Expected one of: {kinds}.").format(kinds=", ".join(_KINDS)),
        )
    alone = [one.without_axis(0) for one in outputs]
    sure = _sure(kind(alone, card.preprocess), card)
    if card.decoding == "queries":
        sure = _best(sure, max(_CANDIDATES, card.keeping.most))
    apart = _best(_apart(sure, card.keeping, len(card.classes)), card.keeping.most)
    return _in_photo(apart, frame)


def _yolox(outputs: Sequence[Value], spec: Preprocess) -> Candidates:
    (raw,) = outputs
    where = places(spec.height, spec.width)
    strides = raw.value(where.strides[:, None])
    centres = (raw.cut([0], [2], [1]) + where.cells) * strides
    halves = raw.cut([2], [4], [1]).of("Min", LARGEST).of("Exp") * strides * 0.5
    classes = raw.cut([5], [2**31 - 1], [1])
    best = classes.of("ArgMax", kind=np.int64, axis=1, keepdims=1)
    scores = raw.cut([4], [5], [1]) * classes.of("GatherElements", best, axis=1)
    return Candidates(joined([centres - halves, centres + halves], 1), scores.without_axis(1), best.without_axis(1))


def _boxes(outputs: Sequence[Value], _spec: Preprocess) -> Candidates:
    boxes, scores = outputs
    there = (scores > 0.0).choose(scores, _NEVER)
    return Candidates(boxes.reshape(-1, 4), there.reshape(-1), _each_class(scores))


def _queries(outputs: Sequence[Value], spec: Preprocess) -> Candidates:
    logits, boxes = outputs
    whole = np.array([[spec.width, spec.height]])
    centres, halves = boxes.cut([0], [2], [1]) * whole, boxes.cut([2], [4], [1]) * whole * 0.5
    corners = joined([centres - halves, centres + halves], 1).with_axis(1)
    for_each = corners.of("Expand", joined([logits.of("Shape", kind=np.int64), corners.whole([4])]))
    return Candidates(for_each.reshape(-1, 4), logits.of("Sigmoid").reshape(-1), _each_class(logits))


_KINDS: dict[str, Callable[[Sequence[Value], Preprocess], Candidates]] = {
    "yolox": _yolox,
    "yolox-published": _yolox,
    "boxes": _boxes,
    "queries": _queries,
}


def _each_class(scores: Value) -> Value:
    """Return the number of the class of each of ``scores`` (Q, C), as (Q * C,)."""
    shape = scores.of("Shape", kind=np.int64)
    ones = scores.of("Shape", kind=np.int64).of("ConstantOfShape", kind=np.float32)
    count = shape.pick(1)
    row = scores.building.add("Range", [count.value(0), count, count.value(1)], np.int64)[0]
    return (ones.cast(np.int64) + row).reshape(-1)


def _sure(found: Candidates, card: ModelCard) -> Candidates:
    """Return the candidates that reach the threshold of their class, and whose boxes are numbers."""
    everyone = np.arange(len(card.classes), dtype=np.int32)
    needed = found.scores.value(card.keeping.of(everyone)).pick(found.class_ids)
    total = found.boxes.of("ReduceSum", found.boxes.whole([1]), keepdims=0)
    return found.at(((found.scores >= needed) & (total - total).same(0.0)).where())


def _apart(found: Candidates, keeping: Keeping, classes: int) -> Candidates:
    """Return the candidates that stay when those of one class that overlap too much are one object."""
    numbers = found.class_ids.whole(np.arange(classes)[:, None])
    scores = found.class_ids.with_axis(0).same(numbers).choose(found.scores.with_axis(0), _NEVER)
    limits = [found.class_ids.whole([keeping.most])]
    limits += [found.scores.value([one]) for one in (keeping.overlap, _NEVER / 2)]
    kept = found.boxes.with_axis(0).of("NonMaxSuppression", scores.with_axis(0), *limits, kind=np.int64)
    return found.at(kept.pick(2, axis=1))


def _best(found: Candidates, most: int) -> Candidates:
    """Return the ``most`` best candidates, best first."""
    count = found.scores.of("Shape", kind=np.int64).of("Min", [most])
    _scores, rows = found.scores.building.add("TopK", [found.scores, count], count=2, axis=0)
    return found.at(Value(rows.building, rows.name, np.dtype(np.int64)))


def _in_photo(found: Candidates, frame: Frame) -> tuple[Value, Value, Value]:
    """Return boxes in pixels of the photo, cut at its edge, scores and classes; what lies outside is left out."""
    margin, scale, size = (
        joined([one.reshape(1, 1) for one in (sides.x, sides.y, sides.x, sides.y)], 1)
        for sides in (frame.margin, frame.scale, frame.size)
    )
    boxes = ((found.boxes.cast(np.float64) - margin) / scale).of("Max", 0.0).of("Min", size)
    sides = boxes.cut([2], [4], [1]) - boxes.cut([0], [2], [1])
    there = found.at((sides.pick(0, axis=1).of("Min", sides.pick(1, axis=1)) > 0.0).where())
    shown = boxes.pick((sides.pick(0, axis=1).of("Min", sides.pick(1, axis=1)) > 0.0).where())
    return shown.cast(np.float32), there.scores, there.class_ids
