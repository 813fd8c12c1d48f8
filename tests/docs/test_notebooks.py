"""The notebooks of examples/ run without the network, use only public names, and store no outputs."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lince

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
RUN = """
import json, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"touched the network: {event} {arguments}")

sys.addaudithook(refuse)
names = {"__name__": "__main__"}
for number, source in enumerate(json.load(sys.stdin), 1):
    print(f"cell {number}", flush=True)
    exec(compile(source, f"cell {number}", "exec"), names)
"""

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read_cells(path: Path, kind: str) -> list[str]:
    cells: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def test_it_is_a_notebook_without_outputs(path: Path) -> None:
    text = path.read_text("utf-8")
    record = json.loads(text)
    assert (record["nbformat"], set(record["metadata"])) == (4, {"kernelspec", "language_info"})
    assert len({cell["id"] for cell in record["cells"]}) == len(record["cells"])
    for cell in record["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert not re.search(r"/(home|Users|root|tmp|work)/|[A-Z]:\\\\", text)  # no path of one machine


def test_its_cells_are_short_and_explained(path: Path) -> None:
    assert max(len(cell.splitlines()) for cell in read_cells(path, "code")) <= 30
    assert len(read_cells(path, "markdown")) >= len(read_cells(path, "code")) - 2
    listed = re.findall(r"\]\((\w+\.ipynb)\)", (EXAMPLES / "README.md").read_text("utf-8"))
    assert path.name in listed


def test_it_uses_public_names_only(path: Path) -> None:
    for source in read_cells(path, "code"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), node.attr
                if isinstance(node.value, ast.Name) and node.value.id == "lince":
                    assert node.attr in lince.__all__
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                assert not [name for name in modules if name.startswith("lince.")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_without_the_network(path: Path, awkward: Path) -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(read_cells(path, "code")),
        cwd=awkward,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
