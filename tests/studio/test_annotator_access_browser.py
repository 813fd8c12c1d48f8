"""The annotator for everyone: axe-core finds no grave fault, the keyboard alone is enough, targets suit a finger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.support.studio_browser import find_grave_faults, open_chromium
from tests.support.studio_process import RunningStudio

pytest.importorskip("sqlalchemy")
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from tests.studio.annotate_support import MARK, Annotator, open_annotator, run_filled_studio  # noqa: E402

pytestmark = pytest.mark.timeout(240)
expect = sync_api.expect
expect.set_options(timeout=45_000)
TARGET = 44  # CSS pixels that a finger needs
SMALL_TARGETS = """(least) => [...document.querySelectorAll("button, a, select, summary, [role=option], input")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.classList.contains("skip-link"))
  .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([, place]) => place.width > 1 && (place.width < least - 0.5 || place.height < least - 0.5))
  .map(([one, place]) => `${one.outerHTML.slice(0, 90)}: ${Math.round(place.width)} x ${Math.round(place.height)}`)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as one:
        yield one


@pytest.fixture
def studio(tmp_path: Any) -> Iterator[RunningStudio]:
    with run_filled_studio(tmp_path, 3) as one:
        yield one


def open_tab(browser: Any, studio: RunningStudio, **options: Any) -> Annotator:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options})
    return open_annotator(context, studio)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_grave_fault(browser: Any, studio: RunningStudio, theme: str, width: int) -> None:
    annotator = open_tab(browser, studio, viewport={"width": width, "height": 800}, color_scheme=theme)
    page = annotator.page
    faults = {"empty": find_grave_faults(page)}
    annotator.drag(MARK[:2], MARK[2:])
    annotator.expect_shapes(1)
    faults["a shape"] = find_grave_faults(page)
    for key, name in (("/", "class"), ("k", "comment"), ("?", "keys")):
        annotator.keys(key)
        expect(page.get_by_role("dialog")).to_be_visible()
        faults[name] = find_grave_faults(page)
        annotator.keys("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    annotator.keys("k")
    page.keyboard.type("look here")
    annotator.keys("Control+Enter", "Enter")
    annotator.wait_for_photo(2)
    annotator.keys("a")
    annotator.wait_for_photo(1)
    page.locator(".annotate-history summary").click()
    expect(page.locator(".annotate-history li").first).to_be_visible()
    faults["done"] = find_grave_faults(page)
    with closing(studio.enter()) as client:
        client.post("/api/task", json={"task": "classification"})
    page.reload()
    annotator.wait_for_photo(1)
    faults["whole photos"] = find_grave_faults(page)
    assert {name: found for name, found in faults.items() if found} == {}


def test_the_keyboard_alone_is_enough(browser: Any, studio: RunningStudio) -> None:
    """From the gallery to a box with a class and a comment, to the buttons beside the photo, and to the next photo."""
    annotator = open_tab(browser, studio)
    page = annotator.page
    page.goto(f"{studio.url}/#/gallery")
    expect(page.get_by_role("gridcell").first).to_have_attribute("aria-label", "001.jpg")
    for _press in range(40):
        annotator.keys("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "gridcell":
            break
    annotator.keys("Enter")
    annotator.wait_for_photo(1)
    annotator.keys("b", "ArrowLeft", "Enter", *["ArrowRight"] * 6, *["ArrowDown"] * 5, "Enter", "2", "k")
    page.keyboard.type("whose is it?")
    annotator.keys("Control+Enter")
    annotator.expect_shapes(1)
    assert [shape["class"] for shape in annotator.shapes()] == [1]
    annotator.keys("Escape", "Escape")  # the selection, then the photo
    names = []
    for _press in range(60):
        annotator.keys("Tab")
        names.append(page.evaluate("document.activeElement.dataset.action ?? ''"))
        if names[-1] == "photo.skip":
            break
    assert "photo.skip" in names
    annotator.keys("Tab")
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    annotator.keys("Enter")  # the button: done
    annotator.wait_for_photo(2)
    assert annotator.read(1)["state"]["state"] == "done"


@pytest.mark.parametrize("task", ["detection", "classification"])
def test_a_finger_hits_every_target_on_a_phone(browser: Any, studio: RunningStudio, task: str) -> None:
    with closing(studio.enter()) as client:
        client.post("/api/task", json={"task": task})
    annotator = open_tab(browser, studio, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = annotator.page
    if task == "detection":
        annotator.drag(MARK[:2], MARK[2:])
        annotator.expect_shapes(1)
    assert page.evaluate(SMALL_TARGETS, TARGET) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
