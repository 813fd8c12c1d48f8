"""Pages in Chromium: pictures enlarge, cells open, tables scroll with a cue, and axe finds no serious fault."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import report_pages
from tests.support.browser import CHROMIUM, Page, browser

from lince.i18n import use_language

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
OPEN = "[...document.querySelectorAll(':popover-open')].map(e => e.id)"
KINDS = ("classification", "detection", "segmentation", "comparison", "check", "many classes")


def render(kind: str, folder: Path) -> str:
    """Return one of the pages."""
    if kind == "check":
        return report_pages.check(folder / "photos")
    if kind == "many classes":
        return report_pages.classification(tuple(f"class number {i}" for i in range(100)))
    return str(getattr(report_pages, kind)())


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def opened(page: Page, folder: Path, kind: str, language: str = "en") -> None:
    path = folder / "página.html"
    with use_language(language):
        path.write_text(render(kind, folder), "utf-8")
    page.console.clear()
    page.open(path.as_uri())


@pytest.mark.parametrize("kind", ["classification", "detection", "segmentation", "check"])
def test_pictures_enlarge_by_mouse_and_keyboard_and_close_with_escape(shown, awkward, kind):
    shown.window(1000, 800)
    opened(shown, awkward, kind)
    width = shown.place(".pictures .open img")[2]
    shown.click(".pictures .open")
    (name,) = shown.run(OPEN)
    assert shown.place(".zoom:popover-open img")[2] > width
    shown.key("Escape")
    assert shown.run(OPEN) == []
    shown.run("document.querySelector('.pictures .open').focus()")
    shown.key("Enter", "\r")
    assert shown.run(OPEN) == [name]
    shown.click(".zoom:popover-open .open")
    assert shown.run(OPEN) == []
    assert shown.console == []


@pytest.mark.parametrize("kind", ["classification", "detection"])
def test_a_cell_of_the_matrix_opens_its_own_photos(shown, awkward, kind):
    shown.window(1000, 800)
    opened(shown, awkward, kind)
    for number in (0, 1):
        target = shown.run(f"document.querySelectorAll('.matrix .cell')[{number}].getAttribute('popovertarget')")
        count = shown.run(f"parseInt(document.querySelectorAll('.matrix .cell')[{number}].firstChild.textContent)")
        shown.run(f"document.querySelectorAll('.matrix .cell')[{number}].click()")
        assert shown.run(OPEN) == [target]
        row, column = target.removeprefix("cell-").split("-")
        text = shown.run(f"document.getElementById('{target}').innerText")
        assert f"test/{row}_{column}.jpg" in text
        assert (f"1 of {count} are shown." if count > 1 else "All 1 are shown.") in text
        shown.click(":popover-open .pictures .open")  # a picture inside enlarges, and Esc closes one after the other
        assert len(shown.run(OPEN)) == 2
        shown.key("Escape")
        assert shown.run(OPEN) == [target]
        shown.key("Escape")
        assert shown.run(OPEN) == []


@pytest.mark.parametrize("kind", KINDS)
def test_pages_fit_a_telephone_and_what_is_wider_scrolls_with_a_cue(shown, awkward, kind):
    shown.window(390, 800)
    opened(shown, awkward, kind)
    assert shown.run("document.documentElement.scrollWidth") <= 390
    wide = shown.run(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => "
        "[...document.querySelectorAll('.scroller')].map(e => [e.querySelector('.scroll'), e.querySelector('.more')])"
        ".filter(([box]) => !box.closest('details:not([open])'))"
        ".map(([box, more]) => [box.scrollWidth > box.clientWidth + 1, getComputedStyle(more).visibility,"
        " box.scrollWidth, box.clientWidth]))"
    )
    assert [cue == ("visible" if is_wide else "hidden") for is_wide, cue, *_sizes in wide] == [True] * len(wide), wide
    if kind in ("classification", "detection"):
        assert any(is_wide for is_wide, *_rest in wide)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "es", "pt"])
@pytest.mark.parametrize("kind", KINDS[:-1])
def test_axe_finds_no_serious_fault(shown, awkward, kind, language):
    package = importlib.util.find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("no axe-core-python here: pip install axe-core-python")
    script = Path(package.origin).with_name("axe.min.js").read_text("utf-8")
    for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
        shown.window(width, 800, dark)
        opened(shown, awkward, kind, language)
        shown.run("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert faults(shown, script) == []
        if shown.run("document.querySelector('.matrix .cell') !== null"):
            shown.run("document.querySelector('.matrix .cell').click()")
            assert faults(shown, script) == []
            shown.key("Escape")


def test_axe_would_find_a_fault(shown, awkward):
    package = importlib.util.find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("no axe-core-python here: pip install axe-core-python")
    path = awkward / "bad.html"
    path.write_text("<!doctype html><html lang=en><title>x</title><img src='data:,'><button></button>", "utf-8")
    shown.open(path.as_uri())
    found = faults(shown, Path(package.origin).with_name("axe.min.js").read_text("utf-8"))
    assert {name for name, _nodes in found} >= {"image-alt", "button-name"}


def faults(page: Page, script: str) -> list[tuple[str, list[str]]]:
    """Return the serious and critical faults that axe finds on the page, each with the elements."""
    page.run(script + "; 0")
    found = page.run(
        "axe.run().then(all => all.violations.filter(one => ['serious', 'critical'].includes(one.impact))"
        ".map(one => [one.id, one.nodes.slice(0, 6).map(node => node.html.slice(0, 200) + node.failureSummary)]))"
    )
    return [(name, nodes) for name, nodes in found]
