"""One image through one policy: draw, one warp, one colour matrix, one table, then the local effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry, preprocess
from lince.augmentation.colour import apply_colour_operations
from lince.augmentation.operations import GEOMETRY
from lince.augmentation.pixel_ops import apply_local_operations
from lince.augmentation.policy import Policy
from lince.augmentation.warp import compose_warp_matrix, warp_image
from lince.preprocess import LETTERBOX_GREY, PADDED_RESIZE_MODES, PreprocessSpec

MIN_VISIBILITY = 0.25
MIN_BOX_SIDE = 2.0


@dataclass(frozen=True)
class AugmentedImage:
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
    spec: PreprocessSpec,
    boxes: NDArray[Any] | None = None,
) -> AugmentedImage:
    """Return ``image`` (H, W, 3) of any size, altered by ``policy`` and brought to the input size of ``spec``.

    All chance comes from ``rng``: the same state gives the same bits, and what it is asked for depends on the policy
    and the input size alone, never on the image. ``boxes`` (N, 4) follow the same matrix. ``image`` is never written
    to; where nothing altered it and it has the input size, it comes back itself.
    """
    height, width = image.shape[:2]
    drawn = policy.sample(rng)
    matrix = preprocess.compute_input_matrix(height, width, spec)
    if any(step.operation.group == GEOMETRY for step in policy):
        matrix = compose_warp_matrix(drawn, spec.height, spec.width) @ matrix
        fill, value = _resolve_fill(policy, spec, boxes is not None)
        out = warp_image(image, matrix, (spec.height, spec.width), fill, value)
    else:
        out = preprocess.resize_to_input(image, spec)
    out = apply_local_operations(apply_colour_operations(out, drawn), drawn, rng)
    if boxes is None:
        return AugmentedImage(out, np.empty((0, 4)), np.empty(0, np.bool_), matrix)
    return AugmentedImage(out, *_transform_boxes(boxes, matrix, spec), matrix)


def augment_boxes(
    size: tuple[int, int], policy: Policy, rng: np.random.Generator, spec: PreprocessSpec, boxes: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the ``boxes`` and the ``kept`` that ``augment`` gives for an image of ``size`` (height, width)."""
    matrix = preprocess.compute_input_matrix(*size, spec)
    drawn = policy.sample(rng)
    if any(step.operation.group == GEOMETRY for step in policy):
        matrix = compose_warp_matrix(drawn, spec.height, spec.width) @ matrix
    return _transform_boxes(boxes, matrix, spec)


def _resolve_fill(policy: Policy, spec: PreprocessSpec, has_boxes: bool) -> tuple[str, int]:
    if policy.fill != "auto":
        return policy.fill, policy.fill_value
    if has_boxes or spec.resize in PADDED_RESIZE_MODES:
        return "constant", LETTERBOX_GREY
    return "reflect", 0


def _transform_boxes(
    boxes: NDArray[Any], matrix: NDArray[np.float64], spec: PreprocessSpec
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    corners = geometry.transform_corners(boxes, matrix)
    seen = geometry.compute_visible_boxes(corners, spec.height, spec.width)
    large = (seen[:, 2:] - seen[:, :2] >= MIN_BOX_SIDE).all(axis=1)
    shown = geometry.compute_box_areas(seen) >= MIN_VISIBILITY * geometry.compute_box_areas(
        geometry.compute_bounding_boxes(corners)
    )
    kept = large & shown
    return seen[kept], kept
