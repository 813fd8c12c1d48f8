"""A studio in a process of its own, and its annotator in a real Chromium."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect
from tests.support.studio_process import RunningStudio, run_studio

Box = tuple[float, float, float, float]
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
WHEEL_STEP = 1.0015  # how much larger the photo is for each unit that the wheel turns
PATIENCE_MS = 45_000  # for machines that do much else
SIZE = (640, 480)  # width and height of a photo, upright
MARK: Box = (180, 130, 420, 330)  # a red rectangle on it
EXIF_TURNS = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}


def write_photo(path: Path, orientation: int = 1) -> None:
    """Write a photo with a red rectangle at ``MARK`` of the upright picture, stored turned as ``orientation`` says."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8)
    left, top, right, bottom = map(int, MARK)
    pixels[top:bottom, left:right] = (230, 0, 0)
    picture = Image.fromarray(pixels)
    for turn in EXIF_TURNS[orientation]:
        picture = picture.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif, quality=95, subsampling=0)


@dataclass
class Annotator:
    """The annotator's page in one tab; points are in pixels of the upright photo.

    Photos are counted from 1 on; ``first`` is the id of photo 1. ``size`` is that of the photo that is shown.
    """

    page: Page
    studio: RunningStudio
    first: int = 1
    size: tuple[int, int] = SIZE

    def open(self, photo: int = 1) -> None:
        self.page.goto(f"{self.studio.address}#/photo/{self.first + photo - 1}")
        self.wait_for_photo(photo)

    def wait_for_photo(self, photo: int) -> None:
        shown = self.page.locator(f'.annotate-frame[data-photo="{self.first + photo - 1}"] img')
        expect(shown).to_be_visible(timeout=PATIENCE_MS)

    def edit(self, kind: str, target: str, before: Any, after: Any) -> dict[str, Any]:
        """Make an edit beside the page, as another one would; return its outcome."""
        with closing(self.studio.enter()) as client:
            return save(client, kind, target, before, after)

    def read(self, photo: int = 1) -> dict[str, Any]:
        """Return what the server has of a photo, once the page has nothing more to save."""
        self.settle()  # what the mouse did has reached the queue by then
        expect(self.page.locator('.annotate[data-saved="saved"]')).to_be_attached(timeout=PATIENCE_MS)
        answer = self.page.request.get(f"{self.studio.url}/api/photos/{self.first + photo - 1}")
        assert answer.ok, answer.text()
        return dict(answer.json())

    def settle(self) -> None:
        """Wait until what was done is drawn."""
        self.page.evaluate(TWO_FRAMES)

    def zoom(self, factor: float, around: Box) -> None:
        """Turn the wheel over the middle of a box."""
        self.page.mouse.move(*self.place((around[0] + around[2]) / 2, (around[1] + around[3]) / 2))
        self.page.mouse.wheel(0, -math.log(factor) / math.log(WHEEL_STEP))
        self.wait_until_still()

    def expect_unsaved(self) -> None:
        expect(self.page.locator('.annotate[data-saved="failed"]')).to_be_attached(timeout=PATIENCE_MS)

    def shapes(self, photo: int = 1) -> list[dict[str, Any]]:
        return [shape["state"] for shape in self.read(photo)["shapes"]]

    def boxes(self, photo: int = 1) -> list[Box]:
        return [tuple(shape["box"]) for shape in self.shapes(photo)]

    def picture(self) -> Box:
        """Return where the photo lies in the window: left, top, width and height."""
        found = self.page.locator(".annotate-picture").bounding_box()
        assert found
        return found["x"], found["y"], found["width"], found["height"]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the photo is in the window."""
        left, top, width, height = self.picture()
        return left + x * width / self.size[0], top + y * height / self.size[1]

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.place(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.press(start, end)
        self.page.mouse.up()

    def press(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Begin a drag, and do not end it."""
        self.page.mouse.move(*self.place(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.place(*end), steps=4)

    def drag_around_mark(self) -> None:
        left, top, right, bottom = self.find_mark()
        self.page.mouse.move(left, top)
        self.page.mouse.down()
        self.page.mouse.move(right, bottom, steps=3)
        self.page.mouse.up()

    def keys(self, *names: str) -> None:
        for name in names:
            self.page.keyboard.press(name)

    def expect_shapes(self, count: int) -> None:
        expect(self.page.locator(".annotate-shapes [role=option]")).to_have_count(count)

    def wait_until_still(self) -> None:
        """Wait until nothing around the photo changes its size any more."""
        before, now = None, self.picture()
        while now != before:
            self.page.wait_for_timeout(150)
            before, now = now, self.picture()

    def find_mark(self) -> Box:
        """Return where the red rectangle is seen in the window: left, top, right and bottom."""
        self.wait_until_still()
        frame = self.page.locator(".annotate-frame")
        place = frame.bounding_box()
        assert place
        pixels = cv2.imdecode(np.frombuffer(frame.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        is_red = _is_red(pixels)
        across, down = np.flatnonzero(is_red.any(axis=0)), np.flatnonzero(is_red.any(axis=1))
        left, top = place["x"], place["y"]
        return left + int(across[0]), top + int(down[0]), left + int(across[-1]) + 1, top + int(down[-1]) + 1


class HeldEdits:
    """Requests to save edits, which reach the server only once they are let go."""

    def __init__(self, annotator: Annotator) -> None:
        self._routes: list[Any] = []
        self._is_open = False
        annotator.page.route("**/api/edits", self._take)

    def _take(self, route: Any) -> None:
        if self._is_open:
            route.continue_()
        else:
            self._routes.append(route)

    def let_go(self) -> None:
        self._is_open = True
        for route in self._routes:
            route.continue_()


def _is_red(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    blue, green, red = (pixels[:, :, channel].astype(int) for channel in range(3))
    # The grey around it is (200, 200, 200): halfway to red is where green and blue are 100.
    return np.asarray((red > 150) & (green < 100) & (blue < 100))


def save(client: httpx.Client, kind: str, target: str, before: Any, after: Any) -> dict[str, Any]:
    """Make an edit; return its outcome."""
    edit = {"key": str(uuid.uuid4()), "target": {"kind": kind, "id": target}, "before": before, "after": after}
    answer = client.post("/api/edits", json={"session": "test", "edits": [edit]})
    assert answer.status_code == 200, answer.text
    [outcome] = answer.json()["outcomes"]
    assert outcome["status"] == "saved", outcome
    return dict(outcome)


def add_classes(studio: RunningStudio, *names: str) -> None:
    """Add classes with the ids 0, 1 and so on, and the keys 1, 2 and so on."""
    with closing(studio.enter()) as client:
        for place, name in enumerate(names):
            state = {"name": name, "colour": "#0072b2", "key": str(place + 1), "alive": True, "position": place}
            save(client, "class", "", None, {**state, "merged_into": None})


@contextmanager
def run_filled_studio(folder: Path, count: int) -> Iterator[RunningStudio]:
    """Yield a studio with photos, the first eight turned in all ways, and the classes helmet and head."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for number in range(1, count + 1):
        write_photo(photos / f"{number:03}.jpg", number if number in EXIF_TURNS else 1)
    with run_studio(folder / "project", "--photos", photos) as studio:
        add_classes(studio, "helmet", "head")
        yield studio


def open_annotator(context: BrowserContext, studio: RunningStudio, first: int = 1) -> Annotator:
    """Return the annotator in a new tab, at the photo with the id ``first``."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    annotator = Annotator(page, studio, first)
    annotator.open()
    return annotator
