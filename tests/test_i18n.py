"""Translations: texts and numbers follow the language in force."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from lince import i18n
from lince.i18n import _, get_language, localise_number, translate_plural


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LINCE_LANG": "pt", "LANG": "es_AR.UTF-8"}, "pt"),
        ({"LINCE_LANG": "", "LANG": "es_AR.UTF-8"}, "es"),
        ({"LINCE_LANG": "xx", "LANG": "C"}, "en"),
    ],
)
def test_the_language_in_force(monkeypatch, environment: dict[str, str], expected: str) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert get_language() == expected


@pytest.fixture
def _forgotten() -> Iterator[None]:
    """Let the language of Windows be asked for anew, before and after."""
    i18n._read_windows_language.cache_clear()
    yield
    i18n._read_windows_language.cache_clear()


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize(
    ("identifier", "environment", "expected"),
    [
        (0x0C0A, {}, "es"),  # Spain, modern sort
        (0x080A, {}, "es"),  # Mexico
        (0x0416, {}, "pt"),  # Brazil
        (0x0816, {"LANG": "C"}, "pt"),  # Portugal
        (0x0407, {}, "en"),  # German, which lince does not speak
        (0xFFFF, {}, "en"),  # no language that Python knows
        (0x0416, {"LINCE_LANG": "es"}, "es"),
        (0x0416, {"LANG": "en_GB.UTF-8"}, "en"),
    ],
)
def test_windows_is_asked_for_its_language(
    monkeypatch, identifier: int, environment: dict[str, str], expected: str
) -> None:
    """Windows sets none of the variables; ``GetUserDefaultUILanguage`` gives the language of its menus as a number."""
    for name in ("LINCE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    kernel = SimpleNamespace(GetUserDefaultUILanguage=lambda: identifier)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr("sys.platform", "win32")
    assert get_language() == expected


@pytest.mark.parametrize(
    ("code", "number", "expected"),
    [
        ("en", "3,667", "3,667"),
        ("en", "91.2%", "91.2%"),
        ("pt", "1,234,567.5", "1.234.567,5"),
        ("pt", "91.2%", "91,2%"),
        ("es", "3,667", "3667"),
        ("es", "-3,667.25", "-3667,25"),
        ("es", "12,345", "12\u202f345"),
        ("es", "1,234,567", "1\u202f234\u202f567"),
        ("es", "91.2%", "91,2\u202f%"),
    ],
)
def test_numbers_as_each_language_writes_them(monkeypatch, code: str, number: str, expected: str) -> None:
    monkeypatch.setenv("LINCE_LANG", code)
    assert localise_number(number) == expected


def test_numbers_within_texts_follow_the_language(monkeypatch) -> None:
    monkeypatch.setenv("LINCE_LANG", "pt")
    assert _("used {photos}; left out: {count:,}").format(photos="7 fotos", count=3670) == (
        "usadas: 7 fotos; deixadas de fora: 3.670"
    )
    assert _("loss {loss:.3f}").format(loss=0.5) == "perda 0,500"


def test_numbers_to_be_typed_are_not_localised(monkeypatch) -> None:
    monkeypatch.setenv("LINCE_LANG", "es")
    assert "--lr 0.0015" in _("Train again with a lower learning rate, such as --lr {rate:.2g}.").format(rate=0.0015)


def test_a_text_without_translation_comes_back(monkeypatch) -> None:
    monkeypatch.setenv("LINCE_LANG", "es")
    assert translate_plural("one thing", "{n:,} things", 1200).format(n=1200) == "1200 things"
    assert str(_("Data")) == "Datos"


def test_a_missing_value_is_an_error_and_not_a_hole() -> None:
    with pytest.raises(KeyError):
        _("used {photos}; left out: {count:,}").format(count=1)
