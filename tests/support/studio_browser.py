"""A real Chromium on the pages of the studio, by Playwright; and axe-core, of the package axe-core-python."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
GRAVE = ("serious", "critical")


@contextmanager
def open_chromium() -> Iterator[Any]:
    """Yield a browser of Playwright; skip where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def is_fault(message: Any) -> bool:
    """Whether a message of the console is a fault; browsers also tell of answers that refuse an act (4xx)."""
    return message.type == "error" and "Failed to load resource" not in message.text


@contextmanager
def open_page(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """Yield a page at ``address`` in a context of its own; at the end, require an empty console and no error."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options})
    context.set_default_timeout(30_000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if is_fault(message) else None)
    page.goto(address)
    yield page
    page.close()
    context.close()
    assert faults == []


def find_grave_faults(page: Any) -> list[str]:
    """Return what axe-core finds serious or critical on a page; skip where the package is not installed."""
    package = importlib.util.find_spec("axe_core_python")
    if package is None or package.origin is None:
        pytest.skip("no axe-core-python here: pip install axe-core-python")
    page.evaluate(Path(package.origin).with_name("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document)")
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]}" for fault in found["violations"] if fault["impact"] in GRAVE
    ]
