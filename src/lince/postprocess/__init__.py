"""Postprocessing: turns a network's output arrays into probabilities or detections.

Training, evaluation, prediction and export all use these functions. Every output format of a detector has a module here
and a row in ``DECODERS``; the model card names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess import detr, per_class_boxes, ultralytics, yolox
from lince.postprocess.nms import DEFAULT_FILTER, DetectionFilter, nms
from lince.postprocess.sigmoid import DEFAULT_THRESHOLD, decide_classes, sigmoid
from lince.postprocess.softmax import softmax
from lince.preprocess import PreprocessSpec
from lince.validation import require_choice

VERSION = 1  # incremented when the same outputs would be decoded to something else
MIN_SCORE = 0.005  # in evaluation: a precision-recall curve needs detections of low score too
__all__ = [
    "DECODERS",
    "DEFAULT_FILTER",
    "DEFAULT_THRESHOLD",
    "MIN_SCORE",
    "VERSION",
    "DetectionFilter",
    "Detections",
    "OutputDecoder",
    "decide_classes",
    "get_decoder",
    "make_evaluation_filter",
    "nms",
    "sigmoid",
    "softmax",
]

OutputArrays = Sequence[NDArray[Any]]
DecodeFunction = Callable[[OutputArrays, tuple[int, int], PreprocessSpec, DetectionFilter], Detections]
EncodeFunction = Callable[
    [NDArray[np.float64], NDArray[np.int32], tuple[int, int], PreprocessSpec, int], tuple[NDArray[np.float32], ...]
]


@dataclass(frozen=True)
class OutputDecoder:
    """How the outputs of one kind of detector are decoded to boxes, and encoded from them.

    ``name`` is the kind's name in a model card; ``outputs`` are the names of the outputs in a network file, in order.
    ``decode(outputs, size, spec, detection_filter)`` returns the ``Detections`` of one image of ``size`` (height,
    width) that was preprocessed by ``spec``, given that image's part of each output, without the batch axis.
    ``encode(boxes, class_ids, size, spec, num_classes)`` is its inverse, for tests and exports without a network: it
    returns outputs from which ``decode`` finds these boxes (K, 4) of the image again. ``iou_threshold`` is the default
    for non-maximum suppression; kinds that predict each object once hardly need it.
    """

    name: str
    outputs: tuple[str, ...]
    decode: DecodeFunction
    encode: EncodeFunction
    iou_threshold: float = 0.6


DECODERS = {
    decoder.name: decoder
    for decoder in (
        OutputDecoder("yolox", ("raw",), yolox.decode, yolox.encode),
        OutputDecoder(
            "yolox-prototypes",
            ("raw", "coefficients", "prototypes"),
            yolox.decode_with_masks,
            yolox.encode_with_masks,
        ),
        OutputDecoder("boxes", ("boxes", "scores"), per_class_boxes.decode, per_class_boxes.encode),
        # Annotated boxes of one class (2,664, of hard hats and raccoons) have an IoU of 0.50 at most: 0.8 keeps all.
        OutputDecoder("queries", ("logits", "boxes"), detr.decode, detr.encode, iou_threshold=0.8),
        # Files exported by other programs, with their output names.
        OutputDecoder("yolox-published", ("output",), yolox.decode, yolox.encode),
        OutputDecoder("ultralytics", ("output0",), ultralytics.decode, ultralytics.encode),
        OutputDecoder(
            "ultralytics-prototypes",
            ("output0", "output1"),
            ultralytics.decode_with_masks,
            ultralytics.encode_with_masks,
        ),
        OutputDecoder("ultralytics-end2end", ("output0",), ultralytics.decode_end2end, ultralytics.encode_end2end),
    )
}


def get_decoder(name: str) -> OutputDecoder:
    """Return the decoder called ``name``; raise ``UsageError`` that lists the names if there is none."""
    return DECODERS[require_choice("decoding", name, DECODERS)]


def make_evaluation_filter(decoder_name: str) -> DetectionFilter:
    """Return the detection filter for evaluating a decoder: nearly all scores, at most 300 detections per image.

    Non-maximum suppression uses the decoder's own IoU threshold, as prediction does.
    """
    return DetectionFilter(
        score_threshold=MIN_SCORE, iou_threshold=get_decoder(decoder_name).iou_threshold, max_detections=300
    )
