"""Small pictures inside the HTML of a notebook, bounded in number and bytes, and the environment of its templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.datasets import Dataset
from lince.evaluation.report.html import encode_data_uri, get_jinja_environment
from lince.inference import drawing
from lince.option_phrases import reword_for_python

MAX_PICTURES = 12  # of one object
PICTURE_SIDE, SINGLE_SIDE = 220, 520  # pixels of the longer side: one of several, and one alone
MAX_PICTURE_BYTES = 40_000  # of the JPEG file of one of several; one alone may have four times as many
TINY_SIDE = 64  # pixels: a smaller image is shown with visible pixels, at half the side
_QUALITIES = (85, 70, 50, 30, 15)


@dataclass(frozen=True)
class Picture:
    """A JPEG picture as a ``data:`` URI, with its size in pixels and the lines below it.

    ``mark`` is ``right``, ``wrong`` or empty; it precedes the caption as a sign, so that colour is not all there is.
    """

    uri: str
    width: int
    height: int
    caption: str = ""
    detail: str = ""
    mark: str = ""


def make_picture(
    image: NDArray[np.uint8], caption: str = "", detail: str = "", mark: str = "", side: int = PICTURE_SIDE
) -> Picture:
    """Return ``image``, uint8 RGB (H, W, 3), upright, with its longer side at most ``side`` pixels."""
    limit = MAX_PICTURE_BYTES if side <= PICTURE_SIDE else 4 * MAX_PICTURE_BYTES
    image = drawing.resize_to_side(image, side)
    encoded = (images.encode_jpeg(image, quality) for quality in _QUALITIES)
    data = next((one for one in encoded if len(one) <= limit), None)
    if data is None:  # noise, at the largest size
        return make_picture(drawing.resize_to_side(image, side * 3 // 4), caption, detail, mark, side * 3 // 4)
    height, width = image.shape[:2]
    return Picture(encode_data_uri(data), width, height, caption, detail, mark)


def choose_side(image: NDArray[np.uint8], side: int = PICTURE_SIDE) -> int:
    """Return at how many pixels ``image`` (H, W, 3) is drawn where photos have ``side``: half for a tiny one."""
    return side // 2 if max(image.shape[:2]) <= TINY_SIDE else side


def draw_photo(dataset: Dataset, row: int, side: int = PICTURE_SIDE) -> NDArray[np.uint8]:
    """Return the image at ``row`` without its labels, uint8 RGB, upright, at most ``side`` pixels on its longer side.

    Raises ``ImageError`` when it cannot be read.
    """
    image = dataset.images.read_image(row, (side, side))
    return drawing.draw_shapes(image, (), image.shape[:2], choose_side(image, side))


def render_template(name: str, values: Mapping[str, Any]) -> str:
    """Return the template ``name`` with ``values`` in it, all texts escaped, as HTML."""
    environment = get_jinja_environment("lince.notebook")
    environment.globals["reword"] = reword_for_python
    return environment.get_template(name).render(values)
