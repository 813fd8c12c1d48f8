"""The disk becomes full while somebody labels in Chromium: the page says so, keeps all, and goes on by itself."""

from __future__ import annotations

import os
import resource  # POSIX
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.studio_browser import open_chromium, open_page
from tests.support.studio_client import make_photo
from tests.support.studio_process import RunningStudio, run_studio

from lince.studio.store import journal
from lince.studio.store.project import Project
from lince.studio.store.schema import photo_classes

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = sync_api.expect
PHOTOS = 12
Place = tuple[Path, Callable[[RunningStudio], None], Callable[[RunningStudio], None]]


@contextmanager
def small_disk(folder: Path) -> Iterator[Place]:
    """Yield a real file system of 4 MB, how it is filled to the last byte, and how room is made again."""
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("file systems cannot be mounted here")
    ballast = folder / "ballast"

    def fill(_studio: RunningStudio) -> None:
        with ballast.open("wb", buffering=0) as stream:
            for size in (65536, 4096, 1):
                with suppress(OSError):
                    while True:
                        stream.write(bytes(size))

    try:
        yield folder / "project", fill, lambda _studio: ballast.unlink()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def small_limit(folder: Path) -> Iterator[Place]:
    """Yield a folder, how the server is kept from making any file longer, and how it is let do so again."""
    endless = resource.RLIM_INFINITY

    def fill(studio: RunningStudio) -> None:
        resource.prlimit(studio.process.pid, resource.RLIMIT_FSIZE, (1, endless))

    def free(studio: RunningStudio) -> None:
        resource.prlimit(studio.process.pid, resource.RLIMIT_FSIZE, (endless, endless))

    yield folder / "project", fill, free


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets one limit another process")
@pytest.mark.parametrize(
    ("disk", "reason"), [(small_disk, "the disk is full"), (small_limit, "the disk could not be written")]
)
def test_a_full_disk_is_shown_and_nothing_is_lost(disk: Callable, reason: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        (photos / f"{number:02d}.jpg").write_bytes(make_photo(number, (320, 240)))
    with disk(tmp_path / "disk") as (folder, fill, free), open_chromium() as browser:
        with run_studio(folder, "--photos", photos) as studio, open_page(browser, studio.address, locale="en") as page:
            page.get_by_role("button", name="Skip the tour").click()
            page.get_by_text("What a photo shows").click()
            page.get_by_role("link", name="Name the classes").click()
            page.get_by_label("New class").fill("hen")
            page.keyboard.press("Enter")
            expect(page.get_by_label("Name of hen")).to_be_visible()
            page.get_by_role("link", name="Photos", exact=True).click()
            expect(page.get_by_role("gridcell").nth(PHOTOS - 1)).not_to_have_attribute("aria-label", "Loading…")
            page.get_by_role("gridcell").first.focus()
            page.keyboard.press("1")
            expect(page.get_by_text("saved", exact=True)).to_be_visible()
            fill(studio)
            for _photo in range(PHOTOS - 1):
                page.keyboard.press("1")
            expect(page.get_by_text(f"The edit was not saved: {reason}.")).to_be_visible(timeout=30_000)
            expect(page.get_by_text(f"not saved: {PHOTOS - 1}", exact=True)).to_be_visible()
            sign = page.evaluate("getComputedStyle(document.querySelector('.saved .word'), '::before').content")
            assert "✓" not in sign
            assert page.request.get(f"{studio.url}/api/project").status == 200, "reading goes on"
            assert page.request.get(f"{studio.url}/thumb/1").status == 200
            answer = page.request.post(
                f"{studio.url}/api/photos?name=new.jpg",
                data=make_photo(99),
                headers={"Content-Type": "application/octet-stream"},
            )
            assert (answer.status, list((folder / "photos").glob("*"))) == (503, [])
            assert reason in answer.json()["error"]["message"]
            free(studio)
            expect(page.get_by_text("saved", exact=True)).to_be_visible(timeout=30_000)
            page.reload()
            for number in range(PHOTOS):
                label = f"{number:02d}.jpg, hen, done"
                expect(page.get_by_role("gridcell").nth(number)).to_have_attribute("aria-label", label)
        with Project(folder) as project, project.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
            assert len(connection.execute(sa.select(photo_classes)).all()) == PHOTOS
            assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)
