"""Try page for segmentation models in Chromium: classes as colours over the photo, a slider, and corrections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_segmenter
from tests.support.browser import CHROMIUM, Page, browser
from tests.support.server_process import Running, server

import lince
from lince import images
from lince.class_maps import draw_class_map

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
SAID = "document.getElementById('summary').textContent"
SAVED = "document.getElementById('correction-status').textContent.startsWith('Saved')"
PHOTO = tiny_segmenter.photo(("red", 20, 20, 100, 80), ("blue", 120, 60, 180, 110), height=120, width=200)
GREEN = (0, 114, 178)  # of the second class of three
RED = (0, 148, 105)  # of the third


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("niño ç")
    tiny_segmenter.model_folder(folder / "areas")
    (folder / "both.png").write_bytes(images.encode_png(PHOTO))
    (folder / "none.png").write_bytes(images.encode_png(tiny_segmenter.photo()))
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Running]:
    with server(folder / "areas", "--corrections", folder / "kept") as one:
        yield one


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(shown: Page, running: Running, folder: Path) -> Iterator[Page]:
    """Return the page with the photo of two areas; at the end, require an empty console."""
    shown.window(1100, 850)
    shown.console.clear()
    shown.open(running.url + "/?lang=en")
    shown.until("document.querySelector('#facts tr') !== null")
    shown.choose("#file", folder / "both.png")
    shown.until(f"{SAID}.startsWith('red · ')")
    yield shown
    assert shown.console == []


def read_pixel(page: Page, x: int, y: int) -> tuple[int, ...]:
    """Return red, green and blue of the picture at a place of the photo."""
    script = f"""(() => {{const c = document.getElementById('picture');
        const at = [Math.round({x + 0.5} * c.width / 200), Math.round({y + 0.5} * c.height / 120)];
        const copy = document.createElement('canvas').getContext('2d', {{willReadFrequently: true}});
        copy.drawImage(c, ...at, 1, 1, 0, 0, 1, 1);
        return [...copy.getImageData(0, 0, 1, 1).data]}})()"""
    return tuple(page.run(script)[:3])


def set_range(page: Page, name: str, value: float) -> None:
    page.run(
        f"(() => {{const e = document.getElementById('{name}'); e.value = {value};"
        "e.dispatchEvent(new Event('input'))})()"
    )


def wait_for_colour(page: Page, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """Wait until the picture has ``colour`` at a place of the photo."""
    set_range(page, "opacity", 1)
    for _try in range(100):
        if read_pixel(page, x, y) == colour:
            return
        page.run("new Promise((done) => setTimeout(done, 30))")
    assert read_pixel(page, x, y) == colour


def test_classes_are_colours_whose_opacity_a_slider_sets(page: Page) -> None:
    wait_for_colour(page, 60, 50, RED)
    assert max(read_pixel(page, 110, 15)) < 60
    set_range(page, "opacity", 0)
    assert read_pixel(page, 60, 50)[0] > 180
    assert page.run("document.getElementById('opacity-value').textContent") == "0%"
    names = page.run("[...document.querySelectorAll('#area-shares .name')].map(e => e.textContent)")
    assert names == ["red", "blue", "background"]


def test_a_photo_of_background_is_told_so(page: Page, folder: Path) -> None:
    page.choose("#file", folder / "none.png")
    page.until(f"{SAID} === 'background only'")


def read_kept(folder: Path, photo: Path) -> np.ndarray:
    data = lince.open(folder / "kept")
    (row,) = (row for row in range(len(data)) if data.images.read_bytes(row) == photo.read_bytes())
    return draw_class_map(data.objects, row, data.images.read_size(row))


def test_an_area_gets_another_class_and_is_painted_over(page: Page, folder: Path) -> None:
    found = lince.load(folder / "areas").predict(folder / "both.png").class_map
    page.run("document.getElementById('correction').open = true")
    page.until("document.querySelectorAll('#area-list select').length === 2")
    page.fill("#area-list li:first-child select", "2")  # red is really green
    wait_for_colour(page, 60, 50, GREEN)
    page.click("#save-correction")
    page.until(SAVED)
    kept = read_kept(folder, folder / "both.png")
    np.testing.assert_array_equal(kept, np.where(found == 3, 2, found))

    page.run("document.getElementById('correction-status').textContent = ''")
    page.click("#paint")
    page.fill("#paint-class", "0")
    page.stroke("#picture", [(0.2, 0.5), (0.4, 0.5)])
    assert max(read_pixel(page, 60, 60)) > 180  # the photo shows again
    page.click("#save-correction")
    page.until(SAVED)
    painted = read_kept(folder, folder / "both.png")
    assert not painted[58:62, 45:75].any()
    assert (painted != kept).mean() < 0.1
    page.click("#paint-undo")
    wait_for_colour(page, 60, 60, GREEN)


@pytest.mark.parametrize("code", ["es", "pt"])
def test_the_page_fits_a_small_screen(shown: Page, running: Running, folder: Path, code: str) -> None:
    shown.window(360, 780, dots=2)
    shown.open(f"{running.url}/?lang={code}")
    shown.until("document.querySelector('#facts tr') !== null")
    shown.choose("#file", folder / "both.png")
    shown.until("!document.body.classList.contains('waiting') && !document.getElementById('correction').hidden")
    shown.run("document.getElementById('correction').open = true")
    shown.until("document.querySelectorAll('#area-list select').length === 2")
    shown.click("#paint")
    assert shown.run("document.documentElement.scrollWidth") <= 360
