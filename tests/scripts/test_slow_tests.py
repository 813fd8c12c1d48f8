"""scripts/slow_tests.py: order, time limit, tests left out by name, and failures."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEST = """
import time, pytest
@pytest.mark.slow
@pytest.mark.parametrize("case", ["a b", "ñ"])
def test_it(case):
    {}
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, awkward: Path) -> ModuleType:
    """Return the script, set up for a temporary project in a folder with spaces."""
    spec = importlib.util.spec_from_file_location("lince_slow_tests_script", ROOT / "scripts" / "slow_tests.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", awkward)
    monkeypatch.setattr(module, "GRACE_SECONDS", 2)
    for name in ("CI_BASE", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading plug-ins would take most of a small run's time
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p xdist")
    (awkward / "pytest.ini").write_text("[pytest]\nmarkers = slow\naddopts = -m 'not slow'\n", "utf-8")
    return module


def add(root: Path, name: str, body: str) -> None:
    path = root / "tests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEST.format(body), "utf-8")


def git(root: Path, *words: str) -> None:
    name = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *name, *words], cwd=root, check=True, capture_output=True)


def test_what_changed_comes_first(script: ModuleType, awkward: Path) -> None:
    git(awkward, "init", "-q")
    for name in ("formats/yolo.py", "models/detr/model.py", "rle.py", "datasets/open.py"):
        (awkward / "src/lince" / name).parent.mkdir(parents=True, exist_ok=True)
        (awkward / "src/lince" / name).write_text("1", "utf-8")
    git(awkward, "add", ".")
    git(awkward, "commit", "-qm", "one")
    for name in ("models/detr/model.py", "rle.py"):
        (awkward / "src/lince" / name).write_text("2", "utf-8")
    git(awkward, "commit", "-qam", "two")
    assert script.find_base() == "HEAD~1"
    touched = script.find_touched_packages("HEAD~1")
    assert touched == {"models", "rle"}
    tests = [f"tests/{name}/test_x.py::test_{n}" for name in ("formats", "models", "datasets") for n in range(25)]
    groups = script.make_groups(tests, touched, script.get_commit())
    assert [len(group) for group in groups] == [20, 5] * 3
    assert groups[0][0] == "tests/models/test_x.py::test_0"
    assert sorted(test for group in groups for test in group) == sorted(tests)


def test_without_git_no_package_counts_as_changed(script: ModuleType) -> None:
    assert script.find_touched_packages(script.find_base()) == set()


def test_passed_failed_and_left_out_are_told_apart(
    script: ModuleType, awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(awkward, "one/test_good.py", "pass")
    add(awkward, "one/test_bad.py", "assert case != 'a b'")
    assert script.main(["--minutes", "3", "--workers", "1"]) == 1
    told = capsys.readouterr().out
    assert "Failed:\n  tests/one/test_bad.py\n" in told
    assert "Left out" not in told
    assert told.endswith("slow: 3 passed, 1 failed, 0 skipped\n")


def test_without_time_everything_is_left_out_by_name(
    script: ModuleType, awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(awkward, "one/test_good.py", "pass")
    assert script.main(["--minutes", "0"]) == 0
    told = capsys.readouterr().out
    assert "Left out after 0 minutes, 2 tests:\n  tests/one/test_good.py::test_it[a b]\n" in told
    assert told.endswith("slow: 0 passed, 0 failed, 0 skipped\n")


def test_a_group_is_stopped_when_time_is_up(script: ModuleType, awkward: Path) -> None:
    add(awkward, "one/test_long.py", "time.sleep(0 if case == 'a b' else 600)")
    command = [sys.executable, "-m", "pytest"]
    (quick, long), broken = script.collect_tests(command)
    assert broken == []
    outcome = script.run_groups([[quick, long]], command, 1, time.monotonic() + 5)
    assert outcome.left_out in ([long], [quick, long])  # depending on the machine's speed
    assert outcome.counts["passed"] == 2 - len(outcome.left_out)
    assert outcome.failed == []


def test_a_file_that_cannot_be_collected_fails_and_the_others_run(
    script: ModuleType, awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(awkward, "one/test_good.py", "pass")
    (awkward / "tests" / "one" / "test_broken.py").write_text("import nothing_of_this_name", "utf-8")
    assert script.main(["--minutes", "3", "--workers", "1"]) == 1
    told = capsys.readouterr().out
    assert "No module named 'nothing_of_this_name'" in told
    assert told.endswith("Failed:\n  tests/one/test_broken.py\n\nslow: 2 passed, 0 failed, 0 skipped\n")
