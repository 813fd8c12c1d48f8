"""The scissors in Chromium: an outline of a few careless clicks follows the edge of what is on the photo."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support.studio_browser import open_chromium
from tests.support.studio_process import RunningStudio, run_studio

pytest.importorskip("sqlalchemy")
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
sync_api.expect.set_options(timeout=45_000)

from tests.studio.annotate_support import SIZE, Annotator, add_classes, open_annotator  # noqa: E402  # after the skips

pytestmark = pytest.mark.timeout(180)
CENTRE, RADIUS = (300.0, 230.0), 110.0
CARELESS = 4.0  # pixels that the clicks are beside the edge
NEAR = 2.0  # pixels between the outline and the edge, on average


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as one:
        yield one


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """A project with a photo of a noisy disc, small and 3.5 times as large."""
    folder = tmp_path_factory.mktemp("scissors")
    (folder / "photos").mkdir()
    for number, factor in enumerate((1, 3.5)):
        Image.fromarray(draw_disc(factor)).save(folder / "photos" / f"{number}.jpg", quality=90)
    with run_studio(folder / "project", "--photos", folder / "photos") as one:
        with closing(one.enter()) as client:
            client.post("/api/task", json={"task": "detection"})
        add_classes(one, "disc")
        yield one


def draw_disc(factor: float) -> NDArray[np.uint8]:
    """Return a dark disc on a bright ground, both of uneven light and with noise, ``factor`` times as large."""
    rng = np.random.default_rng(0)
    width, height = round(SIZE[0] * factor), round(SIZE[1] * factor)
    down, across = (np.mgrid[:height, :width] + 0.5) / factor
    inside = np.clip((RADIUS - np.hypot(across - CENTRE[0], down - CENTRE[1])) * factor + 0.5, 0, 1)
    grey = 170 - 90 * inside + 20 * across / SIZE[0] + rng.normal(0, 6, inside.shape)
    return np.clip(np.dstack([grey, grey - 10, grey - 30]), 0, 255).astype(np.uint8)


@pytest.fixture
def annotator(browser: Any, studio: RunningStudio) -> Iterator[Annotator]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield open_annotator(context, studio)
    context.close()
    assert not faults


def click_around(annotator: Annotator, count: int) -> None:
    """Click around the disc, in turn too far outside and inside."""
    for number in range(count):
        angle = 2 * math.pi * number / count
        distance = RADIUS + CARELESS * (-1) ** number
        annotator.click(CENTRE[0] + distance * math.cos(angle), CENTRE[1] + distance * math.sin(angle))


def measure_distance(ring: list[list[float]], factor: float) -> float:
    """Return how far the outline is from the edge on average, in pixels of the photo."""
    points = np.array(ring)
    ends = np.roll(points, -1, axis=0)
    along = np.concatenate([a + (b - a) * np.linspace(0, 1, 20)[:, None] for a, b in zip(points, ends, strict=True)])
    lengths = np.repeat(np.hypot(*(ends - points).T), 20)
    distances = np.abs(np.hypot(*(along - np.array(CENTRE) * factor).T) - RADIUS * factor)
    return float(np.average(distances, weights=lengths))


@pytest.mark.parametrize(("photo", "factor"), [(1, 1.0), (2, 3.5)])
@pytest.mark.parametrize("ending", ["Enter", "first point"])
def test_the_outline_follows_the_edge(annotator: Annotator, photo: int, factor: float, ending: str) -> None:
    annotator.open(photo)
    annotator.wait_until_still()
    count = len(annotator.shapes(photo))
    annotator.keys("w")
    click_around(annotator, 6)
    if ending == "Enter":
        annotator.keys("Enter")
    else:
        annotator.click(CENTRE[0] + RADIUS, CENTRE[1])
    annotator.expect_shapes(count + 1)
    shape = annotator.shapes(photo)[-1]
    assert shape["kind"] == "polygon"
    [ring] = shape["rings"]
    assert 12 <= len(ring) <= 400
    assert measure_distance(ring, factor) < NEAR * max(1.0, factor / 1.5)
    assert measure_area(ring) == pytest.approx(math.pi * (RADIUS * factor) ** 2, rel=0.05)


def measure_area(ring: list[list[float]]) -> float:
    x, y = np.array(ring).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def test_the_last_click_is_taken_back(annotator: Annotator) -> None:
    before = len(annotator.shapes())
    annotator.keys("w")
    click_around(annotator, 4)
    annotator.click(20, 20)  # a slip
    annotator.keys("Control+z", "Enter")
    annotator.expect_shapes(before + 1)
    assert measure_distance(annotator.shapes()[-1]["rings"][0], 1.0) < NEAR
    annotator.keys("w")
    click_around(annotator, 3)
    annotator.keys("Escape")
    annotator.page.wait_for_timeout(500)
    annotator.expect_shapes(before + 1)


def test_by_the_keyboard_alone(annotator: Annotator) -> None:
    before = len(annotator.shapes())
    annotator.keys("w")
    for key, times in (("ArrowLeft", 10), ("ArrowDown", 8), ("ArrowRight", 8)):
        annotator.keys(*[f"Shift+{key}"] * (times // 2), "Enter")
    annotator.keys("Enter")
    annotator.expect_shapes(before + 1)
