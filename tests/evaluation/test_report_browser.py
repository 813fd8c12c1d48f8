"""Report page in Chromium: no network requests, no script errors, fits a small screen."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.evaluation.test_report import HOSTILE, made
from tests.support.browser import CHROMIUM, QUIET

from lince.evaluation.report import render_html

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
OPTIONS = [*QUIET, "--enable-logging=stderr", "--virtual-time-budget=2000"]


def opened(page: Path, folder: Path) -> tuple[str, list[str], list[str]]:
    """Open ``page`` and return its state, the addresses that it requested, and its console's lines."""
    log = folder / "net.json"
    given = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"]
    command = [CHROMIUM, *OPTIONS, *given, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True)
    record = json.loads(log.read_text("utf-8"))
    started = record["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in record["events"] if event["type"] == started and "url" in event["params"]]
    # Requests that the browser makes by itself have no page as their initiator.
    addresses = [params["url"] for params in asked if params.get("initiator") != "not an origin"]
    return done.stdout, addresses, re.findall(r"CONSOLE.*", done.stderr)


def test_the_page_opens_without_network_and_without_errors(awkward):
    page = awkward / "report.html"
    page.write_text(render_html(made((HOSTILE, "b", "c"))), "utf-8")
    dom, addresses, console = opened(page, awkward)
    assert "Errors" in dom
    assert (addresses, console) == ([], [])


def test_a_page_that_fetches_or_fails_would_be_seen(awkward):
    page = awkward / "bad.html"
    page.write_text('<img src="http://192.0.2.1/x.png"><script>console.error("boom")</script>', "utf-8")
    _dom, addresses, console = opened(page, awkward)
    assert addresses == ["http://192.0.2.1/x.png"]
    assert len(console) == 1


@pytest.mark.parametrize("count", [3, 37])
def test_the_page_fits_a_telephone(awkward, count):
    report = render_html(made(tuple(f"a class with quite a long name {i}" for i in range(count))))
    measured = "document.title = 'wide ' + document.getElementById('f').contentDocument.documentElement.scrollWidth"
    page = awkward / "phone.html"
    page.write_text(
        f'<body onload="{measured}"><iframe id="f" width="360" height="800" srcdoc="{html.escape(report)}"></iframe>',
        "utf-8",
    )
    dom, _addresses, _console = opened(page, awkward)
    found = re.search(r"<title>wide (\d+)</title>", dom)
    assert found is not None
    assert 300 < int(found[1]) <= 360
