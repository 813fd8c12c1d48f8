"""Areas of pixels in the HTTP API, for all tasks that have some: run lengths and outlines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.serving.api_schema import ApiSchema

Outline = tuple[tuple[tuple[float, float], ...], ...]


class RunLengthMask(ApiSchema):
    """A mask as COCO's run lengths: ``size`` is [height, width], ``counts`` the compressed string of the COCO API."""

    size: tuple[int, int]
    counts: str


def build_run_lengths(counts: str, size: tuple[int, int]) -> dict[str, object]:
    """Return the JSON values of ``RunLengthMask`` for compressed RLE of an image of ``size`` (height, width)."""
    return {"size": list(size), "counts": counts}


def build_outline(mask: NDArray[np.bool_]) -> list[list[list[float]]]:
    """Return the rings along the pixel edges of ``mask`` (H, W), one for each connected part: [[x, y], ...]."""
    return [ring.tolist() for ring in rle.mask_to_polygons(mask)]
