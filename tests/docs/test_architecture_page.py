"""docs/architecture.md: every name on the page exists, and the picture shows the current imports."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "lince"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NAMES = sorted(set(re.findall(r"`(lince(?:\.\w+)+)`", PAGE)))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lince_picture_script", ROOT / "scripts" / "architecture_picture.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def defined(path: Path) -> dict[str, ast.stmt]:
    """Return what the module or class body in ``path`` defines or imports, by name."""
    return names_of(ast.parse(path.read_text("utf-8")).body)


def names_of(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update({alias.asname or alias.name: node for alias in node.names})
        elif isinstance(node, ast.If):  # TYPE_CHECKING
            found.update(names_of(node.body))
    return found


def exists(name: str) -> bool:
    """Return whether ``name`` is a module of lince, or is defined in one; a method in its class."""
    parts = name.split(".")[1:]
    place = SOURCE
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and (place / f"{parts[0]}.py").is_file():
        place = place / f"{parts.pop(0)}.py"
    inside = defined(place / "__init__.py" if place.is_dir() else place)
    for part in parts:
        node = inside.get(part)
        if node is None:
            return False
        inside = names_of(node.body) if isinstance(node, ast.ClassDef) else {}
    return True


@pytest.mark.parametrize("name", NAMES)
def test_every_name_on_the_page_is_there(name: str) -> None:
    assert exists(name)


def test_a_missing_name_is_reported() -> None:
    assert exists("lince.fileio.get_cache_folder")
    assert exists("lince.annotations.Label.from_probabilities")
    assert not exists("lince.fileio.nothing")
    assert not exists("lince.annotations.Label.nothing")
    assert not exists("lince.nothing")


def test_the_table_has_every_package_in_the_order_of_the_layers(script: ModuleType) -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"\w+", row)]
    layers = script.read_graph().layers
    assert sorted(told) == sorted(name for layer in layers for name in layer)
    level = {name: number for number, layer in enumerate(layers) for name in layer}
    assert [level[name] for name in told] == sorted(level[name] for name in told)


def test_the_picture_is_current(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--check"]) == 0, capsys.readouterr().out


def test_an_outdated_picture_is_reported(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "PICTURE", tmp_path / "picture.svg")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    picture = script.draw(script.Graph([["a"], ["b"]], {"a": {"b"}, "b": set()}, {"a": {"b"}, "b": set()}, frozenset()))
    monkeypatch.setattr(script, "read_graph", lambda: None)
    monkeypatch.setattr(script, "draw", lambda _graph: picture)
    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    (tmp_path / "picture.svg").write_text(picture.replace("a imports b", "a imports c"), "utf-8")
    assert script.main(["--check"]) == 1
    assert "not current" in capsys.readouterr().out


def test_an_arrow_that_others_imply_is_not_drawn(script: ModuleType) -> None:
    edges = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert script.reduce_edges(edges) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_imports_are_those_of_the_running_program(script: ModuleType) -> None:
    code = """
from typing import TYPE_CHECKING
import lince.errors
import numpy
from lince import images, preprocess
from lince.formats.yolo import reader
if TYPE_CHECKING:
    from lince.training import loop
def later():
    from lince.models import weights
"""
    assert set(script.imported_packages(ast.parse(code))) == {"errors", "images", "preprocess", "formats", "models"}


def test_the_imports_are_those_that_the_contract_is_checked_on(script: ModuleType) -> None:
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph("lince", exclude_type_checking_imports=True, cache_dir=None)
    expected: dict[str, set[str]] = {}
    for module in graph.modules - {"lince", "lince.__main__", "lince.version"}:
        package = module.split(".")[1]
        targets = {name.split(".")[1] for name in graph.find_modules_directly_imported_by(module) if "." in name}
        expected.setdefault(package, set()).update(targets - {package, "version"})
    assert script.read_graph().imports == expected


def test_the_fewest_crossings_are_kept(script: ModuleType) -> None:
    rows = [[("a", 0), ("b", 0)], [("c", 1), ("d", 1)]]
    links = [(("a", 0), ("d", 1)), (("b", 0), ("c", 1))]
    assert script.count_crossings(rows, links) == 1
    assert script.count_crossings(script._order_rows(rows, links), links) == 0


def test_the_layers_are_those_of_the_contract(script: ModuleType) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    lines = next(item["layers"] for item in contracts if item["type"] == "layers")
    assert len(script.read_graph().layers) == len(lines)
