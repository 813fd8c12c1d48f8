"""Signing in, the page of the people, and what becomes of a page whose person is gone, in Chromium."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.studio_browser import find_grave_faults, open_chromium
from tests.support.studio_client import PASSWORD, make_photo
from tests.support.studio_process import run_studio

import lince

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = sync_api.expect
expect.set_options(timeout=20_000)
NEW_PASSWORD = "another cow, another moon"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_chromium() as one:
        yield one


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "granja"
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(make_photo(number, (320, 240)))
    lince.set_studio_password(folder, "olga", PASSWORD)
    lince.set_studio_password(folder, "ana", PASSWORD)
    with run_studio(folder, "--host", "0.0.0.0") as studio:
        yield f"http://127.0.0.1:{studio.address.rstrip('/').rpartition(':')[2]}/"


def sign_in(page: Any, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def check_access(page: Any) -> None:
    """What axe-core says, where it is installed; the rest of a test needs it not."""
    if importlib.util.find_spec("axe_core_python"):
        assert find_grave_faults(page) == []


def test_an_owner_adds_a_person_on_a_phone_who_signs_in(browser: Any, address: str) -> None:
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, locale="en")
    page = phone.new_page()
    page.goto(address)
    sign_in(page, "olga", "a wrong password")
    expect(page.get_by_text("The name or the password is wrong.")).to_be_visible()
    sign_in(page, "olga")
    page.get_by_role("button", name="Skip the tour").click()
    page.get_by_role("link", name="People").click()
    page.get_by_role("button", name="Add a person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("bia")
    dialog.get_by_label("Password").fill(NEW_PASSWORD)
    dialog.get_by_label("Role").select_option("reviewer")
    check_access(page)
    dialog.get_by_role("button", name="Add a person").click()
    expect(page.get_by_label("Role of bia")).to_have_value("reviewer")
    page.get_by_label("Role of olga").select_option("reader")
    expect(page.get_by_text("olga is the only owner of the project.")).to_be_visible()
    expect(page.get_by_label("Role of olga")).to_have_value("owner")
    check_access(page)
    too_small = [
        button.inner_text()
        for button in page.locator(".people-page button, .people-page select").all()
        if button.bounding_box()["height"] < 44
    ]
    assert too_small == []
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    check_access(page)
    page.get_by_role("button", name="ES", exact=True).click()
    expect(page.get_by_role("heading", name="Entrar")).to_be_visible()
    page.get_by_role("button", name="EN", exact=True).click()
    sign_in(page, "bia", NEW_PASSWORD)
    page.get_by_role("link", name="People").click()
    expect(page.get_by_text("You are bia; your role: reviewer.")).to_be_visible()
    expect(page.get_by_text("Owners of the project add people")).to_be_visible()
    phone.close()


def test_what_is_not_saved_waits_for_its_person(browser: Any, address: str, tmp_path: Path) -> None:
    """Ana labels while another person signs in in the same browser: her label is not saved under that name."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")
    page = context.new_page()
    page.goto(address)
    sign_in(page, "olga")
    page.get_by_role("button", name="Skip the tour").click()
    page.get_by_text("What a photo shows").click()
    page.set_input_files("#photo-files", [str(tmp_path / f"{number}.jpg") for number in range(2)])
    expect(page.get_by_text("2 photos added")).to_be_visible()
    page.get_by_role("link", name="Name the classes").click()
    page.get_by_label("New class").fill("hen")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name of hen")).to_be_visible()
    page.goto(f"{address}#/people")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "ana")
    page.get_by_role("link", name="Photos", exact=True).click()
    expect(page.get_by_role("gridcell").nth(1)).not_to_have_attribute("aria-label", "Loading…")
    other = context.new_page()
    assert other.request.post(f"{address}api/enter", data={"name": "olga", "password": PASSWORD}).ok
    page.get_by_role("gridcell").first.focus()
    page.keyboard.press("1")
    expect(page.get_by_text("not saved: 1")).to_be_visible()
    journal = other.request.get(f"{address}api/journal").json()["acts"]
    assert {act["who"] for act in journal} == {"olga"}
    assert len(journal) == 1, "the class alone"
    assert other.request.post(f"{address}api/enter", data={"name": "ana", "password": PASSWORD}).ok
    expect(page.get_by_text("saved", exact=True)).to_be_visible()
    assert other.request.get(f"{address}api/journal").json()["acts"][0]["who"] == "ana"
    context.close()


def test_a_page_whose_session_ends_asks_for_the_password_and_goes_on(
    browser: Any, address: str, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")
    page = context.new_page()
    page.goto(address)
    sign_in(page, "ana")
    page.get_by_role("button", name="Skip the tour").click()
    page.get_by_text("What a photo shows").click()
    expect(page.get_by_text(re.compile("needs the role owner; yours is labeller"))).to_be_visible()
    lince.set_studio_password(tmp_path / "granja", "ana", NEW_PASSWORD)
    expect(page.get_by_text("Sign in again, ana, to go on.")).to_be_visible(timeout=60_000)
    check_access(page)
    page.get_by_label("Password", exact=True).fill(NEW_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Sign in again, ana")).to_have_count(0)
    page.get_by_role("link", name="People").click()
    expect(page.get_by_text("You are ana")).to_be_visible()
    context.close()
