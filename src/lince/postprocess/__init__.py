"""From a model's output arrays to what they mean: written once, for training, evaluation, prediction and export.

Every kind of detector has one module here and one line in ``DECODERS``; a model card names its kind.
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
from lince.postprocess.softmax import softmax
from lince.preprocess import PreprocessSpec
from lince.validation import require_choice

VERSION = 1  # rises when the same outputs would mean something else
__all__ = [
    "DECODERS",
    "DEFAULT_FILTER",
    "VERSION",
    "DetectionFilter",
    "Detections",
    "OutputDecoder",
    "get_decoder",
    "nms",
    "softmax",
]

OutputArrays = Sequence[NDArray[Any]]
DecodeFunction = Callable[[OutputArrays, tuple[int, int], PreprocessSpec, DetectionFilter], Detections]
EncodeFunction = Callable[
    [NDArray[np.float64], NDArray[np.int32], tuple[int, int], PreprocessSpec, int], tuple[NDArray[np.float32], ...]
]


@dataclass(frozen=True)
class OutputDecoder:
    """One kind of detector: the names of its ``outputs`` in a network file, in their order, and what they mean.

    ``read(outputs, size, spec, keeping)`` returns the ``Detections`` on one photo of ``size`` (height, width), given
    that photo's part of each output, without the axis of the batch. ``encode(boxes, class_ids, size, spec, classes)``
    returns outputs from which ``read`` finds these boxes (K, 4) again. ``overlap`` is the intersection over union
    above which two boxes of one class are one object: a kind that names each object once needs it hardly ever.
    """

    name: str
    outputs: tuple[str, ...]
    decode: DecodeFunction
    encode: EncodeFunction
    iou_threshold: float = 0.6


DECODERS = {
    one.name: one
    for one in (
        OutputDecoder("yolox", ("raw",), yolox.decode, yolox.encode),
        OutputDecoder("boxes", ("boxes", "scores"), per_class_boxes.decode, per_class_boxes.encode),
        # True boxes of one class, of 2,664 on hard hats and raccoons, overlap by 0.50 at most: 0.8 takes none of these.
        OutputDecoder("queries", ("logits", "boxes"), detr.decode, detr.encode, iou_threshold=0.8),
        # Files that others exported, with the names that their outputs bear.
        OutputDecoder("yolox-published", ("output",), yolox.decode, yolox.encode),
        OutputDecoder("ultralytics", ("output0",), ultralytics.decode, ultralytics.encode),
        OutputDecoder("ultralytics-end2end", ("output0",), ultralytics.decode_end2end, ultralytics.encode_end2end),
    )
}


def get_decoder(name: str) -> OutputDecoder:
    """Return the kind called ``name``; raise ``UsageError`` with the known names otherwise."""
    return DECODERS[require_choice("decoding", name, DECODERS)]
