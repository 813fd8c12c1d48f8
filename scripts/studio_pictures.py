"""Draw anew the pictures of the studio in docs/pictures: the built-in sample, labelled, in each language.

Needs Chromium, Playwright and Pillow (the extra ``dev`` and Debian's chromium). Nothing of anybody's photos is in them.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from lince.i18n import LANGUAGES, _, use_language

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIZE = {"width": 1280, "height": 720}
QUALITY = 80
SHOWN, DONE = 5, 4  # the photo that is shown, and how many are done
LEAST_AREA = 500  # pixels of a drawn shape
ROUND, SQUARE = 0.7, 0.9  # shares of its box that a shape covers: below, a triangle; above, a square


def main() -> int:
    """Write ``studio-annotate-LANGUAGE.webp`` and ``studio-gallery-LANGUAGE.webp``."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed.", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as name,
        run_studio(Path(name) / "figuras") as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(address)
        url = address.partition("/?")[0]
        label_sample(page.request, url)
        for language in LANGUAGES:
            take_pictures(page, url, language)
        browser.close()
    return 0


@contextmanager
def run_studio(folder: Path) -> Iterator[str]:
    """Yield the address of a studio for a new project."""
    command = [sys.executable, "-m", "lince", "studio", str(folder), "--json", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline() if process.stdout else "{}")["address"]
        finally:
            process.terminate()


def label_sample(request: Any, url: str) -> None:
    """Add the sample of drawn shapes, put boxes on the first photos, and say that they are done."""
    post(request, f"{url}/api/photos/sample", {"key": str(uuid.uuid4()), "session": "pictures", "task": "detection"})
    for photo in range(1, SHOWN + 1):
        picture = np.frombuffer(request.get(f"{url}/image/{photo}").body(), np.uint8)
        boxes = list(find_shapes(cv2.imdecode(picture, cv2.IMREAD_COLOR)))
        for place, (class_id, box) in enumerate(boxes[: None if photo < SHOWN else -1]):
            state = {"photo": photo, "class": class_id, "kind": "box", "box": box, "z": place}
            save(request, url, {"kind": "shape", "id": str(uuid.uuid4())}, None, state)
        if photo <= DONE:
            now = request.get(f"{url}/api/photos/{photo}").json()["state"]
            save(request, url, {"kind": "photo", "id": str(photo)}, now, {**now, "state": "done"})


def find_shapes(scene: Any) -> Iterator[tuple[int, list[float]]]:
    """Yield class id and box of each drawn shape: circles, squares and triangles on an even ground."""
    ground = np.median(scene.reshape(-1, 3), axis=0)
    is_shape = np.abs(cv2.GaussianBlur(scene, (5, 5), 0) - ground).max(axis=2) > 25
    found = cv2.connectedComponentsWithStats(is_shape.astype(np.uint8))[2][1:]
    for left, top, width, height, area in found.tolist():
        if area >= LEAST_AREA:
            share = area / (width * height)
            yield (1 if share > SQUARE else 0 if share > ROUND else 2), [left, top, left + width, top + height]


def save(request: Any, url: str, target: dict[str, str], before: Any, after: Any) -> None:
    """Make an edit as the page does."""
    edit = {"key": str(uuid.uuid4()), "target": target, "before": before, "after": after}
    post(request, f"{url}/api/edits", {"session": "pictures", "edits": [edit]})


def name_classes(request: Any, url: str, names: tuple[str, ...]) -> None:
    """Give the classes other names."""
    for one, name in zip(request.get(f"{url}/api/project").json()["classes"], names, strict=True):
        kept = {field: one[field] for field in ("name", "colour", "key", "position")}
        before = {**kept, "alive": True, "merged_into": None}
        if name != one["name"]:
            save(request, url, {"kind": "class", "id": str(one["id"])}, before, {**before, "name": name})


def post(request: Any, address: str, body: dict[str, Any]) -> None:
    """Send ``body``; raise where the studio does not take it."""
    answer = request.post(address, data=body)
    if not answer.ok or any(one["status"] != "saved" for one in answer.json().get("outcomes", ())):
        raise RuntimeError(f"{address}: {answer.text()}")


def take_pictures(page: Any, url: str, language: str) -> None:
    """Write the pictures of both pages in a language."""
    with use_language(language):
        name_classes(page.request, url, (_("circle"), _("square"), _("triangle")))
    page.goto(f"{url}/#/gallery")
    page.evaluate("(code) => localStorage.setItem('lince-language', code)", language)
    page.evaluate("() => localStorage.setItem('lince-tour-seen', '1')")
    page.reload()
    page.locator("[role=gridcell] img").nth(SHOWN).wait_for()
    page.wait_for_timeout(1000)
    write_picture(page, f"studio-gallery-{language}")
    page.goto(f"{url}/#/photo/{SHOWN}")
    page.locator(".annotate-shapes [role=option]").first.click()
    page.wait_for_timeout(1000)
    write_picture(page, f"studio-annotate-{language}")


def write_picture(page: Any, name: str) -> None:
    """Write what the window shows."""
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(FOLDER / f"{name}.webp", quality=QUALITY, method=6)
    print(f"Written: {FOLDER / name}.webp")


if __name__ == "__main__":
    raise SystemExit(main())
