"""The notebooks of examples/ run without the network and in a kernel, use only public names, and store no outputs."""

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
from lince.i18n import use_language

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.rglob("*.ipynb"))
LANGUAGES = {"first_day": "en", "primer_dia": "es", "primeiro_dia": "pt"}  # the same notebook in each
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

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read_cells(path: Path, kind: str) -> list[str]:
    cells: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


@each_notebook
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


@each_notebook
def test_its_cells_are_short_and_explained(path: Path) -> None:
    assert max(len(cell.splitlines()) for cell in read_cells(path, "code")) <= 30
    assert len(read_cells(path, "markdown")) >= len(read_cells(path, "code")) - 2
    listed = re.findall(r"\]\(([\w/]+\.ipynb)\)", (EXAMPLES / "README.md").read_text("utf-8"))
    assert path.relative_to(EXAMPLES).as_posix() in listed


@each_notebook
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
@each_notebook
def test_it_runs_without_the_network(path: Path, awkward: Path) -> None:
    if path.stem not in LANGUAGES:  # which needs the base install alone
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


def test_the_first_day_is_the_same_in_each_language() -> None:
    codes = {path.stem: read_cells(path, "code") for path in NOTEBOOKS if path.stem in LANGUAGES}
    assert set(codes) == set(LANGUAGES)
    for name, cells in codes.items():
        assert cells[1:] == codes["first_day"][1:]
        assert (f'os.environ["LINCE_LANG"] = "{LANGUAGES[name]}"' in cells[0]) == (name != "first_day")
    texts = [read_cells(path, "markdown") for path in NOTEBOOKS if path.stem in LANGUAGES]
    assert len({len(cells) for cells in texts}) == 1
    assert len({cells[0] for cells in texts}) == 3


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LANGUAGES)
def test_it_shows_itself_in_a_kernel(name: str, awkward: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    pytest.importorskip("pandas")
    (path,) = (path for path in NOTEBOOKS if path.stem == name)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(awkward)}}
    client = nbclient.NotebookClient(notebook, timeout=800, kernel_name="python3", resources=resources)
    client.execute(env={**os.environ, "LINCE_LANG": "en", "OMP_NUM_THREADS": "2"})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.get("name") == "stderr"]  # no warning, of widgets or else
    shown = [output["data"]["text/html"] for output in outputs if output.output_type == "execute_result"]
    assert len(shown) == 8  # a dataset, a check, a run, an evaluation, predictions, one, a comparison, a table
    assert all(re.search(r"<script|<style", html) is None for html in shown)
    assert sum("data:image/jpeg" in html for html in shown) >= 7
    assert max(map(len, shown)) < 700_000
    panels = [output["data"]["text/html"] for output in outputs if output.output_type == "display_data"]
    assert panels  # of progress; the bars are gone at the end
    assert not any("progressbar" in html for html in panels)
    (said,) = (output["text"] for output in outputs if output.get("name") == "stdout")
    assert "recipe" in said
    assert "--recipe" not in said
    with use_language(LANGUAGES[name]):
        assert repr(lince.open("lince:digits")).partition("(")[2].split(":")[1].strip() in outputs_text(outputs)


def outputs_text(outputs: list[Any]) -> str:
    """Return the plain texts of all results."""
    return "\n".join(output["data"]["text/plain"] for output in outputs if output.output_type == "execute_result")
