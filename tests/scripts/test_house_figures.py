"""The figures of the house: what counts as a branch on the task, and that a figure beyond its limit fails."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("lince_house_figures", ROOT / "scripts" / "house_figures.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(answer, DetectionResult)",
        "isinstance(answer, (Table, report.ClassificationReport))",
        "isinstance(answer, Table | DetectorEntry)",
        "type(answer) is DetectionResult",
        "card.task == 'detect'",
        "card.task in ('classify', 'other')",
        "tasks.get_task(card.task) is tasks.DETECT",
        "metadata.task != _DETECT_TASK",
        "{'detect': draw, 'classify': plot}[card.task](answer)",
        "draw(answer) if served.is_detector else plot(answer)",
        "is_detection_file(path)",
    ],
)
def test_a_line_that_asks_for_the_task_counts(house: ModuleType, line: str) -> None:
    assert house.find_task_branches(ast.parse(f"first = 1\n{line}\nlast = 2")) == {2}


def test_a_pattern_that_asks_for_the_task_counts(house: ModuleType) -> None:
    code = "match answer:\n    case DetectionResult():\n        pass\n    case 'detect':\n        pass"
    assert house.find_task_branches(ast.parse(code)) == {2, 4}


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(answer, PredictionResult)",
        "result = DetectionResult(boxes)",
        "def models(task: str = 'classify'): ...",
        "get_task('detect').evaluate(run)",
        "card.task == other.task",
    ],
)
def test_a_line_that_only_names_a_task_does_not_count(house: ModuleType, line: str) -> None:
    assert house.find_task_branches(ast.parse(line)) == set()


def test_what_stands_in_a_folder_of_the_task_does_not_count(
    house: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "PACKAGE", tmp_path)
    for name in ("room/detection/one.py", "tasks/two.py", "room/three.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"""One line."""\nx = isinstance(y, DetectionResult)\n', "utf-8")
    assert [place.path.name for place in house.count_package().task_branches] == ["three.py"]


def test_a_figure_beyond_its_limit_fails(
    house: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(house, "PACKAGE", tmp_path)
    monkeypatch.setattr(house, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["house_figures.py", "--list"])
    well_named = (
        '"""Why."""\n\n\ndef read_file():\n    """Read it."""\n    return 1\n\n\nclass TwoWords:\n    """It."""\n'
    )
    (tmp_path / "reader.py").write_text(well_named, "utf-8")
    assert house.main() == 0
    (tmp_path / "reading.py").write_text('"""Why."""\n', "utf-8")
    assert house.main() == 1
    last = capsys.readouterr().out
    assert "BEYOND  modules named -ing or -ed, of 2: 50 % (<= 3 %)\n          reading.py  reading\n" in last
