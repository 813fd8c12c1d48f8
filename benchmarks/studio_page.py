"""The studio's page in Chromium with 50,000 photos: first page, jumps in the gallery, next photo, late frames."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from tests.support.studio_browser import open_chromium
from tests.support.studio_process import RunningStudio, run_studio

from benchmarks.studio import make_project
from lince import images
from lince.studio.store.project import Project
from lince.studio.store.schema import photos, shapes
from lince.studio.store.states import to_shape_row

PHOTOS, LARGE, SHAPES = 50_000, 12, 350  # photos, those of 12 megapixels, boxes on each of these
LARGE_SIZE, SMALL_SIZE = (4000, 3000), (640, 480)  # width and height in pixels
KINDS = 40  # different pictures
JUMPS, MOVES = 10, 150
FIRST_MS, JUMP_MS, NEXT_MS, LATE_SHARE = 2000.0, 300.0, 150.0, 0.02
LATE_FRAME_MS = 20.0  # of 16.7
SHOWN = """() => {
  const frame = document.querySelector(".scroller")?.getBoundingClientRect();
  const cells = [...document.querySelectorAll("[role=gridcell]")].filter((cell) => {
    const { top, bottom } = cell.getBoundingClientRect();
    return bottom > frame.top && top < frame.bottom;
  });
  const isThere = (cell) => { const one = cell.querySelector("img"); return one?.complete && one.naturalWidth > 0; };
  return cells.length > 0 && cells.every(isThere);
}"""
JUMP = f"""(part) => new Promise((done) => {{
  const isShown = {SHOWN};
  const scroller = document.querySelector(".scroller");
  const begin = performance.now();
  scroller.scrollTop = part * scroller.scrollHeight;
  const look = () => (isShown() ? done(performance.now() - begin) : setTimeout(look, 4));
  requestAnimationFrame(look);
}})"""
WATCH_FRAMES = """() => {
  window.frames_seen = [];
  window.is_watching = true;
  const look = (at) => { window.frames_seen.push(at); if (window.is_watching) requestAnimationFrame(look); };
  requestAnimationFrame(look);
}"""
TAKE_FRAMES = "() => { window.is_watching = false; return window.frames_seen; }"
NEXT = """() => new Promise((done) => {
  const frame = document.querySelector(".annotate-frame");
  const before = frame.querySelector("img").src;
  const begin = performance.now();
  frame.dispatchEvent(new KeyboardEvent("keydown", { key: "d", code: "KeyD", bubbles: true }));
  const isOther = () => [...frame.querySelectorAll("img")].some((one) => one.src !== before && one.complete);
  // The second frame begins once the first one with the picture was drawn.
  const look = () => requestAnimationFrame(() => isOther()
    ? requestAnimationFrame(() => done(performance.now() - begin)) : look());
  look();
})"""


def run() -> None:
    """Print the figures beside their limits; exit code 1 when one is beyond its limit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder / "project", PHOTOS)
        place_pictures(folder)
        with run_studio(folder / "project") as studio, open_chromium() as browser:
            is_good = measure_page(browser, studio)
    if not is_good:
        raise SystemExit(1)


def place_pictures(folder: Path) -> None:
    """Give every photo a file: links to a few pictures; the first photos are large, with many boxes."""
    store = folder / "pictures"
    store.mkdir()
    rng = np.random.default_rng(0)
    for kind in range(KINDS):
        width, height = LARGE_SIZE if kind < LARGE else SMALL_SIZE
        coarse = rng.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3)).astype(np.uint8)
        picture = np.kron(coarse, np.ones((40, 40, 1), np.uint8))[:height, :width]
        (store / f"{kind}.jpg").write_bytes(images.encode_jpeg(np.ascontiguousarray(picture), 85))
    with Project(folder / "project") as project:
        project.photo_folder.mkdir(parents=True, exist_ok=True)
        for number in range(PHOTOS):
            kind = number if number < LARGE else LARGE + number % (KINDS - LARGE)
            (project.photo_folder / f"{number}.jpg").symlink_to(store / f"{kind}.jpg")
        size = {"width": LARGE_SIZE[0], "height": LARGE_SIZE[1], "shapes": SHAPES}
        project.write(lambda to: to.execute(sa.update(photos).where(photos.c.id <= LARGE).values(size)))
        project.write(lambda to: to.execute(sa.delete(shapes).where(shapes.c.photo_id <= LARGE)))
        rows = [
            to_shape_row(f"{photo:04d}-{place:04d}", make_state(photo, place))
            for photo in range(1, LARGE + 1)
            for place in range(SHAPES)
        ]
        project.write(lambda to: to.execute(sa.insert(shapes), rows))


def make_state(photo: int, place: int) -> dict[str, Any]:
    """Return a box in a grid of 25 by 14 on a large photo."""
    left, top = 20 + 158 * (place % 25), 20 + 210 * (place // 25)
    fields = {"rings": [], "mask": "", "flags": 0, "source": "person", "model": "", "score": None, "z": place}
    return {"photo": photo, "class": place % 2, "kind": "box", "box": [left, top, left + 120, top + 160], **fields}


def measure_page(browser: Any, studio: RunningStudio) -> bool:
    """Print what a person sees; return whether all is within the limits."""
    with open_tab(browser, studio) as page:
        results = [
            tell(
                "first page, to the last thumbnail in sight",
                [load_gallery(page, studio) for _number in range(3)],
                FIRST_MS,
            ),
            tell("jump in the gallery, to the last thumbnail", jump(page), JUMP_MS),
        ]
        page.goto(f"{studio.url}/#/photo/1")
        page.locator(".annotate-frame[data-photo='1'] img").wait_for()
        page.wait_for_timeout(1500)
        results.append(tell("next photo of 12 megapixels with 350 boxes", go_on(page), NEXT_MS))
        page.goto(f"{studio.url}/#/photo/1")
        page.locator(".annotate-frame[data-photo='1'] img").wait_for()
        page.wait_for_timeout(1500)
        for is_hidden in (False, True):
            what = "no boxes shown" if is_hidden else f"{SHAPES} boxes"
            for name, start in (("drawing a box", draw), ("moving a box", take_box), ("panning", take_photo)):
                share = watch_drag(page, start)
                print(
                    f"late frames while {name}, {what}: {100 * share:.1f} %"
                    + ("" if is_hidden else f" (limit {100 * LATE_SHARE:.0f} %)")
                )
                results.append(is_hidden or share < LATE_SHARE)
            page.keyboard.press("h")
    return all(results)


@contextmanager
def open_tab(browser: Any, studio: RunningStudio) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(studio.address)
    yield page
    context.close()


def load_gallery(page: Any, studio: RunningStudio) -> float:
    """Return the milliseconds from the request of the page until all thumbnails in sight are there."""
    page.goto("about:blank")
    begin = time.perf_counter()
    page.goto(f"{studio.url}/#/gallery", wait_until="commit")
    while not page.evaluate(f"() => document.querySelector('.scroller') ? ({SHOWN})() : false"):
        time.sleep(0.005)
    return 1000 * (time.perf_counter() - begin)


def jump(page: Any) -> list[float]:
    return [float(page.evaluate(JUMP, (number + 0.5) / (JUMPS + 1))) for number in range(JUMPS)]


def go_on(page: Any) -> list[float]:
    """Return the milliseconds from the key to the next photo, at the pace of somebody who looks at each."""
    times = []
    for _number in range(LARGE - 3):
        times.append(float(page.evaluate(NEXT)))
        page.wait_for_timeout(1500)
    return times


def draw(page: Any) -> None:
    page.mouse.down()


def take_box(page: Any) -> None:
    page.keyboard.press("v")
    page.mouse.down()


def take_photo(page: Any) -> None:
    page.mouse.down(button="middle")


def watch_drag(page: Any, start: Callable[[Any], None]) -> float:
    """Return the share of late frames while the pointer draws a box, moves one, or moves the photo."""
    picture = page.locator(".annotate-picture").bounding_box()
    x, y, right, bottom = make_state(1, 108)["box"]
    scale = picture["width"] / LARGE_SIZE[0]
    left, top = picture["x"] + scale * (x + right) / 2, picture["y"] + scale * (y + bottom) / 2
    page.keyboard.press("b")
    page.mouse.move(left, top)
    start(page)
    page.wait_for_timeout(300)
    page.evaluate(WATCH_FRAMES)
    for number in range(MOVES):
        page.mouse.move(left + 200 * number / MOVES, top + 120 * np.sin(number / 10))
    seen = np.diff(page.evaluate(TAKE_FRAMES))
    page.keyboard.press("Escape")
    page.mouse.up()
    page.mouse.up(button="middle")
    page.keyboard.press("0")
    return float((seen > LATE_FRAME_MS).mean())


def tell(what: str, times: list[float], limit: float) -> bool:
    """Print the median and the longest of some times in milliseconds; return whether the median is within ``limit``."""
    median, longest = statistics.median(times), max(times)
    print(f"{what}: median {median:.0f} ms, longest {longest:.0f} ms (limit {limit:.0f} ms)")
    return median <= limit
