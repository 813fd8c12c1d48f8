"""A picture of a policy at work: each original in the first column, its altered copies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import preprocess
from lince.augmentation.apply import augment
from lince.augmentation.policy import Policy
from lince.i18n import _
from lince.preprocess import PreprocessSpec

Image = NDArray[np.uint8]
_MARGIN = 6
_CAPTION_HEIGHT = 22
_MIN_SIDE = 96  # a 28-pixel digit is shown enlarged, so that its altered pixels can be seen
_BACKGROUND, _TEXT_COLOUR = 255, (40, 40, 40)


def render_preview_sheet(
    images: Sequence[Image], policy: Policy, seed: int, copies: int, spec: PreprocessSpec
) -> Image:
    """Return one picture, uint8 RGB: a row for each of ``images`` (H, W, 3), the original and ``copies`` altered.

    Everything has the input size of ``spec``, as the network sees it; inputs under 96 pixels are enlarged by a whole
    factor. The copies are those of ``seed``, whatever the number of images.
    """
    if not images or copies < 1:
        raise ValueError(f"expected at least one image and one copy, not {len(images)} and {copies}")
    rows = []
    for number, image in enumerate(images):
        rng = np.random.default_rng([seed, number])
        altered = [augment(image, policy, rng, spec).image for _i in range(copies)]
        rows.append(_render_row([preprocess.resize_to_input(image, spec), *altered], spec))
    captions = [_("original"), *(str(i + 1) for i in range(copies))]
    return np.concatenate([_render_heading(captions, rows[0].shape[1]), *rows])


def _render_row(images: Sequence[Image], spec: PreprocessSpec) -> Image:
    factor = max(1, -(-_MIN_SIDE // min(spec.height, spec.width)))
    tiles: list[NDArray[Any]] = [image.repeat(factor, axis=0).repeat(factor, axis=1) for image in images]
    if spec.channels == "grey":
        tiles = [cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY)[:, :, None].repeat(3, axis=2) for tile in tiles]
    framed = [np.pad(tile, ((0, _MARGIN), (_MARGIN, 0), (0, 0)), constant_values=_BACKGROUND) for tile in tiles]
    # The gap after the first column sets the originals apart.
    gap = np.full((framed[0].shape[0], 2 * _MARGIN, 3), _BACKGROUND, np.uint8)
    edge = np.full((framed[0].shape[0], _MARGIN, 3), _BACKGROUND, np.uint8)
    return np.concatenate([framed[0], gap, *framed[1:], edge], axis=1)


def _render_heading(captions: Sequence[str], width: int) -> Image:
    strip = np.full((_CAPTION_HEIGHT, width, 3), _BACKGROUND, np.uint8)
    column = (width - 3 * _MARGIN) / len(captions)
    for index, text in enumerate(captions):
        left = round(_MARGIN + index * column + (2 * _MARGIN if index else 0))
        cv2.putText(
            strip, text, (left, _CAPTION_HEIGHT - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _TEXT_COLOUR, 1, cv2.LINE_AA
        )
    return strip
