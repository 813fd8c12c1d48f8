"""docs/adding.md: each recipe is applied to a copy of the source tree, and works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding.md").read_text("utf-8")
COPIED = ("src", "tests", "scripts", "docs", "pyproject.toml", "constraints.txt")
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the file of its title (empty for none), its text."""

    kind: str
    path: str
    text: str


def recipe(heading: str) -> list[Block]:
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    return [Block(kind, path, text) for kind, path, text in FENCE.findall(section[1])]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the files that a recipe may change."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def apply(tree: Path, blocks: list[Block]) -> None:
    """Write the new files and apply the changes of ``blocks``; each change must match exactly once."""
    for block in blocks:
        path = tree / block.path
        if not block.path:
            continue
        if block.kind == "diff":
            path.write_text(changed(path.read_text("utf-8"), block), "utf-8")
        else:
            assert not path.exists(), f"{block.path} is there already"
            path.write_text(block.text, "utf-8")


def changed(text: str, block: Block) -> str:
    """Return ``text`` with the changes of ``block``; a line of it that ends in dots stands for any that begins so."""
    for part in re.split(r"^@@\n", block.text, flags=re.MULTILINE):
        lines = part.splitlines()
        pattern = "".join(f"({line_pattern(line[1:])})" for line in lines if line[0] in " -")
        places = list(re.finditer(pattern, text, re.MULTILINE))
        assert len(places) == 1, f"{block.path} holds these lines {len(places)} times:\n{part}"
        known = iter(places[0].groups())
        kept = [(line, "" if line[0] == "+" else next(known)) for line in lines]
        after = "".join(f"{line[1:]}\n" if line[0] == "+" else found for line, found in kept if line[0] != "-")
        text = text[: places[0].start()] + after + text[places[0].end() :]
    return text


def line_pattern(line: str) -> str:
    return f"^{re.escape(line.removesuffix('...'))}.*\n" if line.endswith("...") else f"^{re.escape(line)}\n"


def run(tree: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in ``tree``, with its lince in place of the one installed."""
    program = {"pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider"], "python": [], "lince": ["-m", "lince"]}
    return subprocess.run(
        [sys.executable, *program[command[0]], *command[1:]],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def commands(blocks: list[Block]) -> list[list[str]]:
    return [shlex.split(line) for block in blocks if block.kind == "sh" for line in block.text.splitlines()]


def require_success(tree: Path, blocks: list[Block]) -> None:
    assert commands(blocks)
    for command in commands(blocks):
        done = run(tree, *command)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def test_the_copy_is_what_runs(tree: Path) -> None:
    done = run(tree, "python", "-c", "import lince; print(lince.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(tree)


RECIPES = [
    "A label format",
    "A backbone or a preset",
    "An augmentation operation",
    "An export target",
    "A dataset check",
    "A section of a report",
    "An option of prediction",
    "An endpoint of the server",
    "An endpoint that takes a photo",
    "A task",
]
NEED_ONNX = ("An export target", "An option of prediction", *(name for name in RECIPES if "endpoint" in name), "A task")


@pytest.mark.parametrize("heading", RECIPES)
def test_a_recipe_works(tree: Path, heading: str) -> None:
    if heading in NEED_ONNX:
        pytest.importorskip("onnx")
    apply(tree, recipe(heading))
    require_success(tree, recipe(heading))


@pytest.mark.slow
def test_a_detector_keeps_the_contract_of_all_detectors(tree: Path) -> None:
    pytest.importorskip("torch")
    apply(tree, recipe("A detector"))
    require_success(tree, recipe("A detector"))


def test_the_page_begins_with_its_contents() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    listed = re.findall(r"\]\(#([\w-]+)\)", PAGE[: PAGE.index("\n## ")])
    assert sorted(listed) == sorted(heading.lower().replace(" ", "-") for heading in headings)


def test_new_files_and_changes_are_in_order(tree: Path) -> None:
    """They pass the format and style steps of ``./check``."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    if ruff is None:
        pytest.skip("ruff is not installed here")
    blocks = [block for heading in [*RECIPES, "A detector", "A language"] for block in recipe(heading)]
    apply(tree, blocks)
    files = sorted({block.path for block in blocks if block.path.endswith(".py")})
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run([ruff, *command, *files], cwd=tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_page_fails_the_tests_that_the_recipe_names(tree: Path) -> None:
    blocks = recipe("A label format")
    apply(tree, [block for block in blocks if block.path != "docs/es/formats.md"])
    [command] = commands(blocks)
    done = run(tree, *command)
    assert done.returncode == 1
    assert re.findall(r"^FAILED \S+\[([^\]\s]*)\]", done.stdout, re.MULTILINE) == ["docs/es/formats.md"]


def test_an_added_language_is_used(tree: Path) -> None:
    pytest.importorskip("babel")
    blocks = recipe("A language")
    apply(tree, blocks)
    extract, compile_ = commands(blocks)
    assert run(tree, *extract).returncode == 0
    catalogue = tree / "src" / "lince" / "locale" / "fr" / "LC_MESSAGES" / "lince.po"
    [example] = [block.text for block in blocks if block.kind == "po"]
    empty = re.sub(r'msgstr ".*"', 'msgstr ""', example)
    assert catalogue.read_text("utf-8").count(empty) == 1
    catalogue.write_text(catalogue.read_text("utf-8").replace(empty, example), "utf-8")
    assert run(tree, *compile_).returncode == 0
    said = run(tree, "lince", "--help", LINCE_LANG="fr")
    assert said.stdout.startswith("utilisation : lince")
    numbers = "from lince.i18n import localise_number\nprint(localise_number('12,345.5'), localise_number('91.2%'))"
    assert run(tree, "python", "-c", numbers, LINCE_LANG="fr").stdout == "12\u202f345,5 91,2\u202f%\n"
    missing = run(tree, "python", "scripts/messages.py", "check")
    assert missing.returncode == 1
    assert "fr: not translated" in missing.stdout
    asked = "from lince.web.access import negotiate_language\nprint(negotiate_language(b'', 'fr-CA, en;q=0.1'))"
    assert run(tree, "python", "-c", asked).stdout == "fr\n"
