"""Code metrics: what counts as a branch on the task, and exit code 1 for a metric beyond its limit."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("lince_code_metrics", ROOT / "scripts" / "code_metrics.py")
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
def test_a_line_that_branches_on_the_task_counts(metrics: ModuleType, line: str) -> None:
    assert metrics.find_task_branches(ast.parse(f"first = 1\n{line}\nlast = 2")) == {2}


def test_a_match_pattern_on_the_task_counts(metrics: ModuleType) -> None:
    code = "match answer:\n    case DetectionResult():\n        pass\n    case 'detect':\n        pass"
    assert metrics.find_task_branches(ast.parse(code)) == {2, 4}


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
def test_a_line_that_only_names_a_task_does_not_count(metrics: ModuleType, line: str) -> None:
    assert metrics.find_task_branches(ast.parse(line)) == set()


def test_branches_in_task_folders_do_not_count(
    metrics: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "PACKAGE", tmp_path)
    for name in ("package/detection/one.py", "tasks/two.py", "package/three.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"""One line."""\nx = isinstance(y, DetectionResult)\n', "utf-8")
    assert [place.path.name for place in metrics.count_package().task_branches] == ["three.py"]


def test_a_metric_beyond_its_limit_fails(
    metrics: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics, "PACKAGE", tmp_path)
    monkeypatch.setattr(metrics, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["code_metrics.py", "--list"])
    well_named = (
        '"""Why."""\n\n\ndef read_file():\n    """Read it."""\n    return 1\n\n\nclass TwoWords:\n    """It."""\n'
    )
    (tmp_path / "reader.py").write_text(well_named, "utf-8")
    assert metrics.main() == 0
    (tmp_path / "reading.py").write_text('"""Why."""\n', "utf-8")
    assert metrics.main() == 1
    last = capsys.readouterr().out
    assert "BEYOND  modules named -ing or -ed, of 2: 50 % (<= 3 %)\n          reading.py  reading\n" in last
