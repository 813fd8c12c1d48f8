"""What the server does not have yet, or did not take: never exported in silence, counted as such, and found again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support.studio_browser import open_chromium
from tests.support.studio_process import RunningStudio, run_studio

pytest.importorskip("sqlalchemy")
sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from tests.studio.annotate_support import (  # noqa: E402  # after the skips
    MARK,
    Annotator,
    HeldEdits,
    open_annotator,
    run_filled_studio,
)

pytestmark = pytest.mark.timeout(180)
expect = sync_api.expect
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as one:
        yield one


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with run_filled_studio(tmp_path, 2) as one:
        with closing(one.enter()) as client:
            client.post("/api/task", json={"task": "detection"})
        yield one


@pytest.fixture
def annotator(browser: Any, studio: RunningStudio) -> Iterator[Annotator]:
    """The annotator at the first of two photos, in a project with the classes helmet and head."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield open_annotator(context, studio)
    context.close()
    assert not faults


def show(annotator: Annotator, page: str) -> None:
    """Go to another page without loading the studio anew."""
    annotator.page.get_by_role("link", name=page, exact=True).click()


def make_conflict(annotator: Annotator) -> None:
    """Change a box while somebody else does: this one's change is not taken."""
    annotator.drag(MARK[:2], MARK[2:])
    [shape] = annotator.read()["shapes"]
    left, top, right, bottom = shape["state"]["box"]
    annotator.page.context.set_offline(True)
    annotator.drag((right, bottom), (left + 300, bottom))
    annotator.expect_unsaved()
    theirs = {**shape["state"], "box": [left, top, left + 40, bottom]}
    annotator.edit("shape", shape["id"], shape["state"], theirs)
    annotator.page.context.set_offline(False)
    expect(annotator.page.get_by_role("dialog")).to_be_visible()


def test_nothing_is_exported_before_all_is_saved(annotator: Annotator) -> None:
    page = annotator.page
    show(annotator, "Export")
    expect(page.get_by_text("No photo has a label yet, so there is nothing to export.")).to_be_visible()
    annotator.open()
    held = HeldEdits(annotator)
    annotator.drag(MARK[:2], MARK[2:])
    annotator.expect_shapes(1)
    show(annotator, "Export")
    expect(page.get_by_text("1 change is not saved yet, and would be missing.")).to_be_visible()
    expect(page.get_by_role("button", name="Export to the folder")).to_have_count(0)
    expect(page.get_by_role("region", name="Not saved yet").get_by_role("link")).to_have_text("001.jpg")
    held.let_go()
    expect(page.get_by_role("button", name="Export to the folder")).to_be_visible()
    expect(page.get_by_text("1 photo is exported")).to_be_visible()
    expect(page.get_by_role("region", name="Not saved yet")).to_have_count(0)


def test_an_export_that_is_begun_waits_for_what_another_page_draws(annotator: Annotator, tmp_path: Path) -> None:
    page = annotator.page
    annotator.drag(MARK[:2], MARK[2:])
    assert len(annotator.boxes()) == 1
    show(annotator, "Export")
    button = page.get_by_role("button", name="Export to the folder")
    expect(button).to_be_visible()
    annotator.studio.kill()
    expect(page.get_by_text("The connection to the studio is lost.")).to_be_visible()
    button.click()
    expect(page.locator(".notice.error")).to_contain_text("The studio does not answer.")
    assert not (tmp_path / "project-yolo").exists()


def test_an_export_that_could_not_be_shown_comes_with_the_connection(annotator: Annotator, tmp_path: Path) -> None:
    page = annotator.page
    annotator.drag(MARK[:2], MARK[2:])
    assert len(annotator.boxes()) == 1
    annotator.studio.kill()
    expect(page.get_by_text("The connection to the studio is lost.")).to_be_visible()
    show(annotator, "Export")
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("The studio does not answer.")
    with run_studio(tmp_path / "project", port=int(annotator.studio.url.rpartition(":")[2])):
        expect(page.get_by_text("1 photo is exported")).to_be_visible()


def test_the_folder_that_was_typed_stays_when_others_label(annotator: Annotator) -> None:
    page = annotator.page
    annotator.drag(MARK[:2], MARK[2:])
    [shape] = annotator.read()["shapes"]
    show(annotator, "Export")
    expect(page.get_by_text("1 photo is exported")).to_be_visible()
    page.get_by_label("New folder on this machine").fill("/elsewhere/mine")
    annotator.edit("shape", str(uuid4()), None, {**shape["state"], "photo": shape["state"]["photo"] + 1})
    expect(page.get_by_text("2 photos are exported")).to_be_visible()
    expect(page.get_by_label("New folder on this machine")).to_have_value("/elsewhere/mine")


def test_an_export_holds_what_another_tab_has_not_saved_yet(annotator: Annotator) -> None:
    other = annotator.page.context.new_page()
    other.goto(f"{annotator.studio.url}/#/classes")
    expect(other.get_by_label("New class")).to_be_visible()
    held = HeldEdits(annotator)  # of the first tab alone
    annotator.drag(MARK[:2], MARK[2:])
    annotator.expect_shapes(1)
    other.goto(f"{annotator.studio.url}/#/export")
    expect(other.get_by_text("1 photo is exported")).to_be_visible()
    held.let_go()
    assert len(annotator.boxes()) == 1, "two tabs have sent it, and it was made once"


def test_a_photo_that_was_opened_without_a_connection_comes_with_it(annotator: Annotator, tmp_path: Path) -> None:
    page = annotator.page.context.new_page()
    page.route("**/page/annotate.js", lambda route: route.abort())
    page.goto(f"{annotator.studio.url}/#/photo/1")
    expect(page.get_by_role("heading", name="001.jpg")).to_be_visible()
    page.unroute_all()
    annotator.studio.kill()
    expect(page.get_by_text("The connection to the studio is lost.")).to_be_visible()
    with run_studio(tmp_path / "project", port=int(annotator.studio.url.rpartition(":")[2])):
        expect(page.locator(".annotate-frame img")).to_be_visible()


def test_the_gallery_shows_what_is_not_saved_yet(annotator: Annotator) -> None:
    page = annotator.page
    show(annotator, "Photos")
    first = page.get_by_role("gridcell").first
    expect(first).to_have_attribute("aria-label", "001.jpg")
    first.dblclick()
    annotator.wait_for_photo(1)
    annotator.studio.kill()
    annotator.drag(MARK[:2], MARK[2:])
    annotator.drag((20, 20), (100, 100))
    annotator.expect_unsaved()
    show(annotator, "Photos")
    expect(page.get_by_role("region", name="Not saved yet")).to_contain_text(
        "2 changes are not saved yet. They are kept in this browser; filters, counts and exports do not hold them."
    )
    expect(first).to_have_attribute("aria-label", "001.jpg, 2 shapes")
    page.get_by_role("region", name="Not saved yet").get_by_role("link").click()
    expect(page).to_have_url(f"{annotator.studio.url}/#/photo/1")


def test_undo_takes_back_what_waits_once_it_is_saved(annotator: Annotator) -> None:
    held = HeldEdits(annotator)
    annotator.drag(MARK[:2], MARK[2:])
    annotator.drag((20, 20), (100, 100))
    annotator.expect_shapes(2)
    annotator.keys("Control+z")
    held.let_go()
    annotator.expect_shapes(1)
    assert len(annotator.boxes()) == 1


def test_undo_says_what_to_do_while_the_server_is_gone(annotator: Annotator) -> None:
    annotator.studio.kill()
    annotator.drag(MARK[:2], MARK[2:])
    annotator.expect_unsaved()
    annotator.keys("Control+z")
    expect(annotator.page.locator(".annotate-notice")).to_contain_text("try again once they are saved")
    annotator.expect_shapes(1)


def test_a_change_that_was_not_taken_is_found_from_every_page(annotator: Annotator) -> None:
    page = annotator.page
    make_conflict(annotator)
    region = page.get_by_role("region", name="Could not be saved")
    for name in ("gallery", "start", "export"):
        page.goto(f"{annotator.studio.url}/#/{name}")
        page.reload()  # the dialog keeps the page; what it asks is kept beyond it
        expect(region).to_contain_text("1 change could not be saved as it was made.")
    expect(page.get_by_text("1 change that could not be saved is not in it")).to_be_visible()
    region.get_by_role("link", name="001.jpg").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep mine").click()
    assert [round(box[2] - box[0]) for box in annotator.boxes()] == [300]
    show(annotator, "Photos")
    expect(page.get_by_role("gridcell").first).to_be_visible()
    expect(region).to_have_count(0)


def test_a_class_is_deleted_with_the_shapes_that_still_waited(annotator: Annotator) -> None:
    page = annotator.page
    held = HeldEdits(annotator)
    annotator.drag(MARK[:2], MARK[2:])
    show(annotator, "Classes")
    row = page.get_by_role("row").filter(has=page.get_by_label("Name of helmet"))
    row.get_by_role("button", name="Delete…").click()
    held.let_go()
    expect(page.get_by_text("helmet has 1 shape and is on 1 photo.")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".notice")).to_contain_text("helmet is now head: 1 shape.")
    answer = page.request.get(f"{annotator.studio.url}/api/photos/1").json()
    assert [shape["state"]["class"] for shape in answer["shapes"]] == [1]


def test_a_refused_act_of_a_closed_page_is_told(annotator: Annotator) -> None:
    """The page asks for a class that is taken while the server is gone, and is closed before the answer comes."""
    page = annotator.page
    show(annotator, "Classes")
    page.route("**/api/act", lambda _route: None)  # never answered
    page.get_by_label("New class").fill("helmet")
    page.keyboard.press("Enter")
    expect(page.get_by_text("saving 1")).to_be_visible()
    other = page.context.new_page()
    page.close()
    other.goto(f"{annotator.studio.url}/#/gallery")
    region = other.get_by_role("region", name="Could not be saved")
    expect(region).to_contain_text("a name that no other class of the project has")
    other.reload()
    region.get_by_role("button", name="Understood").click()
    expect(region).to_have_count(0)
    other.reload()
    expect(other.get_by_role("gridcell").first).to_be_visible()
    expect(region).to_have_count(0)
