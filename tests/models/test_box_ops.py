"""Box operations in torch: agreement with numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lince import geometry  # noqa: E402
from lince.models import box_ops  # noqa: E402


def random_boxes(count: int, seed: int) -> np.ndarray:
    """Return random boxes, some of them without area."""
    corners = np.random.default_rng(seed).integers(0, 30, (count, 4)).astype(np.float64)
    return np.concatenate([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1)


@pytest.mark.parametrize("counts", [(0, 3), (3, 0), (40, 60)])
def test_iou_is_that_of_the_numpy_function(counts: tuple[int, int]) -> None:
    some, others = random_boxes(counts[0], 0), random_boxes(counts[1], 1)
    iou = box_ops.compute_iou(torch.from_numpy(some)[:, None], torch.from_numpy(others))
    np.testing.assert_allclose(iou.numpy(), geometry.compute_iou(some, others), atol=1e-12)


def test_centres_and_sides_describe_the_same_boxes() -> None:
    boxes = torch.from_numpy(random_boxes(20, 2))
    centres, sides = box_ops.xyxy_to_cxcywh(boxes).split(2, -1)
    torch.testing.assert_close(torch.cat((centres - sides / 2, centres + sides / 2), -1), boxes)
    torch.testing.assert_close(sides.prod(-1), box_ops.compute_box_areas(boxes))
