"""Translation catalogues: complete, and scripts/messages.py finds each kind of fault."""

from __future__ import annotations

import gettext
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lince.i18n import LANGUAGES

catalog_module = pytest.importorskip("babel.messages.catalog")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def messages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lince_messages_script", ROOT / "scripts" / "messages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_catalogues_are_complete(messages: ModuleType) -> None:
    assert messages.problems() == []


def test_the_texts_of_the_source_are_found(messages: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        'a = _("plain {x}")\nb = translate_plural("{n} photo", "{n} photos", 2)\n', "utf-8"
    )
    (tmp_path / "page.html").write_text("<p>{{ _('from a template') }}</p>", "utf-8")
    ids = [entry.id for entry in messages.extract(tmp_path) if entry.id]
    assert ids == ["plain {x}", ("{n} photo", "{n} photos"), "from a template"]


@pytest.mark.parametrize(
    ("text", "translation", "flags", "problem"),
    [
        ("used {used} of {total}", "se usaron {used} de {total}", (), None),
        ("used {used} of {total}", "", (), "not translated"),
        ("used {used} of {total}", "se usaron {used}", (), "differ"),
        ("used {share:.1%}", "se usó {share}", (), "differ"),
        ("used", "usado", ("fuzzy",), "fuzzy"),
        ("used: ", "usado:", (), "spaces"),
        ("<b>used</b>", "usado", (), "differ"),
        (("{n} photo", "{n} photos"), ("una foto", "{n} fotos"), (), "differ"),
        (("one photo", "{n} photos"), ("una foto", "{n} fotos"), (), None),
        (("one photo", "{n} photos"), ("una foto", ""), (), "not translated"),
    ],
)
def test_each_fault_is_found(messages, text, translation, flags, problem) -> None:
    texts, catalog = catalog_module.Catalog(), catalog_module.Catalog(locale="es")
    texts.add(text)
    catalog.add(text, translation, flags=flags)
    found = list(messages.catalogue_problems("es", texts, catalog))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


def test_a_text_that_no_catalogue_knows_is_a_fault(messages: ModuleType) -> None:
    texts = catalog_module.Catalog()
    texts.add("new")
    found = list(messages.catalogue_problems("pt", texts, catalog_module.Catalog(locale="pt")))
    assert found == ["pt: not translated: 'new'"]


@pytest.mark.parametrize("line", ['_(f"{x}")', "_(x)", '_("a" + x)', 'translate_plural("a", many, 2)'])
def test_a_text_that_is_not_literal_is_found(messages: ModuleType, monkeypatch, tmp_path: Path, line: str) -> None:
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    (tmp_path / "one.py").write_text(f'x = "a"\ny = {line}\nz = _("good")\n', "utf-8")
    found = list(messages.not_literal(tmp_path / "one.py"))
    assert len(found) == 1
    assert found[0].startswith("one.py:2:")


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_the_compiled_catalogue_answers_at_run_time(messages: ModuleType, language: str) -> None:
    known = messages.read(language)
    catalogue = gettext.translation("lince", ROOT / "src/lince/locale", languages=[language])
    for entry in known:
        if isinstance(entry.id, str) and entry.id:
            assert catalogue.gettext(entry.id) == entry.string
