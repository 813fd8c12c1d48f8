"""Exports of models with masks: the comparison sees boxes, scores and masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lince import rle
from lince.annotations import Classes, Detections, StringColumn
from lince.errors import ModelError
from lince.export.agreement import FP32_TOLERANCE, ImageScale, compare_detections, measure_mask_difference
from lince.export.parity import require_detection_parity
from lince.preprocess import PreprocessSpec

SIZE = (50, 60)


def make_detections(shift: int = 0) -> Detections:
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 5:25, 5 + shift : 25 + shift] = masks[1, 20:45, 30:55] = True
    return Detections(
        np.array([[5, 5, 25, 25], [30, 20, 55, 45]], np.float64),
        np.array([0, 1], np.int32),
        np.array([0.9, 0.8], np.float32),
        StringColumn.from_strings(rle.encode(mask) for mask in masks),
    )


def test_masks_that_differ_are_no_partners() -> None:
    ours, theirs = make_detections(2), make_detections()
    assert measure_mask_difference(ours, theirs, 0) == pytest.approx(1 - 18 / 22)
    assert measure_mask_difference(ours, theirs, 1) == 0
    scales = [ImageScale(SIZE, PreprocessSpec(*SIZE))]
    classes = Classes(("a", "b"))
    agreement = compare_detections([ours], [theirs], scales, classes, FP32_TOLERANCE)
    assert agreement.differences["mask"] == pytest.approx(1 - 18 / 22)
    assert agreement.lone == 0.5
    same = compare_detections([theirs], [theirs], scales, classes, FP32_TOLERANCE)
    assert same.differences == {"score": 0.0, "box": 0.0, "mask": 0.0}
    plain = replace(theirs, masks=StringColumn.from_strings(["", ""]))
    assert "mask" not in compare_detections([plain], [plain], scales, classes, FP32_TOLERANCE).differences


def test_a_network_whose_masks_differ_from_the_trained_one_is_refused() -> None:
    assert require_detection_parity([make_detections()], [make_detections()]).to_dict()["mask"] == 0
    with pytest.raises(ModelError, match="differs on 1 of 2 objects"):
        require_detection_parity([make_detections(2)], [make_detections()])
