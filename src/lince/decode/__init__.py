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
from lince.choices import one_of
from lince.decode import boxes, queries, ultralytics, yolox
from lince.decode.keeping import DEFAULT, Keeping, suppress
from lince.decode.labels import probabilities
from lince.preprocess import Preprocess

VERSION = 1  # rises when the same outputs would mean something else
__all__ = ["DECODERS", "DEFAULT", "VERSION", "Decoder", "Detections", "Keeping", "decoder", "probabilities", "suppress"]

Outputs = Sequence[NDArray[Any]]
Read = Callable[[Outputs, tuple[int, int], Preprocess, Keeping], Detections]
Encode = Callable[
    [NDArray[np.float64], NDArray[np.int32], tuple[int, int], Preprocess, int], tuple[NDArray[np.float32], ...]
]


@dataclass(frozen=True)
class Decoder:
    """One kind of detector: the names of its ``outputs`` in a network file, in their order, and what they mean.

    ``read(outputs, size, spec, keeping)`` returns the ``Detections`` on one photo of ``size`` (height, width), given
    that photo's part of each output, without the axis of the batch. ``encode(boxes, class_ids, size, spec, classes)``
    returns outputs from which ``read`` finds these boxes (K, 4) again. ``overlap`` is the intersection over union
    above which two boxes of one class are one object: a kind that names each object once needs it hardly ever.
    """

    name: str
    outputs: tuple[str, ...]
    read: Read
    encode: Encode
    overlap: float = 0.6


DECODERS = {
    one.name: one
    for one in (
        Decoder("yolox", ("raw",), yolox.read, yolox.encode),
        Decoder("boxes", ("boxes", "scores"), boxes.read, boxes.encode),
        # True boxes of one class, of 2,664 on hard hats and raccoons, overlap by 0.50 at most: 0.8 takes none of these.
        Decoder("queries", ("logits", "boxes"), queries.read, queries.encode, overlap=0.8),
        # Files that others exported, with the names that their outputs bear.
        Decoder("yolox-published", ("output",), yolox.read, yolox.encode),
        Decoder("ultralytics", ("output0",), ultralytics.read, ultralytics.encode),
        Decoder("ultralytics-end2end", ("output0",), ultralytics.read_rows, ultralytics.encode_rows),
    )
}


def decoder(name: str) -> Decoder:
    """Return the kind called ``name``; raise ``UsageError`` with the known names otherwise."""
    return DECODERS[one_of("decoding", name, DECODERS)]
