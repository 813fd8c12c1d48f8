"""YOLOX with prototypes: outputs, cost, loss, and what a mask loss learns."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lince.errors import UsageError  # noqa: E402
from lince.models.detection.builders import build_detector  # noqa: E402
from lince.models.detection.registry import get_detector_entry  # noqa: E402
from lince.models.instances.registry import get_model_entry, list_models  # noqa: E402
from lince.models.mask_loss import MAX_MASKS, MaskTargets, choose_rows, compute_mask_loss  # noqa: E402
from lince.preprocess import PreprocessSpec  # noqa: E402

SPEC = PreprocessSpec(64, 64, "corner")


def make_target(outlined: bool = True) -> tuple[torch.Tensor, ...]:
    masks = torch.zeros(2, 16, 16, dtype=torch.uint8)
    masks[0, 2:9, 2:9], masks[1, 8:14, 6:15] = 255, 255
    return (
        torch.tensor([[8.0, 8, 36, 36], [24, 32, 60, 56]]),
        torch.tensor([0, 1]),
        masks,
        torch.tensor([outlined, outlined]),
    )


@pytest.mark.parametrize("name", ["yolox-nano", "yolox-tiny"])
def test_the_listed_cost_is_that_of_the_network(name: str) -> None:
    entry = get_model_entry(name)
    network = build_detector(entry, 80, PreprocessSpec(entry.size, entry.size))
    assert entry.params == sum(parameter.numel() for parameter in network.parameters())
    plain = get_detector_entry(name)
    assert entry.macs > plain.macs
    assert list_models()[name] == entry


def test_the_boxes_do_not_change_when_masks_are_added() -> None:
    plain = build_detector(get_detector_entry("yolox-nano"), 2, SPEC).eval()
    masked = build_detector(get_model_entry("yolox-nano"), 2, SPEC).eval()
    masked.load_state_dict(plain.state_dict(), strict=False)
    images = torch.rand(2, 3, 64, 64)
    (raw,), (masked_raw, coefficients, prototypes) = plain(images), masked(images)
    assert torch.equal(raw, masked_raw)
    assert coefficients.shape == (2, 84, 32)
    assert prototypes.shape == (2, 32, 16, 16)


def test_a_detector_that_learns_boxes_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="dfine-n learns boxes"):
        get_model_entry("dfine-n")


def test_objects_without_an_outline_teach_the_box_alone() -> None:
    network = build_detector(get_model_entry("yolox-nano"), 2, SPEC)
    images = torch.rand(2, 3, 64, 64)
    losses = network.compute_losses(images, [make_target(), make_target(False)])
    assert losses["masks"] > 0
    bare = network.compute_losses(images, [make_target(False), make_target(False)])
    assert bare["masks"] == 0
    assert bare["box"] > 0
    sum(bare.values()).backward()
    assert network.head.prototypes.pred.weight.grad.abs().sum() == 0
    plain = build_detector(get_detector_entry("yolox-nano"), 2, SPEC)
    assert "masks" not in plain.compute_losses(images, [target[:2] for target in (make_target(), make_target())])


def test_an_image_without_objects_and_a_batch_without_any_are_learnt_from() -> None:
    network = build_detector(get_model_entry("yolox-nano"), 2, SPEC)
    empty = tuple(part[:0] for part in make_target())
    losses = network.compute_losses(torch.rand(2, 3, 64, 64), [make_target(), empty])
    assert torch.isfinite(torch.stack([*losses.values()])).all()
    losses = network.compute_losses(torch.rand(2, 3, 64, 64), [empty, empty])
    assert losses["masks"] == 0


def test_the_loss_of_a_mask_is_computed_inside_its_box_alone() -> None:
    _boxes, _ids, masks, _has = make_target()
    prototypes = torch.full((1, 1, 16, 16), -20.0)
    prototypes[0, 0, 2:9, 2:9] = 20.0
    prototypes[0, 0, 12:, :] = 20.0  # wrong, and outside the box
    targets = MaskTargets(torch.tensor([0]), torch.tensor([[8.0, 8, 36, 36]]), masks[:1])
    assert compute_mask_loss(torch.ones(1, 1), prototypes, targets, 4) < 1e-3
    shifted = MaskTargets(torch.tensor([0]), torch.tensor([[8.0, 8, 36, 64]]), masks[:1])
    assert compute_mask_loss(torch.ones(1, 1), prototypes, shifted, 4) > 1


def test_each_prediction_is_compared_with_its_own_object_whatever_the_order() -> None:
    rng = np.random.default_rng(0)
    prototypes = torch.from_numpy(rng.normal(0, 1, (3, 4, 16, 16))).float()
    coefficients = torch.from_numpy(rng.normal(0, 1, (5, 4))).float()
    rows = torch.tensor([2, 0, 1, 0, 2])
    boxes = torch.tensor([[0.0, 0, 64, 64]] * 5)
    masks = torch.from_numpy(rng.integers(0, 256, (5, 16, 16))).to(torch.uint8)
    together = compute_mask_loss(coefficients, prototypes, MaskTargets(rows, boxes, masks), 4)
    alone = [
        compute_mask_loss(
            coefficients[i : i + 1], prototypes, MaskTargets(rows[i : i + 1], boxes[i : i + 1], masks[i : i + 1]), 4
        )
        for i in range(5)
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_at_most_so_many_masks_are_learnt_in_a_step() -> None:
    rows = choose_rows(torch.ones(10_000, dtype=torch.bool))
    assert len(rows) == MAX_MASKS
    assert rows[0] == 0
    assert rows[-1] == 9_999
    assert len(rows.unique()) == MAX_MASKS
    assert choose_rows(torch.tensor([False, True, False])).tolist() == [1]
