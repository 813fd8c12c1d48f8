"""Completion in shells: the words that are offered, and the scripts that ask for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("argcomplete")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder whose ``bin`` has the command ``lince``."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "lince"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lince "$@"\n', "utf-8")
    program.chmod(0o755)
    return tmp_path


def complete(line: str, place: Path) -> set[str]:
    """Return what is offered at the end of ``line``, as PowerShell asks."""
    answer = place / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SHELL": "powershell"}
    subprocess.run([sys.executable, "-m", "lince"], env={**os.environ, **asked}, cwd=place, check=True)
    return {word.strip() for word in answer.read_text("utf-8").splitlines()}


def test_verbs_options_values_and_files_are_completed(place: Path) -> None:
    (place / "photos").mkdir()
    assert complete("lince pre", place) == {"predict"}
    assert {"--recipe", "--resume"} <= complete("lince train photos --re", place)
    assert complete("lince export run --to open", place) == {"openvino"}
    assert complete("lince check ph", place) == {"photos/"}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lince train photos --recipe ", {"transfer", "finetune", "scratch", "all"}),
        ("lince train photos --model s", {"small"}),
        ("lince train photos --model yolox", {"yolox-nano", "yolox-tiny"}),
        ("lince train photos --format v", {"voc", "via"}),
        ("lince train photos --precision ", {"auto", "fp32", "bf16"}),
        ("lince train photos --augment m", {"medium"}),
        ("lince check photos --format lab", {"labelme", "labelstudio"}),
        ("lince convert photos new --to yo", {"yolo"}),
        ("lince predict run photos --to yo", {"yolo"}),
        ("lince models sm", {"small"}),
    ],
)
def test_values_are_completed_that_options_do_not_restrict(place: Path, line: str, offered: set[str]) -> None:
    assert offered <= complete(line, place)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_gets_a_script_that_it_can_read(place: Path, shell: str) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "lince", "completion", shell], capture_output=True, encoding="utf-8", check=True
    )
    assert "lince" in made.stdout
    program = shutil.which({"powershell": "pwsh"}.get(shell, shell))
    if program and shell != "powershell":
        subprocess.run([program, "-n"], input=made.stdout, encoding="utf-8", check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
def test_bash_completes_after_the_script_was_read(place: Path) -> None:
    steps = """
    eval "$(lince completion bash)"
    COMP_LINE="lince tra" COMP_POINT=9 COMP_WORDBREAKS=" "
    _python_argcomplete lince
    echo "<${COMPREPLY[0]}>"
    """
    there = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", steps], env=there, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip().replace(" ", "") == "<train>"
