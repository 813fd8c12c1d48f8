"""The loss of YOLOX, written from its paper (Ge et al. 2021, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from lince.models.box_ops import compute_iou
from lince.models.mask_loss import WEIGHT, MaskTargets, choose_rows, compute_mask_loss
from lince.models.yolox.sim_ota import AnchorGrid, GroundTruth, assign_targets
from lince.postprocess.prototypes import STRIDE

_BOX_WEIGHT = 5.0


@dataclass(frozen=True)
class YoloxLosses:
    """The parts of the loss of a batch, scalars; ``total`` is their sum, from which gradients are computed.

    ``box`` includes its weight of 5; ``l1`` is 0 unless requested, ``masks`` where none are learnt. ``num_positives``
    is the number of cells with an object; each part is a sum over cells divided by it (by 1 if it is 0).
    """

    total: Tensor
    box: Tensor
    objectness: Tensor
    classes: Tensor
    l1: Tensor
    masks: Tensor
    num_positives: int


@dataclass(frozen=True)
class _BatchAssignment:
    """The targets of the P cells of a batch that are assigned to an object.

    ``image_rows`` and ``cell_rows`` (P,) index the cell, ``boxes`` (P, 4) and ``class_ids`` (P,) are its object's, and
    ``target_rows`` (P,) its place among those of its image, the ``truths``.
    """

    image_rows: Tensor
    cell_rows: Tensor
    boxes: Tensor
    class_ids: Tensor
    target_rows: Tensor
    truths: list[GroundTruth]


@dataclass(frozen=True)
class MaskOutputs:
    """What a network with masks gives besides its boxes: ``coefficients`` (N, A, D), ``prototypes`` (N, D, h, w)."""

    coefficients: Tensor
    prototypes: Tensor


def compute_yolox_loss(
    raw: Tensor,
    cells: Tensor,
    strides: Tensor,
    targets: Sequence[tuple[Tensor, ...]],
    use_l1: bool = False,
    mask_outputs: MaskOutputs | None = None,
) -> YoloxLosses:
    """Return the loss of the network outputs ``raw`` (N, A, 5 + C) of a batch; computed in float32.

    ``raw`` holds box, objectness logit and class logits of each cell; ``cells`` (A, 2) and ``strides`` (A,) are those
    of ``postprocess.yolox.make_grid``. ``targets`` has the boxes (K, 4) of each image, left, top, right, bottom in
    input pixels, and their class ids (K,); boxes that are not finite or have a side under one pixel are ignored.

    The box loss is ``1 - IoU ** 2``. Objectness and classes have binary cross-entropy, with the IoU of the predicted
    box as target of the right class. ``use_l1`` adds the L1 distance of the encoded boxes, as the paper does for the
    last epochs. With ``mask_outputs`` the targets have masks, too (``GroundTruth``), which each cell of an object is to
    show; their loss includes its weight. Raises ``ValueError`` when there are not as many targets as images.
    """
    if len(raw) != len(targets):
        raise ValueError(f"{len(raw)} images have the targets of {len(targets)}")
    with torch.autocast(raw.device.type, enabled=False):
        raw, grid = raw.float(), AnchorGrid(cells.float(), strides.float())
        assignment = _assign_batch(raw, grid, targets)
        masks = raw.new_zeros(()) if mask_outputs is None else _compute_mask_loss(mask_outputs, assignment)
        return _compute_losses(raw, grid, assignment, use_l1, masks)


def _compute_mask_loss(outputs: MaskOutputs, assignment: _BatchAssignment) -> Tensor:
    """Return the weighted loss of the masks of the assigned cells whose objects have one."""
    counts = [len(truth) for truth in assignment.truths]
    starts = torch.tensor([0, *counts[:-1]], device=assignment.image_rows.device).cumsum(0)
    objects = starts[assignment.image_rows] + assignment.target_rows
    has_mask = torch.cat([truth.has_mask for truth in assignment.truths if truth.has_mask is not None])
    masks = torch.cat([truth.masks for truth in assignment.truths if truth.masks is not None])
    rows = choose_rows(has_mask[objects])
    coefficients = outputs.coefficients[assignment.image_rows[rows], assignment.cell_rows[rows]]
    targets = MaskTargets(assignment.image_rows[rows], assignment.boxes[rows], masks[objects[rows]])
    return WEIGHT * compute_mask_loss(coefficients.float(), outputs.prototypes.float(), targets, STRIDE)


def _assign_batch(raw: Tensor, grid: AnchorGrid, targets: Sequence[tuple[Tensor, ...]]) -> _BatchAssignment:
    """Return the assignment of all images, one after the other."""
    truths = [GroundTruth(*target).filter_usable() for target in targets]
    assignments = [assign_targets(outputs, grid, truth) for outputs, truth in zip(raw.detach(), truths, strict=True)]
    counts = torch.tensor([len(assignment.cell_rows) for assignment in assignments], device=raw.device)
    return _BatchAssignment(
        torch.arange(len(assignments), device=raw.device).repeat_interleave(counts),
        torch.cat([assignment.cell_rows for assignment in assignments]),
        torch.cat([truth.boxes[assignment.target_rows] for assignment, truth in zip(assignments, truths, strict=True)]),
        torch.cat(
            [truth.class_ids[assignment.target_rows] for assignment, truth in zip(assignments, truths, strict=True)]
        ),
        torch.cat([assignment.target_rows for assignment in assignments]),
        truths,
    )


def _compute_losses(
    raw: Tensor, grid: AnchorGrid, assignment: _BatchAssignment, use_l1: bool, masks: Tensor
) -> YoloxLosses:
    """Return the parts of the loss, given the assignment of cells to objects, and the part ``masks``."""
    num_positives = len(assignment.cell_rows)
    scale = 1 / max(num_positives, 1)
    assigned = raw[assignment.image_rows, assignment.cell_rows]
    boxes = AnchorGrid(grid.cells[assignment.cell_rows], grid.strides[assignment.cell_rows]).decode_boxes(
        assigned[:, :4]
    )
    ious = compute_iou(boxes, assignment.boxes)
    has_object = torch.zeros_like(raw[..., 4])
    has_object[assignment.image_rows, assignment.cell_rows] = 1.0
    class_targets = one_hot(assignment.class_ids, raw.shape[2] - 5) * ious.detach()[:, None]
    box = _BOX_WEIGHT * scale * (1 - ious.square()).sum()
    objectness = scale * binary_cross_entropy_with_logits(raw[..., 4], has_object, reduction="sum")
    classes = scale * binary_cross_entropy_with_logits(assigned[:, 5:], class_targets, reduction="sum")
    box_targets = grid.encode_boxes(assignment.boxes, assignment.cell_rows)
    l1_loss = scale * (assigned[:, :4] - box_targets).abs().sum() if use_l1 else box.new_zeros(())
    total = box + objectness + classes + l1_loss + masks
    return YoloxLosses(total, box, objectness, classes, l1_loss, masks, num_positives)
