"""The annotator in Chromium: what is drawn by mouse, keys and touch is what the server has."""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.browser import CHROMIUM
from tests.support.studio_process import RunningStudio, run_studio

from lince import rle

pytest.importorskip("sqlalchemy")
sync_api = pytest.importorskip("playwright.sync_api")
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)

from tests.studio.annotate_support import (  # noqa: E402  # after the skips
    EXIF_TURNS,
    MARK,
    PATIENCE_MS,
    SIZE,
    Annotator,
    HeldEdits,
    open_annotator,
    run_filled_studio,
)

pytestmark = pytest.mark.timeout(180)
expect = sync_api.expect
expect.set_options(timeout=PATIENCE_MS)
PHOTOS_EACH = 3  # photos that a test has to itself
TESTS = 40


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with run_filled_studio(tmp_path_factory.mktemp("studio"), len(EXIF_TURNS) + PHOTOS_EACH * TESTS) as studio:
        yield studio


@pytest.fixture(scope="module")
def firsts() -> Iterator[int]:
    """The ids of the first of the photos that a test has to itself."""
    return itertools.count(len(EXIF_TURNS) + 1, PHOTOS_EACH)


@pytest.fixture
def own_studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with run_filled_studio(tmp_path, PHOTOS_EACH) as studio:
        yield studio


@pytest.fixture
def context(browser) -> Iterator[object]:
    """A browser of its own, with cookies and storage; a fault of a script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context
    context.close()
    assert not faults


@pytest.fixture
def annotator(context, firsts, request: pytest.FixtureRequest) -> Annotator:
    """The annotator at the first of three photos, in a project with the classes helmet (1) and head (2)."""
    name = "own_studio" if "own_studio" in request.fixturenames else "shared_studio"
    return open_annotator(context, request.getfixturevalue(name), 1 if name == "own_studio" else next(firsts))


@pytest.fixture
def mark_box(annotator: Annotator) -> Annotator:
    """The annotator with one box, drawn around the red rectangle."""
    annotator.drag(MARK[:2], MARK[2:])
    annotator.expect_shapes(1)
    assert annotator.boxes()[0] == pytest.approx(MARK, abs=0.5)
    return annotator


@pytest.mark.parametrize("orientation", EXIF_TURNS)
def test_a_drawn_box_is_where_it_was_seen(context, shared_studio, orientation):
    annotator = open_annotator(context, shared_studio, orientation)
    for count, zoom in enumerate([1.0, 1.4, 0.8], 1):
        annotator.page.mouse.move(*annotator.place(300, 230))
        annotator.page.mouse.wheel(0, -math.log(zoom) / math.log(1.0015))
        annotator.keys("h")  # the box drawn before does not hide the mark
        annotator.page.mouse.move(2, 2)
        annotator.page.wait_for_timeout(100)
        annotator.drag_around_mark()
        annotator.keys("h")
        annotator.expect_shapes(count)
        assert annotator.boxes()[-1] == pytest.approx(MARK, abs=0.5)


def test_a_box_by_the_keyboard_alone(annotator):
    keys = annotator.keys
    keys("b", "ArrowLeft", "Enter", *["ArrowRight"] * 5, "Shift+ArrowDown", "Control+ArrowDown", "Enter")
    annotator.expect_shapes(1)
    [[left, top, right, bottom]] = annotator.boxes()
    assert right - left == 5 * (step := (right - left) / 5)
    assert bottom - top == 6 * step + 1
    keys("b", "2", "ArrowUp", "Enter", "ArrowUp", "ArrowLeft", "Enter")
    annotator.expect_shapes(2)
    assert [shape["class"] for shape in annotator.shapes()] == [0, 1]


def test_four_outermost_points_make_a_box(annotator):
    annotator.keys("t")
    for point in [(300, 130), (420, 200), (250, 330), (180, 300)]:
        annotator.click(*point)
    annotator.expect_shapes(1)
    assert annotator.boxes()[0] == pytest.approx(MARK, abs=0.5)


def test_the_handles_change_a_box(mark_box):
    left, top, right, bottom = MARK
    mark_box.drag((right, bottom), (right + 60, bottom + 40))
    assert mark_box.boxes()[0] == pytest.approx((left, top, right + 60, bottom + 40), abs=0.5)
    mark_box.drag((left, (top + bottom + 40) / 2), (left - 30, 10))
    assert mark_box.boxes()[0] == pytest.approx((left - 30, top, right + 60, bottom + 40), abs=0.5)
    mark_box.drag((left - 30, top), (right + 100, bottom + 80))  # beyond the other corner: it turns over
    assert mark_box.boxes()[0] == pytest.approx((right + 60, bottom + 40, right + 100, bottom + 80), abs=0.5)
    mark_box.expect_shapes(1)


def test_arrow_keys_move_a_box_and_its_sides(mark_box):
    before = np.array(mark_box.boxes()[0])
    mark_box.keys("ArrowRight", "Shift+ArrowDown", "Control+ArrowLeft", "Alt+ArrowDown")
    mark_box.page.wait_for_timeout(600)  # the movement is saved once the keys rest
    assert mark_box.boxes()[0] == pytest.approx(before + np.array([0, 10, 1, 9]), abs=0.02)


def test_undo_and_redo(mark_box):
    page = mark_box.page
    mark_box.keys("2")
    mark_box.keys("Delete")
    mark_box.expect_shapes(0)
    for count in [1, 1, 0]:
        mark_box.keys("Control+z")
        mark_box.expect_shapes(count)
        expect(page.locator(".annotate-notice")).to_have_text("Undone.")
    mark_box.keys("Control+z")
    expect(page.locator(".annotate-notice")).to_have_text("There is nothing to undo on this photo.")
    mark_box.keys("Control+Shift+Z")
    mark_box.expect_shapes(1)
    assert [shape["class"] for shape in mark_box.shapes()] == [0]
    mark_box.keys("Control+y")
    expect(page.locator(".annotate-shapes")).to_contain_text("head")
    assert [shape["class"] for shape in mark_box.shapes()] == [1]


def test_a_drag_in_the_middle_is_no_edit_when_the_tab_closes(mark_box):
    mark_box.press((30, 30), (120, 110))
    context = mark_box.page.context
    mark_box.page.close(run_before_unload=False)
    reopened = open_annotator(context, mark_box.studio, mark_box.first)
    reopened.expect_shapes(1)
    assert reopened.boxes() == [pytest.approx(MARK, abs=0.5)]
    reopened.drag((30, 30), (120, 110))
    reopened.expect_shapes(2)


def test_escape_gives_up_a_drag(annotator):
    annotator.press((30, 30), (120, 110))
    annotator.keys("Escape")
    annotator.page.mouse.up()
    annotator.page.wait_for_timeout(200)
    assert annotator.shapes() == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_photo_stays_where_it_is_when_the_server_is_gone(mark_box, own_studio, width):
    mark_box.page.set_viewport_size({"width": width, "height": 720})
    mark_box.wait_until_still()
    before = mark_box.picture()
    own_studio.kill()
    mark_box.drag((20, 20), (100, 100))
    mark_box.expect_unsaved()
    expect(mark_box.page.get_by_text("The connection to the studio is lost.")).to_be_visible(timeout=PATIENCE_MS)
    assert mark_box.picture() == pytest.approx(before, abs=0.01)


def test_edits_wait_while_the_server_is_gone(mark_box, own_studio, tmp_path):
    own_studio.kill()
    mark_box.drag((20, 20), (100, 100))
    mark_box.drag((500, 50), (600, 120))
    mark_box.expect_shapes(3)
    mark_box.expect_unsaved()
    context = mark_box.page.context
    mark_box.page.close()  # not even the page has to stay
    with run_studio(tmp_path / "project", port=int(own_studio.url.rpartition(":")[2])) as again:
        annotator = open_annotator(context, again)
        annotator.expect_shapes(3)
        assert len(annotator.boxes()) == 3


def test_a_box_inside_a_box_and_tab(mark_box):
    mark_box.drag((220, 170), (300, 250))
    mark_box.expect_shapes(2)
    assert mark_box.boxes()[1] == pytest.approx((220, 170, 300, 250), abs=0.5)
    selected = mark_box.page.locator(".annotate-shapes [aria-selected=true]")
    mark_box.click(260, 210)  # the smaller one is in front
    expect(selected).to_contain_text("80 × 80")
    mark_box.keys("Tab")
    expect(selected).to_contain_text("240 × 200")
    mark_box.keys("Tab")
    expect(selected).to_contain_text("80 × 80")


def test_two_keys_change_a_class(mark_box):
    mark_box.keys("Escape")
    mark_box.keys("Tab", "2")
    expect(mark_box.page.locator(".annotate-shapes")).to_contain_text("head")
    assert [shape["class"] for shape in mark_box.shapes()] == [1]


def test_a_class_is_found_or_added_by_typing(mark_box):
    mark_box.keys("/")
    mark_box.page.keyboard.type("vest")
    mark_box.keys("Enter")
    expect(mark_box.page.locator("[data-class]")).to_have_count(3)
    expect(mark_box.page.locator(".annotate-shapes")).to_contain_text("vest")
    assert [shape["class"] for shape in mark_box.shapes()] == [2]
    mark_box.keys("/")
    mark_box.page.keyboard.type("HEAD")
    mark_box.keys("Enter")
    expect(mark_box.page.locator(".annotate-shapes")).to_contain_text("head")


def test_a_polygon_is_drawn_and_its_points_change(annotator):
    keys, page = annotator.keys, annotator.page
    keys("p")
    points = [(100, 100), (300, 100), (300, 300), (100, 300)]
    for point in points:
        annotator.click(*point)
    keys("Enter")
    annotator.expect_shapes(1)
    assert np.allclose(annotator.shapes()[0]["rings"][0], points, atol=0.5)
    annotator.drag((300, 300), (340, 320))
    assert np.allclose(annotator.shapes()[0]["rings"][0][2], (340, 320), atol=0.5)
    annotator.drag((200, 100), (200, 60))  # on the outline: a new point
    assert len(annotator.shapes()[0]["rings"][0]) == 5
    assert annotator.boxes()[0] == pytest.approx((100, 60, 340, 320), abs=0.5)
    page.keyboard.down("Alt")
    annotator.click(200, 60)
    page.keyboard.up("Alt")
    page.wait_for_timeout(100)
    assert len(annotator.shapes()[0]["rings"][0]) == 4


def test_a_polygon_snaps_to_the_corner_of_another_shape(mark_box):
    mark_box.keys("p")
    scale = mark_box.picture()[2] / SIZE[0]
    near = 5 / scale  # screen pixels
    mark_box.click(MARK[2] + near, MARK[1] - near)
    mark_box.click(600, 60)
    mark_box.click(600, 300)
    mark_box.keys("Enter")
    mark_box.expect_shapes(2)
    box, polygon = mark_box.shapes()
    assert polygon["rings"][0][0] == [box["box"][2], box["box"][1]]


def test_two_tabs_see_each_other_and_lose_nothing(mark_box):
    other = open_annotator(mark_box.page.context, mark_box.studio, mark_box.first)
    other.expect_shapes(1)
    expect(mark_box.page.locator(".annotate-others")).to_be_visible()
    for count in range(4):  # in turn and at the same time
        mark_box.drag((20, 20 + 50 * count), (80, 60 + 50 * count))
        other.drag((500, 20 + 50 * count), (560, 60 + 50 * count))
    for tab in (mark_box, other):
        tab.expect_shapes(9)
    assert len(mark_box.shapes()) == 9


@pytest.mark.parametrize(
    ("choice", "widths"), [("Keep mine", [300]), ("Keep what is saved", [40]), ("Keep both", [40, 300])]
)
def test_two_changes_of_one_shape_are_a_question(mark_box, choice, widths):
    [shape] = mark_box.read()["shapes"]
    left, top, right, bottom = shape["state"]["box"]
    mark_box.page.context.set_offline(True)
    mark_box.drag((right, bottom), (left + 300, bottom))
    mark_box.expect_unsaved()
    theirs = {**shape["state"], "box": [left, top, left + 40, bottom]}
    mark_box.edit("shape", shape["id"], shape["state"], theirs)
    mark_box.page.context.set_offline(False)
    dialog = mark_box.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    mark_box.page.reload()  # the question is not lost with the page
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name=choice).click()
    mark_box.expect_shapes(len(widths))
    assert sorted(round(box[2] - box[0]) for box in mark_box.boxes()) == widths
    mark_box.page.reload()
    mark_box.expect_shapes(len(widths))
    expect(dialog).to_have_count(0)


def test_copies_of_the_previous_photo_are_one_act(mark_box):
    mark_box.drag((20, 20), (100, 100))
    mark_box.keys("d")
    mark_box.wait_for_photo(2)
    mark_box.expect_shapes(0)
    mark_box.keys("Shift+V")
    mark_box.expect_shapes(2)
    assert mark_box.boxes(2) == mark_box.boxes(1)
    assert {shape["source"] for shape in mark_box.shapes(2)} == {"copied"}
    mark_box.keys("Control+z")
    mark_box.expect_shapes(0)


def test_copies_of_the_previous_photo_include_what_is_not_saved_yet(mark_box):
    held = HeldEdits(mark_box)
    mark_box.drag((20, 20), (100, 100))
    mark_box.keys("d")
    mark_box.wait_for_photo(2)
    mark_box.keys("Shift+V")
    mark_box.expect_shapes(2)
    held.let_go()
    assert mark_box.boxes(2) == mark_box.boxes(1)


def test_done_and_skip_go_on(mark_box):
    mark_box.keys("Enter")
    mark_box.wait_for_photo(2)
    mark_box.keys("s")
    mark_box.wait_for_photo(3)
    assert mark_box.read(1)["state"]["state"] == "done"
    assert mark_box.read(2)["state"]["state"] == "skipped"
    assert mark_box.read(3)["state"]["state"] == "new"


def test_a_digit_is_the_class_of_a_whole_photo(annotator, own_studio):
    page = annotator.page
    page.request.post(f"{own_studio.url}/api/task", data={"task": "classification"})
    page.reload()
    annotator.wait_for_photo(1)
    annotator.keys("Enter")
    expect(page.locator(".annotate-notice")).to_have_text("Choose a class first, or skip the photo.")
    annotator.keys("2", "Enter")
    annotator.wait_for_photo(2)
    assert annotator.read(1)["state"]["classes"] == [1]
    assert annotator.read(1)["state"]["state"] == "done"
    page.get_by_role("checkbox", name="Go on once a class is chosen").check()
    annotator.keys("1")  # one key a photo
    annotator.wait_for_photo(3)
    assert annotator.read(2)["state"] == {**annotator.read(3)["state"], "classes": [0], "state": "done"}


def test_history_brings_a_photo_back(mark_box):
    mark_box.keys("2", "Delete")
    mark_box.expect_shapes(0)
    mark_box.page.locator(".annotate-history summary").click()
    mark_box.page.get_by_role("button", name="Restore to here").last.click()
    mark_box.expect_shapes(1)
    assert [shape["class"] for shape in mark_box.shapes()] == [0]


def test_a_locked_shape_stays(mark_box):
    before = mark_box.boxes()
    mark_box.keys("l", "Delete", "ArrowRight", "2")
    mark_box.drag((MARK[2], MARK[3]), (MARK[2] + 50, MARK[3] + 50))  # no handle there: a new box
    mark_box.expect_shapes(2)
    assert mark_box.boxes()[0] == before[0]
    assert mark_box.shapes()[0]["class"] == 0


def test_a_comment_on_a_shape(mark_box):
    mark_box.keys("k")
    mark_box.page.keyboard.type("is this a helmet?")
    mark_box.keys("Control+Enter")
    expect(mark_box.page.locator(".annotate-comments")).to_contain_text("is this a helmet?")
    [comment] = mark_box.read()["comments"]
    assert comment["state"]["shape"] == mark_box.read()["shapes"][0]["id"]


def test_the_brush_paints_a_mask(annotator):
    annotator.keys("m")
    annotator.drag((200, 200), (260, 200))
    annotator.expect_shapes(1)
    [shape] = annotator.shapes()
    mask = rle.decode(shape["mask"], SIZE[1], SIZE[0])
    radius = 12 / (annotator.picture()[2] / SIZE[0])
    down, across = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    distance = np.hypot(across - np.clip(across, 200, 260), down - 200)
    assert mask[distance < radius - 1].all()
    assert not mask[distance > radius + 1].any()
    assert tuple(shape["box"]) == rle.compute_bounding_box(rle.string_to_counts(shape["mask"]), SIZE[1])
    annotator.keys("e")
    annotator.drag((230, 180), (230, 220))
    annotator.page.wait_for_timeout(100)
    erased = rle.decode(annotator.shapes()[0]["mask"], SIZE[1], SIZE[0])
    assert not erased[np.hypot(across - 230, down - np.clip(down, 180, 220)) < radius - 1].any()


def test_masks_are_encoded_as_in_python(annotator):
    rng = np.random.default_rng(0)
    script = """async ([pixels, width, height]) => {
      const masks = await import(location.origin + "/page/annotate_mask.js");
      const { mask } = masks.encodeMask(Uint8Array.from(pixels), width, height);
      return [mask, Array.from(masks.decodeMask(mask, width, height))];
    }"""
    for height, width, share in [(1, 1, 1), (7, 5, 0.5), (64, 48, 0.02), (3, 400, 0.9), (30, 30, 0)]:
        mask = rng.random((height, width)) < share
        pixels = mask.astype(int).ravel().tolist()
        assert annotator.page.evaluate(script, [pixels, width, height]) == [rle.encode(mask), pixels]


def test_keys_can_be_changed_and_stay(annotator):
    page = annotator.page
    annotator.keys("?")
    page.get_by_role("button", name="Change the key of “Skip the photo”").click()
    annotator.keys("b")
    expect(page.locator(".keys-said")).to_contain_text("“Box” no longer has B")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    page.reload()
    annotator.wait_for_photo(1)
    annotator.keys("b")
    annotator.wait_for_photo(2)
    assert annotator.read(1)["state"]["state"] == "skipped"


def test_a_merge_keeps_what_another_added(mark_box):
    """A shape that another page adds is there without asking, also while this one draws."""
    mark_box.press((20, 20), (90, 90))
    state = {"kind": "box", "photo": mark_box.first, "class": 1, "box": [500, 300, 600, 400]}
    mark_box.edit("shape", str(uuid.uuid4()), None, state)
    mark_box.expect_shapes(2)
    mark_box.page.mouse.up()
    mark_box.expect_shapes(3)
    assert len(mark_box.boxes()) == 3
