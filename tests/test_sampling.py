"""Even sampling: count, first and last row, and repeatability."""

from __future__ import annotations

import numpy as np
import pytest

from lince.sampling import sample_evenly


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (0, 5, []),
        (5, 0, []),
        (1, 1, [0]),
        (3, 5, [0, 1, 2]),
        (5, 1, [0]),
        (10, 2, [0, 9]),
        (10, 4, [0, 3, 6, 9]),
        (10, 6, [0, 1, 3, 5, 7, 9]),  # rounded down
    ],
)
def test_an_even_sample_spans_everything(count, most, expected):
    rows = sample_evenly(count, most)
    assert rows.tolist() == expected
    assert rows.dtype == np.int64


def test_rounding_to_the_nearest_is_another_sample():
    assert sample_evenly(10, 6, round_to_nearest=True).tolist() == [0, 2, 4, 5, 7, 9]


@pytest.mark.parametrize("round_to_nearest", [False, True])
def test_no_row_is_taken_twice(round_to_nearest):
    for count in range(1, 120):
        for most in range(1, count + 1):
            rows = sample_evenly(count, most, round_to_nearest=round_to_nearest)
            assert len(rows) == most
            assert (np.diff(rows) > 0).all()
