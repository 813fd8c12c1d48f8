"""Documentation site: loads nothing from other sites; project files agree with it."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lince.version import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lince_site_script", ROOT / "scripts" / "check_site.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "text", "address"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', "https://cdn.example/x.js"),
        ("a.html", '<script src="//cdn.example/x.js"></script>', "//cdn.example/x.js"),
        ("a.html", '<link rel="stylesheet" href="https://fonts.example/css">', "https://fonts.example/css"),
        ("a.html", '<link rel="preconnect" href="https://fonts.example">', "https://fonts.example"),
        ("a.html", '<img src="x.png" srcset="y.png 1x, //cdn.example/z.png 2x">', "//cdn.example/z.png 2x"),
        ("a.html", "<style>@import 'https://fonts.example/css';</style>", "https://fonts.example/css"),
        ("a.html", '<p style="background: url(https://cdn.example/x.png)">', "https://cdn.example/x.png"),
        ("a.html", '<script type="module">import x from "https://cdn.example/x.mjs"</script>', "https://cdn.example/x.mjs"),
        ("b/c.css", "@font-face { src: url('//fonts.example/x.woff2') }", "//fonts.example/x.woff2"),
        ("d.svg", '<svg><image href="http://cdn.example/x.png"/></svg>', "http://cdn.example/x.png"),
    ],
)  # fmt: skip
def test_loads_from_other_sites_are_reported(
    script: ModuleType, awkward: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, address: str
) -> None:
    (awkward / "index.html").write_text("<p>good</p>", "utf-8")
    (awkward / name).parent.mkdir(exist_ok=True)
    (awkward / name).write_text(text, "utf-8")
    assert list(script.list_external_loads(awkward)) == [(Path(name), address)]
    assert script.main([str(awkward)]) == 1
    assert address in capsys.readouterr().out


def test_links_and_files_of_the_site_itself_are_good(
    script: ModuleType, awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (awkward / "index.html").write_text(
        '<link rel="canonical" href="https://lince.example/"><link rel="stylesheet" href="assets/x.css">'
        '<a href="https://elsewhere.example">a link</a><img src="x.png"><script src="../x.js"></script>'
        '<pre>&lt;script src="https://cdn.example/x.js"&gt;</pre>'
        "<style>a { background: url(data:image/png;base64,//8) }</style>",
        "utf-8",
    )
    assert script.main([str(awkward)]) == 0
    assert "1 pages" in capsys.readouterr().out


def test_an_empty_site_is_no_site(script: ModuleType, awkward: Path) -> None:
    assert script.main([str(awkward)]) == 1
    assert script.main([str(awkward / "nothing")]) == 2


def test_what_builds_the_site_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    assert {canonicalize_name(Requirement(line).name) for line in project["optional-dependencies"]["docs"]} <= pinned


def test_every_page_stands_in_the_navigation() -> None:
    """The hook adds the sections of the other languages, so those are not in the file."""
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    named = set(re.findall(r"[\w./-]+\.md", str(nav)))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not re.match(r"[a-z]{2}/", page)} <= named


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (__version__, project["license"])


def test_hooks_are_steps_of_the_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    steps = set(re.findall(r'^step "(\w+)"', (ROOT / "check").read_text("utf-8"), re.MULTILINE))
    for hook in hooks[0]["hooks"]:
        command, step = hook["entry"].split()
        assert command == "./check"
        assert step in {"lint", *steps}
