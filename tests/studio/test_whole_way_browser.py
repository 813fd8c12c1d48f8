"""From a first start to a trained model: photos, classes, boxes by mouse and by keyboard alone, undo, a closed tab,
exports that hold what was drawn, and ``lince train`` on the project."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.studio_browser import open_chromium
from tests.support.studio_process import ROOT, RunningStudio, run_studio

pytest.importorskip("sqlalchemy")
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from tests.studio.annotate_support import MARK, SIZE, Annotator, Box, write_photo  # noqa: E402  # after the skips

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
expect = sync_api.expect
expect.set_options(timeout=45_000)
CLASSES = ("raccoon", "upper half")
ZOOMS = (1.3, 0.7, 1.0)
COUNT, BY_MOUSE = 20, 15  # photos, and those whose boxes are drawn by mouse; two boxes on each
NEAR = 0.5  # pixels between what was drawn and what is exported
CROSSHAIR = """() => {
  const frame = document.querySelector(".annotate-frame").getBoundingClientRect();
  const [across, down] = document.querySelectorAll(".annotate-cross-keys");
  return [frame.left + Number(down.getAttribute("x1")), frame.top + Number(across.getAttribute("y1"))];
}"""


@dataclass(frozen=True)
class Sample:
    """A photo, its width and height, and a thing on it."""

    path: Path
    size: tuple[int, int]
    box: Box

    @property
    def boxes(self) -> tuple[Box, Box]:
        """The box of the thing, and that of its upper half."""
        left, top, right, bottom = self.box
        return self.box, (left, top, right, (top + bottom) // 2)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as one:
        yield one


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Twenty photos: of raccoons where they are at hand, else made ones, turned in all ways."""
    folder = ROOT.parent / "shared" / "data" / "raccoon"
    if folder.is_dir():
        return list(read_raccoons(folder))[:COUNT]
    made = [tmp_path / f"foto {number:02d}.jpg" for number in range(COUNT)]
    for number, path in enumerate(made):
        write_photo(path, 1 + number % 8)
    return [Sample(path, SIZE, MARK) for path in made]


def read_raccoons(folder: Path) -> Iterator[Sample]:
    """Yield photos with one raccoon; two of them are the same file, which a project takes once."""
    seen = set()
    for path in sorted((folder / "images").glob("*.jpg")):
        root = ElementTree.parse(folder / "annotations" / f"{path.stem}.xml").getroot()
        boxes = [tuple(float(side.text) for side in found) for found in root.iter("bndbox")]
        size = tuple(int(root.findtext(f"size/{name}")) for name in ("width", "height"))
        left, top, right, bottom = boxes[0]
        is_plain = len(boxes) == 1 and right - left < 0.7 * size[0] and bottom - top < 0.7 * size[1]
        if is_plain and path.read_bytes() not in seen:
            seen.add(path.read_bytes())
            yield Sample(path, size, boxes[0])


def begin(page: Any, studio: RunningStudio, paths: Sequence[Path], task: str, classes: Sequence[str]) -> None:
    """Go through the first steps."""
    page.goto(studio.address)
    page.get_by_role("button", name="Skip the tour").click()
    page.get_by_text(task).click()
    page.set_input_files("#photo-files", [str(path) for path in paths])
    expect(page.get_by_text(f"{len(paths)} photos added")).to_be_visible(timeout=120_000)
    page.get_by_role("link", name="Name the classes").click()
    for name in classes:
        page.get_by_label("New class").fill(name)
        page.keyboard.press("Enter")
        expect(page.get_by_label(f"Name of {name}")).to_be_visible()
    page.get_by_role("link", name="Photos", exact=True).click()


def choose_zoom(annotator: Annotator, sample: Sample, used: Sequence[float]) -> float:
    """Zoom as seldom before, but so that the box is in sight; return the zoom."""
    frame = annotator.page.locator(".annotate-frame").bounding_box()
    for zoom in sorted(ZOOMS, key=used.count):
        annotator.keys("0")
        annotator.zoom(zoom, sample.box)
        corners = [annotator.place(*sample.box[:2]), annotator.place(*sample.box[2:])]
        if all(0 < x - frame["x"] < frame["width"] and 0 < y - frame["y"] < frame["height"] for x, y in corners):
            return zoom
    raise AssertionError("at the zoom that fits the photo, all of it is in sight")


def draw_by_mouse(annotator: Annotator, sample: Sample) -> list[Box]:
    """Draw the boxes of a photo; return what was drawn, in pixels of the photo."""
    for number, (left, top, right, bottom) in enumerate(sample.boxes):
        annotator.keys(str(number + 1))
        annotator.drag((left, top), (right, bottom))
        annotator.expect_shapes(number + 1)
        annotator.keys("Escape")  # no handle of it is in the way of the next
    return list(sample.boxes)


def draw_by_keys(annotator: Annotator, sample: Sample) -> list[Box]:
    """Draw the boxes of a photo with keys alone; return where the crosshair was seen at the corners."""
    drawn = []
    scale = annotator.picture()[2] / sample.size[0]
    for number, (left, top, right, bottom) in enumerate(sample.boxes):
        annotator.keys("Escape", "b", str(number + 1))
        corners = []
        at = (round(sample.size[0] / 2), round(sample.size[1] / 2))
        for corner in ((left, top), (right, bottom)):
            move_crosshair(annotator, corner[0] - at[0], corner[1] - at[1], scale)
            corners.append(see_crosshair(annotator, sample))
            at = corner
            annotator.keys("Enter")
        annotator.expect_shapes(number + 1)
        drawn.append((*corners[0], *corners[1]))
    return drawn


def move_crosshair(annotator: Annotator, dx: float, dy: float, scale: float) -> None:
    """Press arrow keys: far with Shift, a pixel at a time with Ctrl."""
    step = max(1, round(8 / scale))
    for distance, names in ((round(dx), ("ArrowLeft", "ArrowRight")), (round(dy), ("ArrowUp", "ArrowDown"))):
        name, left = names[distance > 0], abs(distance)
        for modifier, length in (("Shift+", 6 * step), ("", step), ("Control+", 1)):
            annotator.keys(*[modifier + name] * (left // length))
            left %= length
    if not round(dx) and not round(dy):
        annotator.keys("Control+ArrowLeft", "Control+ArrowRight")  # a crosshair is seen once it was moved


def see_crosshair(annotator: Annotator, sample: Sample) -> tuple[float, float]:
    expect(annotator.page.locator(".annotate-cross-keys")).to_have_count(2)
    annotator.settle()
    x, y = annotator.page.evaluate(CROSSHAIR)
    left, top, width, height = annotator.picture()
    return (x - left) * sample.size[0] / width, (y - top) * sample.size[1] / height


def require_near(found: Sequence[Box], drawn: Sequence[Box]) -> None:
    assert len(found) == len(drawn)
    for one, other in zip(found, drawn, strict=True):
        assert one == pytest.approx(other, abs=NEAR)


def export(page: Any, folder: Path, format_name: str) -> Path:
    """Export on the page to the folder that it proposes; return that folder."""
    page.get_by_label("Format").select_option(format_name)
    page.get_by_text("lince convert").wait_for()
    expect(page.locator("code")).to_contain_text(f"--to {format_name}")
    page.get_by_role("button", name="Export to the folder").click()
    expect(page.get_by_text(f"{COUNT} photos are now in")).to_be_visible()
    return folder.with_name(f"{folder.name}-{format_name}")


def read_yolo(folder: Path, samples: Sequence[Sample]) -> dict[str, list[tuple[int, Box]]]:
    """Return class ids and boxes by the stem of the photo, from the text of the files alone."""
    sizes = {sample.path.stem: sample.size for sample in samples}
    found = {}
    for path in folder.rglob("*.txt"):
        if path.stem in sizes:
            width, height = sizes[path.stem]
            rows = [list(map(float, line.split())) for line in path.read_text("utf-8").splitlines()]
            found[path.stem] = [
                (int(row[0]), ((row[1] - row[3] / 2) * width, (row[2] - row[4] / 2) * height,
                               (row[1] + row[3] / 2) * width, (row[2] + row[4] / 2) * height))
                for row in rows
            ]  # fmt: skip
    return found


def read_voc(folder: Path) -> dict[str, list[tuple[int, Box]]]:
    found = {}
    for path in folder.rglob("*.xml"):
        root = ElementTree.parse(path).getroot()
        assert "corners count from 0" in root.findtext("source/annotation")
        found[path.stem] = [
            (CLASSES.index(one.findtext("name")), tuple(float(side.text) for side in one.find("bndbox")))
            for one in root.iter("object")
        ]
    return found


def read_coco(folder: Path) -> dict[str, list[tuple[int, Box]]]:
    found: dict[str, list[tuple[int, Box]]] = {}
    for path in folder.rglob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        names = {image["id"]: Path(image["file_name"]).stem for image in document["images"]}
        for one in document["annotations"]:
            left, top, width, height = one["bbox"]
            box = (left, top, left + width, top + height)
            found.setdefault(names[one["image_id"]], []).append((one["category_id"] - 1, box))
    return found


def train(folder: Path, out: Path, *options: str) -> str:
    """Run ``lince train`` as a person types it; return what it printed."""
    command = [sys.executable, "-m", "lince", "train", str(folder), "--out", str(out), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LINCE_LANG": "en"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def read_losses(run: Path) -> list[float]:
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        return [float(row["train_loss"]) for row in csv.DictReader(stream)]


def draw_all(annotator: Annotator, samples: Sequence[Sample]) -> list[list[Box]]:
    """Draw the boxes of all photos, from the first one on; return what was drawn."""
    drawn, zooms = [], []
    for number, sample in enumerate(samples):
        annotator.size = sample.size
        annotator.wait_for_photo(number + 1)
        annotator.wait_until_still()
        if number < BY_MOUSE:
            zooms.append(choose_zoom(annotator, sample, zooms))
            drawn.append(draw_by_mouse(annotator, sample))
        else:
            drawn.append(draw_by_keys(annotator, sample))
        require_near(annotator.boxes(number + 1), drawn[-1])
        if number + 1 < COUNT:
            annotator.keys("Control+Enter")
    assert min(map(zooms.count, ZOOMS)) >= 3
    return drawn


def undo_and_redo(annotator: Annotator) -> None:
    """Go back before the two boxes of the last photo, and return."""
    for key, counts in (("Control+z", (1, 0)), ("Control+Shift+Z", (1, 2))):
        for count in counts:
            annotator.keys(key)
            annotator.expect_shapes(count)


def require_saved(page: Any, studio: RunningStudio, drawn: Sequence[Sequence[Box]]) -> None:
    for number, boxes in enumerate(drawn, 1):
        shapes = page.request.get(f"{studio.url}/api/photos/{number}").json()["shapes"]
        assert [shape["state"]["class"] for shape in shapes] == [0, 1]
        require_near([shape["state"]["box"] for shape in shapes], boxes)


def test_boxes_from_the_first_start_to_a_trained_detector(browser: Any, samples: list[Sample], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "mapaches"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    context.set_default_timeout(45_000)
    page = context.new_page()
    with run_studio(folder) as studio:
        begin(page, studio, [sample.path for sample in samples], "Where things are", CLASSES)
        page.get_by_role("gridcell").first.dblclick()
        annotator = Annotator(page, studio)
        drawn = draw_all(annotator, samples)
        undo_and_redo(annotator)
        annotator.keys("Control+Enter")
        annotator.press((10, 10), (60, 60))
        page.close(run_before_unload=False)  # in the middle of a drag
        page = context.new_page()
        page.goto(f"{studio.url}/#/export")
        require_saved(page, studio, drawn)
        yolo, voc, coco = (export(page, folder, name) for name in ("yolo", "voc", "coco"))
        context.close()
    for found in (read_yolo(yolo, samples), read_voc(voc), read_coco(coco)):
        assert found.keys() == {sample.path.stem for sample in samples}
        for sample, boxes in zip(samples, drawn, strict=True):
            rows = found[sample.path.stem]
            assert [class_id for class_id, _box in rows] == [0, 1]
            require_near([box for _class_id, box in rows], boxes)
    weights = ROOT.parent / "shared" / "weights" / "yolox_nano.pth"
    options = ("--model", "yolox-nano", "--size", "160", "--epochs", "4", "--batch-size", "4")
    recipe = ("--weights", str(weights)) if weights.is_file() else ("--weights", "none", "--recipe", "scratch")
    said = train(folder, tmp_path / "run", *options, *recipe)
    losses = read_losses(tmp_path / "run")
    assert losses[-1] < losses[0], said
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text("utf-8"))
    assert card["classes"] == list(CLASSES)


def test_classes_by_one_key_a_photo_to_a_trained_classifier(browser: Any, shared: Path, tmp_path: Path) -> None:
    """Raccoons and flowers: whoever learns anything tells them apart."""
    pytest.importorskip("torch")
    raccoons = [sample.path for sample in read_raccoons(shared / "data" / "raccoon")][:15]
    flowers = sorted((shared / "data" / "flowers").rglob("*.jpg"))[:15]
    paths = [path for pair in zip(raccoons, flowers, strict=True) for path in pair]
    folder = tmp_path / "fotos"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page = context.new_page()
    with run_studio(folder) as studio:
        begin(page, studio, paths, "What a photo shows", ("raccoon", "flower"))
        page.get_by_role("gridcell").first.focus()
        for _pair in raccoons:
            page.keyboard.press("1")  # and the next photo has the focus
            page.keyboard.press("2")
        expect(page.get_by_text("saved", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name=f"Done {len(paths)}")).to_be_visible()
        context.close()
    weights = shared / "weights" / "mobilenetv2_100_padsame.pth"
    options = (
        "--model",
        "mobilenetv2_100",
        "--weights",
        str(weights),
        "--size",
        "128",
        "--val",
        "0.2",
        "--test",
        "0.3",
    )
    train(folder, tmp_path / "run", *options)
    with (tmp_path / "run" / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 9
    assert sum(row["predicted"] == row["truth"] for row in rows) >= 8
