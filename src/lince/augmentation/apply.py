"""Augments one image: one sampled policy, one warp, one colour matrix, one lookup table, then the pixel operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry, preprocess
from lince.augmentation.colour import apply_colour_operations
from lince.augmentation.operations import GEOMETRY
from lince.augmentation.pixel_ops import apply_local_operations
from lince.augmentation.policy import Policy, SampledOperations
from lince.augmentation.warp import compose_warp_matrix, warp_class_map, warp_image
from lince.class_maps import ClassMap
from lince.preprocess import LETTERBOX_GREY, PADDED_RESIZE_MODES, PreprocessSpec

MIN_VISIBILITY = 0.25  # fraction of a box's area that must remain inside the image
MIN_BOX_SIDE = 2.0  # pixels of each side that must remain


@dataclass(frozen=True)
class AugmentedImage:
    """An augmented image with its boxes.

    ``image`` is uint8 (spec.height, spec.width, 3). ``boxes`` float64 (K, 4) are those that remain, in pixels of the
    new image: at least ``MIN_VISIBILITY`` of their area is inside it and both visible sides measure at least
    ``MIN_BOX_SIDE`` pixels. ``kept`` bool (N,) says which of the N given boxes these are. ``matrix`` (3, 3) maps pixel
    coordinates of the given image to those of the new one. ``sampled`` are the operations that were applied.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    kept: NDArray[np.bool_]
    matrix: NDArray[np.float64]
    sampled: SampledOperations


def augment(
    image: NDArray[np.uint8],
    policy: Policy,
    rng: np.random.Generator,
    spec: PreprocessSpec,
    boxes: NDArray[Any] | None = None,
) -> AugmentedImage:
    """Return ``image`` (H, W, 3), uint8 RGB of any size, augmented by ``policy`` and resized as ``spec`` says.

    ``boxes`` (N, 4), left, top, right, bottom in pixels, are transformed with the same matrix as the image.

    All random numbers come from ``rng``, so the same state gives the same result bit for bit. How many are drawn before
    the pixel operations depends on the policy alone, not on the image.

    ``image`` is not written to; it is returned itself when nothing changes it and it already has the input size.
    """
    height, width = image.shape[:2]
    sampled = policy.sample(rng)
    matrix = preprocess.compute_input_matrix(height, width, spec)
    if any(step.operation.group == GEOMETRY for step in policy):
        matrix = compose_warp_matrix(sampled, spec.height, spec.width) @ matrix
        fill, value = _resolve_fill(policy, spec, boxes is not None)
        augmented = warp_image(image, matrix, (spec.height, spec.width), fill, value)
    else:
        augmented = preprocess.resize_to_input(image, spec)
    augmented = apply_local_operations(apply_colour_operations(augmented, sampled), sampled, rng)
    if boxes is None:
        return AugmentedImage(augmented, np.empty((0, 4)), np.empty(0, np.bool_), matrix, sampled)
    return AugmentedImage(augmented, *_transform_boxes(boxes, matrix, spec), matrix, sampled)


def augment_boxes(
    size: tuple[int, int], policy: Policy, rng: np.random.Generator, spec: PreprocessSpec, boxes: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return ``boxes``, ``kept`` and ``matrix`` of ``augment`` for an image of ``size`` (height, width), without it.

    ``rng`` must be in the same state as for ``augment``.
    """
    matrix = _sample_matrix(size, policy, rng, spec)
    return *_transform_boxes(boxes, matrix, spec), matrix


def augment_class_map(class_map: ClassMap, policy: Policy, rng: np.random.Generator, spec: PreprocessSpec) -> ClassMap:
    """Return ``class_map``, uint8 (H, W) of any size, as ``augment`` would change its image, at the input's size.

    Outside of the image it is void. ``rng`` must be in the same state as for ``augment``.
    """
    size = (class_map.shape[0], class_map.shape[1])
    return warp_class_map(class_map, _sample_matrix(size, policy, rng, spec), (spec.height, spec.width))


def _sample_matrix(
    size: tuple[int, int], policy: Policy, rng: np.random.Generator, spec: PreprocessSpec
) -> NDArray[np.float64]:
    """Return the ``matrix`` of ``augment`` for an image of ``size`` (height, width)."""
    matrix = preprocess.compute_input_matrix(*size, spec)
    sampled = policy.sample(rng)
    if any(step.operation.group == GEOMETRY for step in policy):
        matrix = compose_warp_matrix(sampled, spec.height, spec.width) @ matrix
    return matrix


def _resolve_fill(policy: Policy, spec: PreprocessSpec, has_boxes: bool) -> tuple[str, int]:
    """Return the border mode and value for the area outside the image.

    ``auto`` means grey where the network's input is padded with grey or there are boxes (reflection would show objects
    without a box), and reflection otherwise.
    """
    if policy.fill != "auto":
        return policy.fill, policy.fill_value
    if has_boxes or spec.resize in PADDED_RESIZE_MODES:
        return "constant", LETTERBOX_GREY
    return "reflect", 0


def _transform_boxes(
    boxes: NDArray[Any], matrix: NDArray[np.float64], spec: PreprocessSpec
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the boxes that remain after ``matrix``, float64 (K, 4), and which of the given ones these are (N,)."""
    corners = geometry.transform_corners(boxes, matrix)
    visible = geometry.compute_visible_boxes(corners, spec.height, spec.width)
    full_areas = geometry.compute_box_areas(geometry.compute_bounding_boxes(corners))
    is_large = (visible[:, 2:] - visible[:, :2] >= MIN_BOX_SIDE).all(axis=1)
    kept = is_large & (geometry.compute_box_areas(visible) >= MIN_VISIBILITY * full_areas)
    return visible[kept], kept
