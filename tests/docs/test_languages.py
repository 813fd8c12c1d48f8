"""Every user page exists in each language, with the same commands, programs and tables; what it names exists."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re
import shlex
from pathlib import Path

import pytest

import lince
from lince.cli.main import build_parser
from lince.i18n import LANGUAGES

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOR_DEVELOPERS = {"adding.md", "architecture.md"}  # in English only
TRANSLATED = sorted(code for code in LANGUAGES if (DOCS / code).is_dir())  # a new language may have no pages yet
WITH_PAGES = ["en", *TRANSLATED]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_key(path: Path) -> str:
    """Return what identifies a page in all languages: its name, of a lesson the number that its name begins with."""
    return f"lesson {path.name[0]}" if path.parent.name == "lessons" else path.name


def list_pages(language: str) -> dict[str, Path]:
    folder = DOCS if language == "en" else DOCS / language
    return {page_key(path): path for path in sorted([*folder.glob("*.md"), *folder.glob("lessons/*.md")])}


ENGLISH = {key: path for key, path in list_pages("en").items() if key not in FOR_DEVELOPERS}
PAGES = [(language, key) for language in WITH_PAGES for key in ENGLISH]


def read_page(language: str, key: str) -> str:
    return list_pages(language)[key].read_text("utf-8")


def list_commands(text: str) -> list[list[str]]:
    """Return the words of every ``lince`` command in the code blocks of a page."""
    blocks = [body for kind, body in FENCE.findall(text) if kind in ("", "sh")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.match(r"(?:LINCE_TOKEN=\S+ )?lince (.*)", line) for line in lines]
    return [shlex.split(match[1]) for match in found if match]


def list_programs(text: str) -> list[ast.Module]:
    return [ast.parse(body) for kind, body in FENCE.findall(text) if kind == "python"]


def describe(words: list[str]) -> list[str]:
    """Return what must be the same in all languages: the command and its options."""
    return [words[0], *(word for word in words if word.startswith("--"))]


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_page_is_translated(language: str) -> None:
    assert {"es", "pt"} <= set(TRANSLATED)
    assert list_pages(language).keys() == ENGLISH.keys()


@pytest.mark.parametrize(("language", "key"), PAGES)
def test_a_page_links_to_the_other_languages(language: str, key: str) -> None:
    page = list_pages(language)[key]
    head = page.read_text("utf-8").splitlines()[2]
    links = dict(re.findall(r"\[([^\]]+)\]\(([^)]+)\)", head))
    others = [code for code in WITH_PAGES if code != language]
    expected = {LANGUAGES[code].name: list_pages(code)[key].resolve() for code in others}
    assert {name: (page.parent / target).resolve() for name, target in links.items()} == expected


@pytest.mark.parametrize("key", ENGLISH)
@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_shows_the_same(language: str, key: str) -> None:
    english, other = read_page("en", key), read_page(language, key)
    assert [describe(words) for words in list_commands(other)] == [describe(words) for words in list_commands(english)]
    assert [kind for kind, _body in FENCE.findall(other)] == [kind for kind, _body in FENCE.findall(english)]
    assert len(re.findall(r"^#", other, re.MULTILINE)) == len(re.findall(r"^#", english, re.MULTILINE))
    assert [line.count("|") for line in other.splitlines() if line.startswith("|")] == [
        line.count("|") for line in english.splitlines() if line.startswith("|")
    ]


@pytest.mark.parametrize(("language", "key"), PAGES)
def test_every_command_of_a_page_exists(language: str, key: str) -> None:
    for words in list_commands(read_page(language, key)):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                build_parser(words).parse_args(words)
        except SystemExit:
            pytest.fail(f"lince {shlex.join(words)}\n{said.getvalue()}")


@pytest.mark.parametrize(("language", "key"), PAGES)
def test_every_name_in_a_program_exists(language: str, key: str) -> None:
    for program in list_programs(read_page(language, key)):
        for node in ast.walk(program):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "lince":
                assert node.attr in lince.__all__
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lince."):
                module = importlib.import_module(str(node.module))
                assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]


@pytest.mark.parametrize("language", WITH_PAGES)
def test_the_augmentation_program_runs(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = list_programs(read_page(language, "augmentation.md"))
    exec(compile(program, "augmentation.md", "exec"), {})
    assert "rotation" in capsys.readouterr().out


@pytest.mark.parametrize("language", WITH_PAGES)
def test_the_codes_of_the_checks_are_those_of_the_source(language: str) -> None:
    rows = re.findall(r"^\| ((?:`[\w-]+` ?)+) \|", read_page(language, "check.md"), re.MULTILINE)
    codes = [code for row in rows for code in re.findall(r"`([\w-]+)`", row)]
    english = re.findall(r"^\| ((?:`[\w-]+` ?)+) \|", read_page("en", "check.md"), re.MULTILINE)
    assert rows == english
    source = "\n".join(path.read_text("utf-8") for path in (Path(lince.__file__).parent).rglob("*.py"))
    assert len(codes) > 40
    assert [code for code in codes if f'"{code}"' not in source] == []
