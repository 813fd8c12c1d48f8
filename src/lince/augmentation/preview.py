"""Draws a contact sheet of an augmentation policy: each original with its augmented copies in one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.augmentation.apply import AugmentedImage, augment
from lince.augmentation.policy import Policy, SampledOperations, describe_sampled
from lince.i18n import _
from lince.preprocess import PreprocessSpec

Image = NDArray[np.uint8]
_MARGIN = 6
_CAPTION_HEIGHT = 22
_MIN_SIDE = 96  # pixels; smaller inputs, such as digits, are enlarged so that their pixels can be seen
_BACKGROUND, _TEXT_COLOUR = 255, (40, 40, 40)
_TEXT_HEIGHT, _TEXT_WEIGHT, _LINE_HEIGHT = 12, 400, 15  # pixels of the font below a copy, its weight, and of a line


@dataclass(frozen=True)
class BoxMarks:
    """The boxes of the images of a sheet, and how they are drawn.

    ``boxes`` has float64 (K, 4) for each image, left, top, right, bottom in its pixels. ``draw`` returns the picture of
    an augmented image, of the input size, given the number of the image it was made of.
    """

    boxes: Sequence[NDArray[np.float64]]
    draw: Callable[[int, AugmentedImage], Image]


def render_preview_sheet(
    images: Sequence[Image],
    policy: Policy,
    seed: int,
    copies: int,
    spec: PreprocessSpec,
    boxes: BoxMarks | None = None,
) -> Image:
    """Return a contact sheet, uint8 RGB, with a row for each of ``images`` (H, W, 3): the original and its copies.

    All images have the input size of ``spec``, as the network sees them; inputs below 96 pixels are enlarged by a
    whole factor. The operations of a copy, with their amounts, stand below it. The copies of an image depend on
    ``seed`` and its position alone. With ``boxes`` they are altered as in the training of a detector, whose borders
    differ, and their boxes are drawn. Raise ``ValueError`` when there are no images or ``copies`` is below 1.
    """
    if not images or copies < 1:
        raise ValueError(f"expected at least one image and one copy, not {len(images)} and {copies}")
    rows = []
    for index, image in enumerate(images):
        rng = np.random.default_rng([seed, index])
        given = None if boxes is None else boxes.boxes[index]
        original = augment(image, Policy(), rng, spec, given)
        augmented = [augment(image, policy, rng, spec, given) for _i in range(copies)]
        tiles = [item.image if boxes is None else boxes.draw(index, item) for item in (original, *augmented)]
        rows.append(_render_row(tiles, [[], *(_list_operations(item.sampled, policy) for item in augmented)], spec))
    captions = [_("original"), *(str(i + 1) for i in range(copies))]
    return np.concatenate([_render_heading(captions, rows[0].shape[1]), *rows])


def _list_operations(sampled: SampledOperations, policy: Policy) -> list[str]:
    """Return what stands below a copy; nothing where ``policy`` has no operations."""
    return describe_sampled(sampled) or ([_("unchanged")] if len(policy) else [])


def _render_row(images: Sequence[Image], operations: Sequence[Sequence[str]], spec: PreprocessSpec) -> Image:
    """Return one row of the sheet, with the ``operations`` below each image; a grey network input is shown in grey."""
    factor = max(1, -(-_MIN_SIDE // min(spec.height, spec.width)))
    tiles: list[NDArray[Any]] = [image.repeat(factor, axis=0).repeat(factor, axis=1) for image in images]
    if spec.channels == "grey":
        tiles = [cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY)[:, :, None].repeat(3, axis=2) for tile in tiles]
    line_lists = [_wrap_texts(texts, tiles[0].shape[1]) for texts in operations]
    height = _LINE_HEIGHT * max(map(len, line_lists))
    tiles = [
        np.concatenate([tile, _render_lines(lines, (height, tile.shape[1]))])
        for tile, lines in zip(tiles, line_lists, strict=True)
    ]
    tiles_with_margin = [
        np.pad(tile, ((0, _MARGIN), (_MARGIN, 0), (0, 0)), constant_values=_BACKGROUND) for tile in tiles
    ]
    # The gap after the first column sets the originals apart.
    gap = np.full((tiles_with_margin[0].shape[0], 2 * _MARGIN, 3), _BACKGROUND, np.uint8)
    edge = np.full((tiles_with_margin[0].shape[0], _MARGIN, 3), _BACKGROUND, np.uint8)
    return np.concatenate([tiles_with_margin[0], gap, *tiles_with_margin[1:], edge], axis=1)


def _wrap_texts(texts: Sequence[str], width: int) -> list[str]:
    """Return ``texts`` as lines of at most ``width`` pixels; one text is never divided.

    They are joined by semicolons, as their amounts may have decimal commas.
    """
    lines: list[str] = []
    for number, text in enumerate(texts):
        item = text + (";" if number + 1 < len(texts) else "")
        longer = f"{lines[-1]} {item}" if lines else item
        if lines and _measure_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(item)
    return lines


def _measure_width(text: str) -> int:
    """Return the width of ``text`` in pixels."""
    return int(cv2.getTextSize((1, 1), text, (0, 0), _load_font(), _TEXT_HEIGHT, _TEXT_WEIGHT)[2])


def _render_lines(lines: Sequence[str], size: tuple[int, int]) -> Image:
    """Return a strip of ``size`` (height, width) with ``lines`` of text."""
    strip = np.full((*size, 3), _BACKGROUND, np.uint8)
    for number, line in enumerate(lines):
        origin = (0, number * _LINE_HEIGHT + _LINE_HEIGHT - 4)
        cv2.putText(strip, line, origin, _TEXT_COLOUR, _load_font(), _TEXT_HEIGHT, _TEXT_WEIGHT)
    return strip


@cache
def _load_font() -> Any:
    return cv2.FontFace("sans")


def _render_heading(captions: Sequence[str], width: int) -> Image:
    """Return the strip with the captions of the columns."""
    heading = np.full((_CAPTION_HEIGHT, width, 3), _BACKGROUND, np.uint8)
    column_width = (width - 3 * _MARGIN) / len(captions)
    for index, text in enumerate(captions):
        left = round(_MARGIN + index * column_width + (2 * _MARGIN if index else 0))
        cv2.putText(heading, text, (left, _CAPTION_HEIGHT - 7), _TEXT_COLOUR, _load_font(), 14, _TEXT_WEIGHT)
    return heading
