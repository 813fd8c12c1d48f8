"""Class maps as runs: the same pixels again, and areas, centres and boxes as counted on the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from lince import rle
from lince.postprocess import class_runs
from lince.postprocess.class_runs import ClassRuns, encode_masks


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 7), (40, 60)])
def test_runs_are_the_same_pixels(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_runs, "_STRIP_PIXELS", 100)
    for seed, high in ((0, 1), (1, 2), (2, 6)):
        class_map = np.random.default_rng(seed).integers(0, high, size).astype(np.uint8)
        runs = ClassRuns.from_map(class_map)
        np.testing.assert_array_equal(runs.to_map(), class_map)
        assert runs.to_map().dtype == np.uint8
        np.testing.assert_array_equal(runs.count_pixels(6), np.bincount(class_map.ravel(), minlength=6))
        for value in range(7):
            ys, xs = np.nonzero(class_map == value)
            if not len(ys):
                assert runs.compute_centre(value) is None
                assert runs.compute_box(value) is None
                continue
            assert runs.compute_centre(value) == pytest.approx((xs.mean() + 0.5, ys.mean() + 0.5))
            assert runs.compute_box(value) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_runs_of_a_large_smooth_map_are_small() -> None:
    class_map = np.zeros((2000, 3000), np.uint8)
    class_map[500:1500, 1000:2000] = 3
    runs = ClassRuns.from_map(class_map)
    assert runs.values.nbytes + runs.starts.nbytes < class_map.nbytes / 100


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 7), (40, 60)])
def test_masks_are_the_run_lengths_of_each_class(size: tuple[int, int]) -> None:
    for seed, high in ((0, 1), (1, 2), (2, 6)):
        class_map = np.random.default_rng(seed).integers(0, high, size).astype(np.uint8)
        class_map = np.repeat(np.repeat(class_map, 2, axis=0), 3, axis=1)
        found = encode_masks(class_map, range(7))
        assert found == [rle.encode(class_map == value) for value in range(7)]
