"""SimOTA and YOLOX loss: known values, a plain reference, and convergence."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from lince.models.box_ops import compute_iou  # noqa: E402
from lince.models.yolox.loss import compute_yolox_loss  # noqa: E402
from lince.models.yolox.sim_ota import (  # noqa: E402
    MAX_DYNAMIC_K,
    AnchorGrid,
    GroundTruth,
    assign_targets,
    compute_class_costs,
    match_dynamic_k,
)
from lince.postprocess.yolox import make_grid  # noqa: E402

CLASSES = 3


@pytest.fixture(autouse=True)
def _one_thread():
    """Use one thread: with tensors this small, threads cost more than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def grid_of(height: int = 96, width: int = 128) -> AnchorGrid:
    where = make_grid(height, width)
    return AnchorGrid(torch.tensor(where.cells).float(), torch.tensor(where.strides).float())


def target(*rows: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return table[:, :4], table[:, 4].long()


def random_targets(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, [110, 80], (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(2, 60, (count, 2))], 1)
    return torch.tensor(boxes).float(), torch.tensor(rng.integers(0, CLASSES, count))


def by_hand(costs, overlaps, allowed):
    """Return SimOTA's dynamic matching in plain Python: {location: target}."""
    askers: dict[int, list[tuple[float, int]]] = {}
    for t, row in enumerate(costs):
        free = [a for a in range(len(row)) if allowed[t][a]]
        k = max(
            1, int(np.float32(sum(sorted((np.float32(overlaps[t][a]) for a in free), reverse=True)[:MAX_DYNAMIC_K])))
        )
        for a in sorted(free, key=lambda a: (row[a], a))[:k]:
            askers.setdefault(a, []).append((row[a], t))
    return {a: min(asked)[1] for a, asked in sorted(askers.items())}


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 6), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_the_matching_equals_a_plain_reference_with_ties(targets, count, seed):
    rng = np.random.default_rng(seed)
    costs = torch.tensor(rng.integers(0, 9, (targets, count))).float()
    overlaps = torch.tensor(rng.integers(0, 9, (targets, count)) / 8).float()
    allowed = torch.tensor(rng.random((targets, count)) < 0.7)
    found = match_dynamic_k(costs, overlaps, allowed)
    expected = by_hand(costs.tolist(), overlaps.tolist(), allowed.tolist())
    assert dict(zip(found.cell_rows.tolist(), found.target_rows.tolist(), strict=True)) == expected
    assert found.cell_rows.tolist() == list(expected)


def whole_by_hand(raw, grid, boxes, class_ids):
    """Return the SimOTA assignment in plain Python, written from the paper."""
    costs, overlaps, allowed = [], [], []
    for box, class_id in zip(boxes, class_ids, strict=True):
        lines: tuple[list, list, list] = ([], [], [])
        for answer, (column, row), stride in zip(raw, grid.cells.tolist(), grid.strides.tolist(), strict=True):
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            inside = box[0] < x < box[2] and box[1] < y < box[3]
            cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            central = max(abs(x - cx), abs(y - cy)) < 2.5 * stride
            mx, my = (answer[0] + column) * stride, (answer[1] + row) * stride
            w, h = math.exp(answer[2]) * stride, math.exp(answer[3]) * stride
            wide = max(0, min(mx + w / 2, box[2]) - max(mx - w / 2, box[0]))
            tall = max(0, min(my + h / 2, box[3]) - max(my - h / 2, box[1]))
            iou = wide * tall / (w * h + (box[2] - box[0]) * (box[3] - box[1]) - wide * tall)
            sure = [math.sqrt(1 / (1 + math.exp(-answer[4])) / (1 + math.exp(-c))) for c in answer[5:]]
            wrong = sum(-math.log(p if c == class_id else 1 - p) for c, p in enumerate(sure))
            lines[0].append(wrong - 3 * math.log(iou + 1e-7) + (0 if inside and central else 1e4))
            lines[1].append(iou)
            lines[2].append(inside or central)
        for table, line in zip((costs, overlaps, allowed), lines, strict=True):
            table.append(line)
    return by_hand(costs, overlaps, allowed)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_assignment_is_that_of_a_plain_reference(count, seed):
    grid = grid_of(64, 64)
    raw = torch.randn(len(grid.strides), 5 + CLASSES, generator=torch.Generator().manual_seed(seed))
    boxes, class_ids = random_targets(count, seed)
    boxes = boxes * 0.5
    found = assign_targets(raw, grid, GroundTruth(boxes, class_ids))
    expected = whole_by_hand(raw.tolist(), grid, boxes.tolist(), class_ids.tolist())
    got = dict(zip(found.cell_rows.tolist(), found.target_rows.tolist(), strict=True))
    # Costs of locations outside differ by 0.001 only: a location without overlap may replace an equal one.
    assert sum(got.get(a) != t for a, t in expected.items()) <= 1
    assert abs(len(got) - len(expected)) <= 1


def test_class_costs_are_cross_entropy_of_the_geometric_mean():
    raw = torch.tensor([[0, 0, 0, 0, 2.0, 1.0, -3.0]])
    sure = (torch.sigmoid(raw[:, 4:5]) * torch.sigmoid(raw[:, 5:])).sqrt()
    for class_id in (0, 1):
        truth = torch.nn.functional.one_hot(torch.tensor([class_id]), 2).float()
        expected = torch.nn.functional.binary_cross_entropy(sure, truth, reduction="sum")
        torch.testing.assert_close(compute_class_costs(raw, torch.tensor([class_id]))[0, 0], expected)


def test_class_costs_stay_numbers_at_the_surest_answers():
    raw = torch.full((4, 5 + CLASSES), 1e4) * torch.tensor([1, -1, 0, 1])[:, None]
    assert compute_class_costs(raw, torch.tensor([0, 2])).isfinite().all()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),
        ((3, 3, 1, 1), (0, 0, 4, 4), 0),
    ],
)
def test_overlap(first, second, expected):
    found = compute_iou(torch.tensor(first).float(), torch.tensor(second).float())
    assert found.item() == pytest.approx(expected)


def test_boxes_and_answers_are_each_others_inverse():
    grid, places_ = grid_of(), torch.arange(40)
    boxes, _ids = random_targets(40, 3)
    raw = torch.zeros(len(grid.strides), 4)
    raw[places_] = grid.encode_boxes(boxes, places_)
    torch.testing.assert_close(grid.decode_boxes(raw)[places_], boxes)


def test_one_object_gets_ten_locations_around_its_centre():
    grid = grid_of()
    box = torch.tensor([[24.0, 16.0, 104.0, 80.0]])
    every = torch.arange(len(grid.strides))
    raw = torch.zeros(len(every), 5 + CLASSES)
    raw[:, :4] = grid.encode_boxes(box.expand(len(every), 4), every)
    found = assign_targets(raw, grid, GroundTruth(box, torch.tensor([1])))
    # The float32 overlaps sum to 10 or slightly less.
    assert len(found.cell_rows) in (9, 10)
    middle = torch.tensor([64.0, 48.0])
    way = (grid.centres[found.cell_rows] - middle).abs() / grid.strides[found.cell_rows, None]
    assert (way < 2.5).all()


def test_the_smallest_object_gets_a_place():
    found = assign_targets(
        torch.zeros(len(grid_of().strides), 8), grid_of(), GroundTruth(*target((60.2, 40.1, 61.5, 41.9, 0)))
    )
    assert len(found.cell_rows) == 1


@pytest.mark.parametrize("sort", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_gradients_are_finite(count, sort):
    grid = grid_of()
    raw = torch.randn(2, len(grid.strides), 5 + CLASSES, generator=torch.Generator().manual_seed(count)).to(sort)
    raw.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = compute_yolox_loss(raw, grid.cells, grid.strides, [random_targets(count, 5), target()], use_l1=True)
    found.total.backward()
    assert found.total.dtype == torch.float32
    assert raw.grad.isfinite().all()
    assert (found.num_positives > 0) == (count > 0)
    # The empty image contributes to objectness only.
    assert (raw.grad[1, :, [0, 1, 2, 3, 5, 6, 7]] == 0).all()
    assert (raw.grad[1, :, 4] > 0).all()


def test_extreme_outputs_give_a_finite_loss():
    grid = grid_of()
    for value in (-300.0, 300.0):
        raw = torch.full((1, len(grid.strides), 5 + CLASSES), value, requires_grad=True)
        found = compute_yolox_loss(raw, grid.cells, grid.strides, [random_targets(4, 1)])
        found.total.backward()
        assert found.total.isfinite()
        assert raw.grad.isfinite().all()


def test_a_box_that_is_none_is_passed_over():
    grid = grid_of()
    raw = torch.randn(1, len(grid.strides), 5 + CLASSES, generator=torch.Generator().manual_seed(2))
    good = target((10, 10, 50, 60, 1), (60, 30, 90, 70, 2))
    bad = target(
        (10, 10, 50, 60, 1), (5, 5, 5, 50, 0), (9, 9, 2, 2, 1), (math.nan, 0, 9, 9, 2), (60, 30, 90, 70, 2),
        (0, 0, math.inf, 9, 0), (4, 4, 4.9, 40, 0),
    )  # fmt: skip
    first, second = (compute_yolox_loss(raw, grid.cells, grid.strides, [one], use_l1=True) for one in (good, bad))
    assert first.total == second.total
    assert first.num_positives == second.num_positives > 1


def test_the_parts_are_those_of_the_paper():
    grid = grid_of(32, 32)
    raw = torch.zeros(1, len(grid.strides), 6)
    boxes, ids = target((0, 0, 32, 32, 0))
    last = len(grid.strides) - 1
    # The location of stride 32 covers half of the object, the others almost nothing.
    raw[0, :, 2:4] = -9.0
    raw[0, last, :4] = torch.tensor([0.5, 0.5, 0.0, math.log(0.5)])
    found = compute_yolox_loss(raw, grid.cells, grid.strides, [(boxes, ids)], use_l1=True)
    assert found.num_positives == 1
    assert found.box.item() == pytest.approx(5 * (1 - 0.5**2))
    assert found.objectness.item() == pytest.approx(len(grid.strides) * math.log(2))
    assert found.classes.item() == pytest.approx(math.log(2))
    assert found.l1.item() == pytest.approx(math.log(2))
    parts = found.box + found.objectness + found.classes + found.l1
    assert found.total.item() == pytest.approx(parts.item())
    assert compute_yolox_loss(raw, grid.cells, grid.strides, [(boxes, ids)]).l1 == 0


def test_the_loss_of_free_answers_falls_to_nearly_nothing():
    grid = grid_of(64, 64)
    generator = torch.Generator().manual_seed(0)
    raw = (0.1 * torch.randn(2, len(grid.strides), 5 + CLASSES, generator=generator)).requires_grad_()
    targets = [target((4, 6, 40, 30, 0), (30, 34, 62, 60, 1)), target((20, 20, 31, 29, 2))]
    optimiser, values = torch.optim.Adam([raw], 0.1), []
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 0.1 * min(1, 2 - step / 200)
        found = compute_yolox_loss(raw, grid.cells, grid.strides, targets, use_l1=True)
        optimiser.zero_grad()
        found.total.backward()
        optimiser.step()
        values.append(found.total.item())
    assert values[-1] < 0.02 * values[0]


def test_images_and_targets_must_be_as_many():
    grid = grid_of()
    with pytest.raises(ValueError, match="2 images have the targets of 1"):
        compute_yolox_loss(torch.zeros(2, len(grid.strides), 8), grid.cells, grid.strides, [target()])
