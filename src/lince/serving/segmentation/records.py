"""Semantic segmentation in the HTTP API: the schema of its records, and how its predictions are corrected.

This module is the ``http`` part of the task; ``Record`` and the names after it are what the server uses of it. The
docstrings of schemas are part of the OpenAPI document.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lince.annotations import Classes
from lince.class_maps import VOID
from lince.errors import LinceError
from lince.formats.masks import png
from lince.i18n import _
from lince.inference.segmentation.result import SegmentationResult
from lince.model_card import ModelCard
from lince.serving import mask_records
from lince.serving.api_schema import ApiSchema
from lince.serving.correction_store import CorrectionStore
from lince.serving.mask_records import Outline, RunLengthMask
from lince.serving.request_options import PredictOptions
from lince.web.http_errors import ApiError, client_error

PREDICT_OPTIONS = ("top", "outline")  # the options of a prediction request that the task understands
# The fields of a correction, besides image and model, with their JSON schemas:
CORRECTION_FIELDS = {
    "class_map": {
        "type": "string",
        "contentEncoding": "base64",
        "contentMediaType": "image/png",
        "description": "For a segmentation model: the class of each pixel of the upright image as a grey PNG of its "
        "size, with 0 for the background, 1 for the first class, 2 for the second, and 255 for pixels to leave out.",
    }
}


class SegmentedRegion(BaseModel):
    """The pixels of one class: their number, share of all pixels (0..1) and mean confidence (0..1).

    ``centre`` [x, y] is their mean, ``box`` [left, top, right, bottom] is around them, both in pixels of the upright
    image from the top left corner. With the option ``outline``, ``mask`` (0) or ``outline`` (1) has the pixels
    themselves: outlines are rings of points [x, y] along the edges of pixels, one for each connected part.
    """

    model_config = ConfigDict(frozen=True)
    class_: str = Field(alias="class")
    pixels: int
    share: float
    confidence: float
    centre: tuple[float, float]
    box: tuple[int, int, int, int]
    mask: RunLengthMask | None = None
    outline: Outline | None = None


class SegmentationRecord(ApiSchema):
    """The prediction of a segmentation model for one image.

    ``file`` is the name of the image in the request, "image-N" where it has none; ``width`` and ``height`` are those of
    the upright image in pixels. ``background`` is the share (0..1) of pixels without a class. ``classes`` are those
    that the image shows, the largest area first: all of them, or as many as the option ``top`` says. ``class_map`` is
    the class of each pixel, a grey PNG in base64: 0 for the background, 1 for the first class of the model, 2 for the
    second; it is left out with the option ``outline``.
    """

    file: str
    width: int
    height: int
    background: float
    classes: tuple[SegmentedRegion, ...]
    class_map: str | None = None


Record = SegmentationRecord


def build_record(result: SegmentationResult, options: PredictOptions) -> dict[str, Any]:
    """Return the JSON values of ``Record``."""
    record = result.to_dict(options.top)
    if options.outline is None:
        picture = base64.b64encode(png.encode_mask_png(result.class_map)).decode("ascii")
        return {**record, "class_map": picture}
    class_map = result.class_map if options.outline else None
    for region, mask, values in zip(result.list_regions(), result.encode_masks(), record["classes"], strict=False):
        if class_map is None:
            values["mask"] = mask_records.build_run_lengths(mask, result.size)
        else:
            values["outline"] = mask_records.build_outline(class_map == region.class_id + 1)
    return record


def list_thresholds(card: ModelCard) -> list[float] | None:
    """Return ``None``: each pixel has its most probable class."""
    del card
    return None


def save_correction(
    store: CorrectionStore, image: bytes, fields: Mapping[str, str], classes: Classes, size: tuple[int, int]
) -> bool:
    """Save ``image``, an image file, with the class map in ``fields["class_map"]``; return whether it is new.

    The field is a PNG in base64, of the upright image's ``size`` (height, width). Raises ``ApiError`` for anything else
    and for values of no class (422), a store of a model with other classes (409), and a full store (507).
    """
    class_map = _parse_class_map(fields.get("class_map", ""))
    if class_map is None or class_map.shape != size:
        raise _bad_class_map_error(classes, size)
    if (np.unique(class_map[class_map != VOID]) > len(classes)).any():
        raise _bad_class_map_error(classes, size)
    return store.save_class_map(image, class_map, classes)


def _parse_class_map(text: str) -> NDArray[np.uint8] | None:
    """Return the values (H, W) of a PNG in base64, grey or with equal colours; ``None`` for anything else."""
    try:
        values = png.decode_mask_png(base64.b64decode(text, validate=True)).values
    except (binascii.Error, ValueError, LinceError):
        return None
    if values.ndim == 3:
        if (values != values[:, :, :1]).any():
            return None
        values = values[:, :, 0]
    return np.ascontiguousarray(values) if values.dtype == np.uint8 else None


def _bad_class_map_error(classes: Classes, size: tuple[int, int]) -> ApiError:
    """Return the 422 for a field ``class_map`` of another form."""
    message = _(
        "Expected class_map: a grey PNG of {width} x {height} pixels in base64, with 0 for the background, 1 to "
        "{count} for the classes and 255 for pixels to leave out."
    )
    return client_error("bad-class-map", message.format(width=size[1], height=size[0], count=len(classes)), 422)
