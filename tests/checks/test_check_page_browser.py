"""Page of ``lince check`` in Chromium: no network requests, no script errors, fits a small screen."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from tests.checks.test_checks import boxed
from tests.evaluation.test_report_browser import CHROMIUM, opened

from lince.annotations import Classes, RejectedItem
from lince.checks import run_checks
from lince.checks.check_page import render_html

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture
def page(awkward) -> str:
    """Return the page of a dataset with images, a long list and long names."""
    rows = [[(0, (10, 10, 60, 60)), (1, (10, 10, 60, 60))], [(0, (50, 50, 120, 90))], [], [(1, (1, 1, 3, 3))]]
    data = boxed(
        awkward, rows, classes=Classes(("<script>alert(1)</script>", "a class with quite a long name of its own"))
    )
    refused = tuple(
        RejectedItem(f"labels/{'long-name-' * 12}{i}.txt", "<b>no</b>", line=3, kind="row") for i in range(30)
    )
    return render_html(run_checks(replace(data, rejected=refused)))


def test_the_page_opens_without_network_and_without_errors(awkward, page):
    path = awkward / "check.html"
    path.write_text(page, "utf-8")
    dom, addresses, console = opened(path, awkward)
    assert "Rows that cannot be parsed" in dom
    assert (addresses, console) == ([], [])


def test_the_page_fits_a_telephone(awkward, page):
    measured = "document.title = 'wide ' + document.getElementById('f').contentDocument.documentElement.scrollWidth"
    path = awkward / "phone.html"
    path.write_text(
        f'<body onload="{measured}"><iframe id="f" width="360" height="800" srcdoc="{html.escape(page)}"></iframe>',
        "utf-8",
    )
    dom, _addresses, _console = opened(path, awkward)
    found = re.search(r"<title>wide (\d+)</title>", dom)
    assert found is not None
    assert 300 < int(found[1]) <= 360
