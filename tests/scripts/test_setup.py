"""Set-up scripts: find a working Python, explain a missing one, and repair an incomplete environment."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="make and sh are not Windows's")


def find(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run find-python with ``folder`` as the only PATH entry."""
    command = ["/bin/sh", ROOT / "scripts" / "find-python"]
    return subprocess.run(
        command, env={"PATH": str(folder), **environment}, capture_output=True, text=True, check=False
    )


def command(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    (folder / name).chmod(0o755)


def test_a_command_that_fails_is_skipped(awkward: Path) -> None:
    command(awkward, "python3.13", "echo 'not installed' >&2; exit 127")
    command(awkward, "python3", f'exec "{sys.executable}" "$@"')
    done = find(awkward)
    assert done.returncode == 0
    assert Path(done.stdout.strip()).samefile(sys.executable)


def test_the_python_that_is_named_comes_first(awkward: Path) -> None:
    command(awkward, "python3.12", "echo /wrong")
    command(awkward, "mine", "echo /chosen")
    assert find(awkward, PYTHON="mine").stdout.strip() == "/chosen"


def test_without_any_python_it_says_what_to_do(awkward: Path) -> None:
    command(awkward, "python3", "exit 1")
    done = find(awkward)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Found no Python 3.11 or later" in done.stderr
    assert "make demo PYTHON=" in done.stderr


def test_a_python_without_venv_is_named(awkward: Path) -> None:
    command(awkward, "tail", "echo 'No module named ensurepip'")
    command(
        awkward, "python3", 'case "$2" in *ensurepip*) echo "No module named ensurepip" >&2; exit 1;; *) exit 0;; esac'
    )
    done = find(awkward)
    assert done.returncode == 1
    assert "No module named ensurepip" in done.stderr
    assert "python3-venv" in done.stderr


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the set-up script with its two slow steps recorded instead of run."""
    spec = importlib.util.spec_from_file_location("lince_environment_script", ROOT / "scripts" / "environment.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.done = []

    def make(folder: Path, size: str) -> None:
        module.done.append("make")
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").unlink(missing_ok=True)
        (folder / "bin" / "python").symlink_to(sys.executable)

    def followed(line: list[str]) -> bool:
        extras = line[-1].partition("[")[2].rstrip("]")
        module.done.append(extras or " ".join(line[line.index("--no-deps") :]))
        return "broken" not in line[-1]

    monkeypatch.setattr(module, "_make", make)
    monkeypatch.setattr(module, "_followed", followed)
    return module


def test_the_second_time_does_nothing_and_more_extras_are_added(environment: ModuleType, awkward: Path) -> None:
    for extras in (["train"], ["train"], ["train", "dev"], ["train"]):
        assert environment.main([str(awkward / "venv"), *extras]) == 0
    assert environment.done == ["make", "train", "dev,train", "--no-deps openvino"]


def test_an_incomplete_environment_is_made_again(environment: ModuleType, awkward: Path) -> None:
    place = str(awkward / "venv")
    assert environment.main([place, "broken"]) == 1
    assert environment.main([place, "train"]) == 0
    assert environment.done == ["make", "broken", "make", "train"]


def test_a_change_of_the_pins_brings_it_up_to_date(environment: ModuleType, awkward: Path, monkeypatch) -> None:
    place = str(awkward / "venv")
    environment.main([place, "train"])
    monkeypatch.setattr(environment, "SOURCES", ("README.md",))
    environment.main([place])
    assert environment.done == ["make", "train", "train"]


@pytest.mark.parametrize("damage", ["python", "stamp", "moved"])
def test_a_damaged_one_is_made_anew(environment: ModuleType, awkward: Path, damage: str) -> None:
    place = awkward / "venv"
    environment.main([str(place), "train"])
    stamp = place / environment.STAMP
    if damage == "python":
        (place / "bin" / "python").unlink()
    elif damage == "stamp":
        stamp.write_text("{", "utf-8")
    else:
        stamp.write_text(json.dumps({**json.loads(stamp.read_text("utf-8")), "home": "elsewhere"}), "utf-8")
    environment.main([str(place), "train"])
    assert environment.done == ["make", "train", "make", "train"]


LOCALES = (
    {"LC_ALL": "C", "PYTHONUTF8": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
    {"LC_ALL": "C"},
    {},
    {"LC_ALL": "C.UTF-8"},
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment without libraries, in a folder with an accent, with the path file that pip writes there."""
    clone = tmp_path_factory.mktemp("clone") / "Área de Trabalho" / "lince"
    clone.mkdir(parents=True)
    (clone / "src").symlink_to(ROOT / "src")
    venv.create(clone / ".venv")
    packages = next((clone / ".venv" / "lib").glob("python*/site-packages"))
    (packages / "_editable_impl_lince.pth").write_text(str(clone / "src"), "utf-8")
    return clone / ".venv"


def version(bare: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``lince --version`` in a process that knows no other environment variables."""
    command = [bare / "bin" / "python", "-m", "lince", "--version"]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)


def test_lince_starts_from_any_folder_under_any_locale(environment: ModuleType, bare: Path) -> None:
    environment._escape_path_files(bare)
    path_file = next(bare.glob("lib/python*/site-packages/*lince.pth"))
    assert path_file.read_bytes().isascii()
    for locale in LOCALES:
        done = version(bare, **locale)
        assert (done.returncode, done.stdout[:6]) == (0, "lince "), (locale, done.stderr)
    written = path_file.read_bytes()
    environment._escape_path_files(bare)
    assert path_file.read_bytes() == written


def test_make_runs_the_script_in_utf8_mode() -> None:
    lines = [line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if "scripts/environment.py" in line]
    assert lines
    assert all('PYTHONUTF8=1 "$$python" scripts/environment.py' in line for line in lines)
