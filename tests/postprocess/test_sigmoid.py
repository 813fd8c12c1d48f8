"""Tests of the sigmoid and of the decision by thresholds."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lince.postprocess import decide_classes, sigmoid


@given(st.floats(-40, 40))
def test_the_sigmoid_is_that_of_its_formula(logit: float) -> None:
    expected = 1 / (1 + np.exp(-np.float64(logit)))
    assert sigmoid(np.array([[logit]]))[0, 0] == np.float32(expected) or np.isclose(
        sigmoid(np.array([[logit]]))[0, 0], expected, rtol=1e-6
    )


def test_large_logits_do_not_overflow_and_the_type_is_float32() -> None:
    with np.errstate(all="raise", under="ignore"):
        values = sigmoid(np.array([-1e30, -1000, 0, 1000, 1e30], np.float32))
    assert values.dtype == np.float32
    assert values.tolist() == [0, 0, 0.5, 1, 1]


@given(st.floats(0, 1))
def test_a_threshold_says_the_same_after_a_way_through_json(threshold: float) -> None:
    probabilities = np.array([threshold, np.nextafter(np.float32(threshold), np.float32(2))], np.float32)
    decided = decide_classes(probabilities, [threshold, threshold])
    recorded = [json.loads(json.dumps(float(one))) >= json.loads(json.dumps(threshold)) for one in probabilities]
    assert decided.tolist() == recorded


def test_a_probability_at_the_threshold_counts() -> None:
    assert decide_classes(np.array([[0.5, 0.25]], np.float32), (0.5, 0.5)).tolist() == [[True, False]]
