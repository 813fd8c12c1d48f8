"""The studio in Chromium as a new user meets it: first steps, classes, labels by keys, reload, export; faults of the
connection; three languages; what axe-core says of each page."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.studio_browser import find_grave_faults, open_chromium, open_page
from tests.support.studio_client import make_photo
from tests.support.studio_process import RunningStudio, run_studio

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = sync_api.expect
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as one:
        yield one


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RunningStudio]:
    with run_studio(tmp_path / "granja") as one:
        yield one


@pytest.fixture
def page(browser: Any, studio: RunningStudio) -> Iterator[Any]:
    with open_page(browser, studio.address) as one:
        yield one


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Twenty photos: of raccoons where they are at hand, else made ones."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "raccoon" / "images"
    found = sorted(folder.glob("*.jpg"))[:20]
    if len(found) == 20:
        return found
    made = [tmp_path / f"foto {number:02d}.jpg" for number in range(20)]
    for number, path in enumerate(made):
        path.write_bytes(make_photo(number, (320, 240)))
    return made


def begin(page: Any, photos: list[Path], task: str = "What a photo shows") -> int:
    """Go through the first steps, and return how many photos there are: two raccoons are the same file."""
    page.get_by_role("button", name="Skip the tour").click()
    page.get_by_text(task).click()
    page.set_input_files("#photo-files", [str(path) for path in photos])
    count = len({path.read_bytes() for path in photos})
    expect(page.get_by_text(f"{count} photo{'s' * (count > 1)} added")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Name the classes").click()
    for name in ("raccoon", "other"):
        page.get_by_label("New class").fill(name)
        page.keyboard.press("Enter")
        expect(page.get_by_label(f"Name of {name}")).to_be_visible()
    return count


def label_cells(page: Any, count: int) -> list[str]:
    """Return what a screen reader says of the first photos."""
    cells = page.get_by_role("gridcell")
    expect(cells.nth(count - 1)).not_to_have_attribute("aria-label", "Loading…")
    return [cell.get_attribute("aria-label") for cell in cells.all()[:count]]


def test_from_nothing_to_an_export(page: Any, photos: list[Path], tmp_path: Path) -> None:
    count = begin(page, photos)
    page.get_by_role("link", name="Photos", exact=True).click()
    page.get_by_role("gridcell").first.focus()
    for key in ("1", "2", "1"):  # each goes on to the next photo
        page.keyboard.press(key)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_text("3 photos selected")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_text("3 photos changed")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_text("Undone on 3 photos.")).to_be_visible()
    page.keyboard.press("Control+Shift+z")
    expect(page.get_by_text("Done again on 3 photos.")).to_be_visible()
    expect(page.get_by_text("saved", exact=True)).to_be_visible()
    page.reload()
    ends = ["raccoon", "other", "raccoon", "other", "other", "other"]
    expect(page.get_by_role("gridcell").nth(5)).to_have_attribute("aria-label", f"{photos[5].name}, other, done")
    labels = label_cells(page, 7)
    assert [text.split(", ")[1:] for text in labels] == [[name, "done"] for name in ends] + [[]]
    expect(page.get_by_text(f"{100 * 6 // count}% done")).to_be_visible()
    page.get_by_role("link", name="Export").click()
    expect(page.get_by_text(f"{count - 6} photos are left out")).to_be_visible()
    expect(page.get_by_text("lince convert")).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as a zip archive").click()
    downloading.value.save_as(tmp_path / "labels.zip")
    with zipfile.ZipFile(tmp_path / "labels.zip") as archive:
        assert sorted(name.partition("/")[0] for name in archive.namelist()) == ["other"] * 4 + ["raccoon"] * 2
    page.get_by_role("button", name="Export to the folder").click()
    expect(page.get_by_text("6 photos are now in")).to_be_visible()
    assert len(list((tmp_path / "granja-folders").rglob("*.jpg"))) == 6


@pytest.mark.slow
def test_classes_are_renamed_moved_merged_and_brought_back(page: Any, photos: list[Path]) -> None:
    begin(page, photos[:3])
    name = page.get_by_label("Name of other")
    name.fill("skunk")
    name.press("Enter")
    expect(page.get_by_label("Name of skunk")).to_be_visible()
    page.get_by_label("Name of skunk").fill("raccoon")
    page.get_by_label("Name of skunk").press("Enter")
    expect(page.get_by_text("a name that no other class of the project has")).to_be_visible()
    page.get_by_role("button", name="Close").last.click()
    page.reload()
    page.get_by_role("button", name="Move skunk up").click()
    expect(page.get_by_role("button", name="Move skunk up")).to_be_disabled()
    page.get_by_role("link", name="Photos", exact=True).click()
    page.get_by_role("gridcell").first.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("1")
    expect(page.get_by_text("3 photos changed")).to_be_visible()
    page.get_by_role("link", name="Classes").click()
    page.get_by_role("row").filter(has=page.get_by_label("Name of raccoon")).get_by_role(
        "button", name="Delete…"
    ).click()
    expect(page.get_by_text("raccoon has 0 shapes and is on 3 photos.")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_label("Name of raccoon")).not_to_be_visible()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_text("merged the class raccoon")).to_be_visible()
    page.get_by_role("listitem").nth(1).get_by_role("button", name="Restore to here").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    page.get_by_role("link", name="Classes").click()
    expect(page.get_by_label("Name of raccoon")).to_be_visible()


@pytest.mark.slow
def test_photos_are_selected_flagged_removed_and_found(page: Any, photos: list[Path]) -> None:
    count = begin(page, photos[:8])
    page.get_by_role("link", name="Photos", exact=True).click()
    cells = page.get_by_role("gridcell")
    cells.nth(1).click()
    cells.nth(3).click(modifiers=["Shift"])
    cells.nth(5).click(modifiers=["Control"])
    expect(page.get_by_text("4 photos selected")).to_be_visible()
    page.get_by_role("button", name="Flag…").click()
    page.get_by_label("Why somebody should look at it").fill("blurred")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Flagged 4")).to_be_visible()
    page.get_by_role("button", name="Split…").click()
    page.get_by_role("button", name="test", exact=True).click()
    expect(page.get_by_text("4 photos changed").last).to_be_visible()
    page.get_by_role("button", name="Remove from the project").click()
    expect(page.get_by_role("button", name="Removed 4")).to_be_visible()
    expect(cells).to_have_count(count - 4)
    page.get_by_role("button", name="Removed 4").click()
    page.get_by_role("button", name="Select all").click()
    page.get_by_role("button", name="Bring back").click()
    expect(page.get_by_role("button", name=f"All {count}")).to_be_visible()
    page.get_by_role("button", name=f"All {count}").click()
    page.get_by_label("Split").select_option("test")
    expect(cells).to_have_count(4)
    page.get_by_label("Search by name").fill(photos[1].name)
    expect(cells).to_have_count(1)
    page.keyboard.press("Tab")
    cells.first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/photo/"))


def test_a_filter_is_kept_when_the_next_one_follows_at_once(page: Any, photos: list[Path]) -> None:
    count = begin(page, photos[:3])
    page.get_by_role("link", name="Photos", exact=True).click()
    page.get_by_role("button", name="Done 0").click()
    cells = page.get_by_role("gridcell")
    expect(cells).to_have_count(0)
    held: list[Any] = []
    page.route("**/api/photos/ids*", lambda route: held.append(route))  # noqa: PLW0108  # Playwright looks at its signature
    page.get_by_role("button", name=f"All {count}").click()
    page.get_by_label("Search by name").fill(photos[1].name)
    page.wait_for_timeout(500)  # the search waits for the next letter
    page.route("**/api/photos/ids*", lambda route: route.continue_())  # asked late
    for route in held:
        route.continue_()
    expect(cells).to_have_count(1)


@pytest.mark.slow
def test_what_is_done_without_the_server_is_saved_when_it_is_back(
    browser: Any, photos: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page = context.new_page()
    with run_studio(folder) as studio:
        page.goto(studio.address)
        begin(page, photos[:4])
        page.get_by_role("link", name="Photos", exact=True).click()
        expect(page.get_by_role("gridcell").nth(3)).not_to_have_attribute("aria-label", "Loading…")
        port = int(studio.url.rpartition(":")[2])
        studio.kill()
    page.get_by_role("gridcell").first.focus()
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page.get_by_text("not saved: 2")).to_be_visible()
    expect(page.get_by_text("The connection to the studio is lost.")).to_be_visible(timeout=20_000)
    with run_studio(folder, port=port) as studio:
        expect(page.get_by_text("saved", exact=True)).to_be_visible(timeout=30_000)
        expect(page.get_by_text("The connection to the studio is lost.")).not_to_be_visible(timeout=30_000)
        page.reload()
        expect(page.get_by_role("gridcell").nth(1)).to_have_attribute("aria-label", f"{photos[1].name}, other, done")
    context.close()


def test_two_tabs_without_the_server_keep_the_acts_of_both(browser: Any, photos: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    tabs = [context.new_page()]
    with run_studio(folder) as studio:
        tabs[0].goto(studio.address)
        begin(tabs[0], photos[:1])
        tabs.append(context.new_page())
        for tab in tabs:
            tab.bring_to_front()
            tab.goto(f"{studio.url}/#/classes")
            expect(tab.get_by_label("New class")).to_be_visible()
        port = int(studio.url.rpartition(":")[2])
        studio.kill()
    for tab, name in zip(tabs, ("wolf", "bear"), strict=True):
        tab.bring_to_front()
        tab.get_by_label("New class").fill(name)
        tab.get_by_label("New class").press("Enter")
        expect(tab.get_by_text("not saved: 1")).to_be_visible()
    for tab in tabs:
        tab.close()
    with run_studio(folder, port=port) as studio:
        later = context.new_page()
        later.goto(f"{studio.url}/#/classes")
        for name in ("wolf", "bear"):
            expect(later.get_by_role("row").filter(has=later.locator(f'input[value="{name}"]'))).to_have_count(1)
    context.close()


def test_a_browser_without_the_cookie_is_told_what_to_do(browser: Any, studio: RunningStudio) -> None:
    context = browser.new_context(locale="es-ES")
    page = context.new_page()
    page.goto(studio.url)
    expect(page.get_by_role("heading", name="Aún sin acceso")).to_be_visible()
    context.close()


def test_the_language_changes_without_a_reload(page: Any, photos: list[Path]) -> None:
    begin(page, photos[:1])
    page.evaluate("window.stayed = true")
    for code, title in (("ES", "Clases"), ("PT", "Classes"), ("EN", "Classes")):
        page.get_by_role("button", name=code, exact=True).click()
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    page.get_by_role("button", name="ES", exact=True).click()
    expect(page.get_by_role("link", name="Historial")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "es"
    assert page.evaluate("window.stayed") is True
    page.reload()
    expect(page.get_by_role("link", name="Historial")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_grave_fault(
    browser: Any, studio: RunningStudio, photos: list[Path], theme: str, width: int
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": theme}
    with open_page(browser, studio.address, **options) as page:
        faults = {"tour": find_grave_faults(page)}
        begin(page, photos[:6])
        for name, ready in (
            ("start", "Show the tour"),
            ("classes", "Add class"),
            ("gallery", "Select all"),
            ("export", "Download as a zip archive"),
            ("history", "Restore to here"),
        ):
            page.goto(f"{studio.url}/#/{name}")
            expect(page.get_by_role("button", name=ready).first).to_be_visible()
            if name == "gallery":
                page.keyboard.press("Tab")
                page.get_by_role("gridcell").nth(1).click()
                page.keyboard.press("1")
                expect(page.get_by_text("saved", exact=True)).to_be_visible()
            faults[name] = find_grave_faults(page)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        faults["help"] = find_grave_faults(page)
    assert {name: found for name, found in faults.items() if found} == {}
