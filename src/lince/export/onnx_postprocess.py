"""What a network's answers mean, inside the graph: classes and boxes out, by the rules of ``decode``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lince.errors import ModelError
from lince.export.onnx_builder import GraphValue, concat_values
from lince.export.onnx_preprocess import ImagePlacement
from lince.i18n import _
from lince.model_card import ModelCard
from lince.postprocess import DetectionFilter
from lince.postprocess.yolox import MAX_LOG_SIDE, make_grid
from lince.preprocess import PreprocessSpec

_IMPOSSIBLE_SCORE = -1.0  # the score of a class that a box is not
_MAX_CANDIDATES = 300  # as ``decode.queries`` looks at


@dataclass(frozen=True)
class BoxCandidates:
    """Boxes (K, 4) in pixels of the input, with one class and score (K,) each."""

    boxes: GraphValue
    scores: GraphValue
    class_ids: GraphValue

    def select_rows(self, rows: GraphValue) -> BoxCandidates:
        """Return those of ``rows``."""
        return BoxCandidates(self.boxes.gather(rows), self.scores.gather(rows), self.class_ids.gather(rows))


def build_classification_postprocess(logits: GraphValue) -> tuple[GraphValue, GraphValue]:
    """Return the probabilities (C,) of ``logits`` (1, C), and the number of the most probable class."""
    shares = logits.apply("Softmax", axis=1).squeeze(0)
    return shares, shares.apply("ArgMax", dtype=np.int64, axis=0, keepdims=0)


def build_detection_postprocess(
    outputs: Sequence[GraphValue], card: ModelCard, frame: ImagePlacement
) -> tuple[GraphValue, GraphValue, GraphValue]:
    """Return boxes (K, 4) in pixels of the photo, scores (K,) and classes (K,), best first, as ``decode`` does.

    Raises ``ModelError`` for a kind of detector whose answers no graph of lince reads.
    """
    kind = _DECODERS.get(card.decoder)
    if kind is None:
        raise ModelError(
            _("What {model} answers ({kind}) cannot be read inside the graph.").format(
                model=card.model, kind=card.decoder
            ),
            _("Expected one of: {kinds}.").format(kinds=", ".join(_DECODERS)),
        )
    alone = [one.squeeze(0) for one in outputs]
    sure = _filter_by_threshold(kind(alone, card.preprocess), card)
    if card.decoder == "queries":
        sure = _top_k(sure, max(_MAX_CANDIDATES, card.detection_filter.max_detections))
    apart = _top_k(_apply_nms(sure, card.detection_filter, len(card.classes)), card.detection_filter.max_detections)
    return _boxes_to_image(apart, frame)


def _decode_yolox(outputs: Sequence[GraphValue], spec: PreprocessSpec) -> BoxCandidates:
    (raw,) = outputs
    where = make_grid(spec.height, spec.width)
    strides = raw.to_value(where.strides[:, None])
    centres = (raw.slice_axes([0], [2], [1]) + where.cells) * strides
    halves = raw.slice_axes([2], [4], [1]).apply("Min", MAX_LOG_SIDE).apply("Exp") * strides * 0.5
    classes = raw.slice_axes([5], [2**31 - 1], [1])
    best = classes.apply("ArgMax", dtype=np.int64, axis=1, keepdims=1)
    scores = raw.slice_axes([4], [5], [1]) * classes.apply("GatherElements", best, axis=1)
    return BoxCandidates(concat_values([centres - halves, centres + halves], 1), scores.squeeze(1), best.squeeze(1))


def _decode_per_class_boxes(outputs: Sequence[GraphValue], _spec: PreprocessSpec) -> BoxCandidates:
    boxes, scores = outputs
    there = (scores > 0.0).select(scores, _IMPOSSIBLE_SCORE)
    return BoxCandidates(boxes.reshape(-1, 4), there.reshape(-1), _class_id_per_score(scores))


def _decode_queries(outputs: Sequence[GraphValue], spec: PreprocessSpec) -> BoxCandidates:
    logits, boxes = outputs
    whole = np.array([[spec.width, spec.height]])
    centres, halves = boxes.slice_axes([0], [2], [1]) * whole, boxes.slice_axes([2], [4], [1]) * whole * 0.5
    corners = concat_values([centres - halves, centres + halves], 1).unsqueeze(1)
    for_each = corners.apply(
        "Expand", concat_values([logits.apply("Shape", dtype=np.int64), corners.add_int_constant([4])])
    )
    return BoxCandidates(for_each.reshape(-1, 4), logits.apply("Sigmoid").reshape(-1), _class_id_per_score(logits))


_DECODERS: dict[str, Callable[[Sequence[GraphValue], PreprocessSpec], BoxCandidates]] = {
    "yolox": _decode_yolox,
    "yolox-published": _decode_yolox,
    "boxes": _decode_per_class_boxes,
    "queries": _decode_queries,
}


def _class_id_per_score(scores: GraphValue) -> GraphValue:
    """Return the number of the class of each of ``scores`` (Q, C), as (Q * C,)."""
    shape = scores.apply("Shape", dtype=np.int64)
    ones = scores.apply("Shape", dtype=np.int64).apply("ConstantOfShape", dtype=np.float32)
    count = shape.gather(1)
    row = scores.builder.add_node("Range", [count.to_value(0), count, count.to_value(1)], np.int64)[0]
    return (ones.cast(np.int64) + row).reshape(-1)


def _filter_by_threshold(found: BoxCandidates, card: ModelCard) -> BoxCandidates:
    """Return the candidates that reach the threshold of their class, and whose boxes are numbers."""
    everyone = np.arange(len(card.classes), dtype=np.int32)
    needed = found.scores.to_value(card.detection_filter.get_thresholds(everyone)).gather(found.class_ids)
    total = found.boxes.apply("ReduceSum", found.boxes.add_int_constant([1]), keepdims=0)
    return found.select_rows(((found.scores >= needed) & (total - total).equal(0.0)).nonzero())


def _apply_nms(found: BoxCandidates, keeping: DetectionFilter, classes: int) -> BoxCandidates:
    """Return the candidates that stay when those of one class that overlap too much are one object."""
    numbers = found.class_ids.add_int_constant(np.arange(classes)[:, None])
    scores = found.class_ids.unsqueeze(0).equal(numbers).select(found.scores.unsqueeze(0), _IMPOSSIBLE_SCORE)
    limits = [found.class_ids.add_int_constant([keeping.max_detections])]
    limits += [found.scores.to_value([one]) for one in (keeping.iou_threshold, _IMPOSSIBLE_SCORE / 2)]
    kept = found.boxes.unsqueeze(0).apply("NonMaxSuppression", scores.unsqueeze(0), *limits, dtype=np.int64)
    return found.select_rows(kept.gather(2, axis=1))


def _top_k(found: BoxCandidates, most: int) -> BoxCandidates:
    """Return the ``most`` best candidates, best first."""
    count = found.scores.apply("Shape", dtype=np.int64).apply("Min", [most])
    _scores, rows = found.scores.builder.add_node("TopK", [found.scores, count], output_count=2, axis=0)
    return found.select_rows(GraphValue(rows.builder, rows.name, np.dtype(np.int64)))


def _boxes_to_image(found: BoxCandidates, frame: ImagePlacement) -> tuple[GraphValue, GraphValue, GraphValue]:
    """Return boxes in pixels of the photo, cut at its edge, scores and classes; what lies outside is left out."""
    margin, scale, size = (
        concat_values([one.reshape(1, 1) for one in (sides.x, sides.y, sides.x, sides.y)], 1)
        for sides in (frame.offset, frame.scale, frame.image_size)
    )
    boxes = ((found.boxes.cast(np.float64) - margin) / scale).apply("Max", 0.0).apply("Min", size)
    sides = boxes.slice_axes([2], [4], [1]) - boxes.slice_axes([0], [2], [1])
    there = found.select_rows((sides.gather(0, axis=1).apply("Min", sides.gather(1, axis=1)) > 0.0).nonzero())
    shown = boxes.gather((sides.gather(0, axis=1).apply("Min", sides.gather(1, axis=1)) > 0.0).nonzero())
    return shown.cast(np.float32), there.scores, there.class_ids
