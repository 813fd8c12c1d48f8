"""Range test of learning rates: what follows from losses whose lowest point is known."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from lince.evaluation.rate_test import RateSearch, RateTest, is_diverging, make_test_rates, smooth_losses
from lince.evaluation.report.rate_page import list_rate_lines, render_rate_page
from lince.i18n import use_language


def make_test(losses: list[float], planned: float = 1e-3) -> RateTest:
    return RateTest("scratch", tuple(make_test_rates()[: len(losses)]), tuple(losses), planned, 8, 800, 40, 0)


def make_valley(lowest: float, depth: float = 1.0, noise: float = 0.0) -> list[float]:
    """Return losses that fall from 2 to 2 - depth at the rate ``lowest``, and rise after it as fast."""
    rng = np.random.default_rng(0)
    return [
        2.0 - depth * math.exp(-((math.log10(rate / lowest)) ** 2)) + noise * rng.standard_normal()
        for rate in make_test_rates()
    ]


@pytest.mark.parametrize("lowest", [1e-4, 1e-3, 1e-2])
def test_the_suggestion_follows_the_lowest_point(lowest: float) -> None:
    for noise in (0.0, 0.02):
        test = make_test(make_valley(lowest, noise=noise))
        assert test.lowest_rate == pytest.approx(lowest, rel=0.6)
        assert test.suggested_rate is not None
        assert test.suggested_rate == pytest.approx(test.lowest_rate / 2, rel=0.05)


def test_without_a_clear_fall_nothing_is_suggested() -> None:
    flat = make_test(make_valley(1e-3, depth=0.0, noise=0.1))
    rising = make_test([2.0 + step / 50 for step in range(100)])
    for test in (flat, rising):
        assert test.suggested_rate is None
        assert not test.agrees_with_plan
        lines = " ".join(list_rate_lines(RateSearch("photos", (test,))))
        assert "0.001" in lines
        assert "--lr" not in lines


def test_a_plan_near_the_suggestion_is_said_to_be_as_good() -> None:
    suggested = make_test(make_valley(1e-2)).suggested_rate
    assert suggested is not None
    assert make_test(make_valley(1e-2), planned=suggested * 2).agrees_with_plan
    far = make_test(make_valley(1e-2), planned=suggested * 20)
    assert not far.agrees_with_plan
    assert f"--lr {suggested:g}, in Python lr={suggested:g}." in " ".join(list_rate_lines(RateSearch("photos", (far,))))


def test_a_test_ends_where_the_loss_explodes() -> None:
    losses = [2.0] * 30 + [1.0] * 10
    assert not is_diverging(losses)
    assert not is_diverging([*losses, 9.0])  # one bad batch is no divergence
    assert is_diverging([*losses, 9.0, 9.0, 9.0])
    assert is_diverging([*losses, math.nan])
    assert is_diverging([math.inf])


def test_smoothing_keeps_levels_and_does_not_shift() -> None:
    assert smooth_losses([3.0] * 20) == pytest.approx(3.0)
    peak = np.zeros(41)
    peak[20] = 1.0
    smooth = smooth_losses(peak.tolist())
    assert int(smooth.argmax()) == 20
    assert smooth[17] == pytest.approx(smooth[23])


@pytest.mark.parametrize("language", ["en", "es", "pt"])
def test_the_page_says_what_was_measured(language: str) -> None:
    with use_language(language):
        tests = (make_test(make_valley(1e-2)), make_test(make_valley(1e-3)[:70]))
        page = render_rate_page(RateSearch("fotos <b>&", tests))
        notebook = RateSearch("fotos <b>&", tests).render_notebook_html()
    assert f'lang="{language}"' in page
    assert "fotos &lt;b&gt;&amp;" in page
    assert "fotos <b>" not in page + notebook
    assert len(re.findall(r"<svg ", page)) == 2
    number = "0.001" if language == "en" else "0,001"
    assert number in page
    assert number in notebook
