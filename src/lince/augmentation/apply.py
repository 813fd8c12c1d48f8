"""One image through one policy: draw, one warp, one colour matrix, one table, then the local effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry, preprocess
from lince.augmentation.colour import recolour
from lince.augmentation.local import disturb
from lince.augmentation.operations import GEOMETRY
from lince.augmentation.policy import Policy
from lince.augmentation.warp import compose, warp
from lince.preprocess import LETTERBOX_GREY, WHOLE, Preprocess

LEAST_VISIBLE = 0.25
LEAST_SIDE = 2.0


@dataclass(frozen=True)
class Augmented:
    """An altered image (spec.height, spec.width, 3) uint8, its boxes (K, 4) in its own pixels, and their origin.

    ``kept`` (N,) tells which of the N boxes given are still there: those that show at least a quarter of their area
    (``LEAST_VISIBLE``) and measure at least two pixels each way (``LEAST_SIDE``) after the cut at the frame.
    ``matrix`` (3, 3) leads from the given image's pixels to this one's.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    kept: NDArray[np.bool_]
    matrix: NDArray[np.float64]


def augment(
    image: NDArray[np.uint8],
    policy: Policy,
    rng: np.random.Generator,
    spec: Preprocess,
    boxes: NDArray[Any] | None = None,
) -> Augmented:
    """Return ``image`` (H, W, 3) of any size, altered by ``policy`` and brought to the input size of ``spec``.

    All chance comes from ``rng``: the same state gives the same bits, and what it is asked for depends on the policy
    and the input size alone, never on the image. ``boxes`` (N, 4) follow the same matrix. ``image`` is never written
    to; where nothing altered it and it has the input size, it comes back itself.
    """
    height, width = image.shape[:2]
    drawn = policy.draw(rng)
    matrix = preprocess.matrix(height, width, spec)
    if any(step.operation.group == GEOMETRY for step in policy):
        matrix = compose(drawn, spec.height, spec.width) @ matrix
        fill, value = _filling(policy, spec, boxes is not None)
        out = warp(image, matrix, (spec.height, spec.width), fill, value)
    else:
        out = preprocess.fit(image, spec)
    out = disturb(recolour(out, drawn), drawn, rng)
    if boxes is None:
        return Augmented(out, np.empty((0, 4)), np.empty(0, np.bool_), matrix)
    return Augmented(out, *_follow(boxes, matrix, spec), matrix)


def follow(
    size: tuple[int, int], policy: Policy, rng: np.random.Generator, spec: Preprocess, boxes: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the ``boxes`` and the ``kept`` that ``augment`` gives for an image of ``size`` (height, width)."""
    matrix = preprocess.matrix(*size, spec)
    drawn = policy.draw(rng)
    if any(step.operation.group == GEOMETRY for step in policy):
        matrix = compose(drawn, spec.height, spec.width) @ matrix
    return _follow(boxes, matrix, spec)


def _filling(policy: Policy, spec: Preprocess, has_boxes: bool) -> tuple[str, int]:
    if policy.fill != "auto":
        return policy.fill, policy.fill_value
    if has_boxes or spec.resize in WHOLE:
        return "constant", LETTERBOX_GREY
    return "reflect", 0


def _follow(
    boxes: NDArray[Any], matrix: NDArray[np.float64], spec: Preprocess
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    corners = geometry.transform_corners(boxes, matrix)
    seen = geometry.visible_boxes(corners, spec.height, spec.width)
    large = (seen[:, 2:] - seen[:, :2] >= LEAST_SIDE).all(axis=1)
    shown = geometry.area(seen) >= LEAST_VISIBLE * geometry.area(geometry.around(corners))
    kept = large & shown
    return seen[kept], kept
