"""How many acts a label costs, counted by the browser's own events: presses of keys and of the pointer.

Beside them stand those of makesense.ai, read from its source and its table of keys (github.com/SkalskiP/make-sense:
RectRenderEngine, RectLabelsList, README): a new box gets the class that was chosen last; another one is chosen in the
menu of the box in the list beside the photo, which is opened and then clicked, or, in later versions, by Ctrl and a
digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.studio_browser import open_chromium
from tests.support.studio_process import RunningStudio

pytest.importorskip("sqlalchemy")
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from tests.studio.annotate_support import MARK, Annotator, open_annotator, run_filled_studio  # noqa: E402  # after the skips

pytestmark = pytest.mark.timeout(180)
expect = sync_api.expect
PHOTOS = 6
MAKESENSE_SAME_CLASS = 1  # a drag
MAKESENSE_OTHER_CLASS, MAKESENSE_BY_KEY = 3, 2  # a drag, the menu, a choice; a drag, a digit with Ctrl
COUNT_ACTS = """() => {
  window.acts = { keys: 0, presses: 0 };
  const isModifier = (event) => ["Shift", "Control", "Alt", "Meta"].includes(event.key);
  addEventListener("keydown", (event) => (window.acts.keys += event.isTrusted && !isModifier(event)), true);
  addEventListener("pointerdown", (event) => (window.acts.presses += event.isTrusted), true);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as one:
        yield one


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with run_filled_studio(tmp_path, PHOTOS) as one:
        yield one


@pytest.fixture
def annotator(browser: Any, studio: RunningStudio) -> Iterator[Annotator]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    one = open_annotator(context, studio)
    one.page.evaluate(COUNT_ACTS)
    yield one
    context.close()


def take_acts(annotator: Annotator) -> tuple[int, int]:
    """Return how many keys and how many pointers were pressed since the last time."""
    counts = annotator.page.evaluate(
        "() => { const now = window.acts; window.acts = { keys: 0, presses: 0 }; return now; }"
    )
    return counts["keys"], counts["presses"]


def test_a_box_with_its_class_is_one_drag(annotator: Annotator) -> None:
    for count in range(1, 4):  # one after the other, with nothing in between
        annotator.drag((20 + 60 * count, 20), (60 + 60 * count, 90))
        annotator.expect_shapes(count)
    acts = take_acts(annotator)
    assert acts == (0, 3)
    assert sum(acts) / 3 <= MAKESENSE_SAME_CLASS
    assert [shape["class"] for shape in annotator.shapes()] == [0, 0, 0]


def test_another_class_is_one_key_after_the_drag_and_two_later(annotator: Annotator) -> None:
    annotator.drag(MARK[:2], MARK[2:])
    annotator.expect_shapes(1)
    annotator.keys("2")  # it is selected still
    assert [shape["class"] for shape in annotator.shapes()] == [1]
    acts = take_acts(annotator)
    assert acts == (1, 1)
    assert sum(acts) <= MAKESENSE_BY_KEY < MAKESENSE_OTHER_CLASS
    annotator.keys("Escape")
    take_acts(annotator)
    annotator.keys("Tab", "1")
    assert [shape["class"] for shape in annotator.shapes()] == [0]
    assert take_acts(annotator) == (2, 0)


def test_the_next_photo_with_all_boxes_of_this_one_is_two_keys(annotator: Annotator) -> None:
    annotator.drag(MARK[:2], MARK[2:])
    annotator.expect_shapes(1)
    take_acts(annotator)
    annotator.keys("Enter")
    annotator.wait_for_photo(2)
    annotator.keys("Shift+V")
    annotator.expect_shapes(1)
    assert annotator.boxes(2) == annotator.boxes(1)
    assert take_acts(annotator) == (2, 0)


def test_whole_photos_are_one_key_each(annotator: Annotator, studio: RunningStudio) -> None:
    page = annotator.page
    with closing(studio.enter()) as client:
        client.post("/api/task", json={"task": "classification"})
    page.reload()
    annotator.wait_for_photo(1)
    page.get_by_role("checkbox", name="Go on once a class is chosen").check()
    page.evaluate(COUNT_ACTS)
    classes = [0, 1, 1, 0, 1]
    for number, class_id in enumerate(classes, 1):
        annotator.wait_for_photo(number)
        annotator.keys(str(class_id + 1))
    annotator.wait_for_photo(len(classes) + 1)
    assert take_acts(annotator) == (len(classes), 0)
    states = [annotator.read(number)["state"] for number in range(1, len(classes) + 1)]
    assert [(state["classes"], state["state"]) for state in states] == [([one], "done") for one in classes]


def test_in_the_gallery_whole_photos_are_one_key_each_too(annotator: Annotator, studio: RunningStudio) -> None:
    page = annotator.page
    with closing(studio.enter()) as client:
        client.post("/api/task", json={"task": "classification"})
    page.goto(f"{studio.url}/#/gallery")
    page.reload()
    page.get_by_role("gridcell").first.focus()
    page.evaluate(COUNT_ACTS)
    classes = [1, 0, 0, 1]
    for class_id in classes:
        page.keyboard.press(str(class_id + 1))
    expect(page.get_by_text("saved", exact=True)).to_be_visible()
    assert take_acts(annotator) == (len(classes), 0)
    found = [page.request.get(f"{studio.url}/api/photos/{one}").json()["state"]["classes"] for one in range(1, 5)]
    assert found == [[one] for one in classes]
