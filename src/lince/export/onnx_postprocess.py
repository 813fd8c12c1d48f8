"""Postprocessing as ONNX operators: from raw outputs to classes and boxes; must match ``postprocess``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lince.errors import ModelError
from lince.export.onnx_builder import GraphValue, concat_values
from lince.export.onnx_preprocess import ImagePlacement
from lince.i18n import _
from lince.model_card import ModelCard
from lince.postprocess import DetectionFilter
from lince.postprocess.yolox import MAX_LOG_SIDE, make_grid
from lince.preprocess import PreprocessSpec

_IMPOSSIBLE_SCORE = -1.0  # below every threshold: marks pairs of a box and a class that are no candidates
_MAX_CANDIDATES = 300  # as in ``postprocess.detr``


@dataclass(frozen=True)
class BoxCandidates:
    """Boxes (K, 4), left, top, right, bottom in input pixels, with one score and one class id (K,) each."""

    boxes: GraphValue
    scores: GraphValue
    class_ids: GraphValue

    def select_rows(self, rows: GraphValue) -> BoxCandidates:
        """Return the candidates at the indices ``rows``."""
        return BoxCandidates(self.boxes.gather(rows), self.scores.gather(rows), self.class_ids.gather(rows))


def build_classification_postprocess(logits: GraphValue) -> tuple[GraphValue, GraphValue]:
    """Return the probabilities (C,) of ``logits`` (1, C), and the id (a scalar) of the most probable class."""
    probabilities = logits.apply("Softmax", axis=1).squeeze(0)
    return probabilities, probabilities.apply("ArgMax", dtype=np.int64, axis=0, keepdims=0)


def build_multilabel_postprocess(logits: GraphValue, thresholds: Sequence[float]) -> tuple[GraphValue, GraphValue]:
    """Return the probabilities (C,) of ``logits`` (1, C), and the ids (K,) of the classes that are said, best first.

    A class is said where its probability is at or above that of ``thresholds`` (C,); K may be 0.
    """
    probabilities = logits.apply("Sigmoid").squeeze(0)
    limits = np.asarray(thresholds, np.float32)
    # The least number in single precision that is not below the threshold, as ``decide_classes`` compares.
    limits = np.where(limits < np.asarray(thresholds, np.float64), np.nextafter(limits, np.float32(2)), limits)
    count = probabilities.add_int_constant([len(limits)])
    _sorted, order = probabilities.builder.add_node("TopK", [probabilities, count], output_count=2)
    order = replace(order, dtype=np.dtype(np.int64))
    return probabilities, order.gather((probabilities >= limits).gather(order).nonzero())


def build_detection_postprocess(
    outputs: Sequence[GraphValue], card: ModelCard, placement: ImagePlacement
) -> tuple[GraphValue, GraphValue, GraphValue]:
    """Return boxes (K, 4) in pixels of the original image, scores (K,) and class ids (K,), best first.

    Applies the score thresholds, non-maximum suppression and limit of the model card ``card``. ``placement`` tells
    where the image is in the input. Raises ``ModelError`` for a decoder that is not available inside a graph.
    """
    decode = _DECODERS.get(card.decoder)
    if decode is None:
        raise ModelError(
            _("The outputs of {model} ({kind}) cannot be decoded inside the graph.").format(
                model=card.model, kind=card.decoder
            ),
            _("Expected one of: {kinds}.").format(kinds=", ".join(_DECODERS)),
        )
    image_outputs = [output.squeeze(0) for output in outputs]
    candidates = _filter_by_threshold(decode(image_outputs, card.preprocess), card)
    if card.decoder == "queries":
        candidates = _top_k(candidates, max(_MAX_CANDIDATES, card.detection_filter.max_detections))
    kept = _top_k(
        _apply_nms(candidates, card.detection_filter, len(card.classes)), card.detection_filter.max_detections
    )
    return _boxes_to_image(kept, placement)


def _decode_yolox(outputs: Sequence[GraphValue], spec: PreprocessSpec) -> BoxCandidates:
    """Decode YOLOX outputs (1, A, 5 + C) without the batch axis: one candidate per anchor, of its best class.

    The score is objectness times class probability, which the network outputs after the sigmoid.
    """
    (raw,) = outputs
    grid = make_grid(spec.height, spec.width)
    strides = raw.to_value(grid.strides[:, None])
    centres = (raw.slice_axes([0], [2], [1]) + grid.cells) * strides
    halves = raw.slice_axes([2], [4], [1]).apply("Min", MAX_LOG_SIDE).apply("Exp") * strides * 0.5
    classes = raw.slice_axes([5], [2**31 - 1], [1])
    best_class = classes.apply("ArgMax", dtype=np.int64, axis=1, keepdims=1)
    scores = raw.slice_axes([4], [5], [1]) * classes.apply("GatherElements", best_class, axis=1)
    return BoxCandidates(
        concat_values([centres - halves, centres + halves], 1), scores.squeeze(1), best_class.squeeze(1)
    )


def _decode_per_class_boxes(outputs: Sequence[GraphValue], _spec: PreprocessSpec) -> BoxCandidates:
    """Decode boxes (Q, C, 4) and scores (Q, C): one candidate per box and class; scores of 0 are no detections."""
    boxes, scores = outputs
    valid_scores = (scores > 0.0).select(scores, _IMPOSSIBLE_SCORE)
    return BoxCandidates(boxes.reshape(-1, 4), valid_scores.reshape(-1), _class_id_per_score(scores))


def _decode_queries(outputs: Sequence[GraphValue], spec: PreprocessSpec) -> BoxCandidates:
    """Decode DETR-style logits (Q, C) and boxes (Q, 4), centre and size in 0..1: one candidate per query and class."""
    logits, boxes = outputs
    input_size = np.array([[spec.width, spec.height]])
    centres, halves = boxes.slice_axes([0], [2], [1]) * input_size, boxes.slice_axes([2], [4], [1]) * input_size * 0.5
    corners = concat_values([centres - halves, centres + halves], 1).unsqueeze(1)
    repeated_corners = corners.apply(
        "Expand", concat_values([logits.apply("Shape", dtype=np.int64), corners.add_int_constant([4])])
    )
    return BoxCandidates(
        repeated_corners.reshape(-1, 4), logits.apply("Sigmoid").reshape(-1), _class_id_per_score(logits)
    )


_DECODERS: dict[str, Callable[[Sequence[GraphValue], PreprocessSpec], BoxCandidates]] = {
    "yolox": _decode_yolox,
    "yolox-published": _decode_yolox,
    "boxes": _decode_per_class_boxes,
    "queries": _decode_queries,
}


def _class_id_per_score(scores: GraphValue) -> GraphValue:
    """Return the class id of each of ``scores`` (Q, C), as int64 (Q * C,)."""
    shape = scores.apply("Shape", dtype=np.int64)
    zeros = scores.apply("Shape", dtype=np.int64).apply("ConstantOfShape", dtype=np.float32)
    class_count = shape.gather(1)
    class_ids = scores.builder.add_node(
        "Range", [class_count.to_value(0), class_count, class_count.to_value(1)], np.int64
    )[0]
    return (zeros.cast(np.int64) + class_ids).reshape(-1)


def _filter_by_threshold(candidates: BoxCandidates, card: ModelCard) -> BoxCandidates:
    """Return the candidates that reach the threshold of their class and whose boxes are finite.

    For a NaN or infinite coordinate, x - x is not 0.
    """
    class_ids = np.arange(len(card.classes), dtype=np.int32)
    thresholds = candidates.scores.to_value(card.detection_filter.get_thresholds(class_ids)).gather(
        candidates.class_ids
    )
    box_sums = candidates.boxes.apply("ReduceSum", candidates.boxes.add_int_constant([1]), keepdims=0)
    return candidates.select_rows(((candidates.scores >= thresholds) & (box_sums - box_sums).equal(0.0)).nonzero())


def _apply_nms(candidates: BoxCandidates, detection_filter: DetectionFilter, classes: int) -> BoxCandidates:
    """Return the candidates that remain after non-maximum suppression within each class.

    ONNX's operator takes scores (1, C, K); a candidate has a possible score only in the row of its own class.
    """
    class_ids = candidates.class_ids.add_int_constant(np.arange(classes)[:, None])
    scores = (
        candidates.class_ids.unsqueeze(0).equal(class_ids).select(candidates.scores.unsqueeze(0), _IMPOSSIBLE_SCORE)
    )
    parameters = [candidates.class_ids.add_int_constant([detection_filter.max_detections])]
    parameters += [
        candidates.scores.to_value([limit]) for limit in (detection_filter.iou_threshold, _IMPOSSIBLE_SCORE / 2)
    ]
    selected = candidates.boxes.unsqueeze(0).apply(
        "NonMaxSuppression", scores.unsqueeze(0), *parameters, dtype=np.int64
    )
    return candidates.select_rows(selected.gather(2, axis=1))


def _top_k(candidates: BoxCandidates, limit: int) -> BoxCandidates:
    """Return the ``limit`` candidates of highest score, or all when there are fewer, best first."""
    count = candidates.scores.apply("Shape", dtype=np.int64).apply("Min", [limit])
    _scores, rows = candidates.scores.builder.add_node("TopK", [candidates.scores, count], output_count=2, axis=0)
    return candidates.select_rows(GraphValue(rows.builder, rows.name, np.dtype(np.int64)))


def _boxes_to_image(candidates: BoxCandidates, placement: ImagePlacement) -> tuple[GraphValue, GraphValue, GraphValue]:
    """Return boxes float32 in pixels of the original image, scores and class ids.

    Boxes are clipped to the image; those that are empty after that are left out.
    """
    offset, scale, size = (
        concat_values([side.reshape(1, 1) for side in (sides.x, sides.y, sides.x, sides.y)], 1)
        for sides in (placement.offset, placement.scale, placement.image_size)
    )
    boxes = ((candidates.boxes.cast(np.float64) - offset) / scale).apply("Max", 0.0).apply("Min", size)
    sides = boxes.slice_axes([2], [4], [1]) - boxes.slice_axes([0], [2], [1])
    kept = candidates.select_rows((sides.gather(0, axis=1).apply("Min", sides.gather(1, axis=1)) > 0.0).nonzero())
    kept_boxes = boxes.gather((sides.gather(0, axis=1).apply("Min", sides.gather(1, axis=1)) > 0.0).nonzero())
    return kept_boxes.cast(np.float32), kept.scores, kept.class_ids
