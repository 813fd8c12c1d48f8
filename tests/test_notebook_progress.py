"""Progress in notebooks: bars and messages in one output of the cell; nothing where there is no notebook."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import lince
from lince.display import find_notebook_shell
from lince.i18n import use_language
from lince.notebook_progress import AutomaticProgress


class Kernel:
    """What is used of IPython in a notebook: the number of the cell, and outputs that are updated in place."""

    def __init__(self) -> None:
        self.shell: Any = SimpleNamespace(kernel=object(), execution_count=1)
        self.outputs: list[list[dict[str, str]]] = []

    def display(self, bundle: dict[str, str], raw: bool, display_id: bool) -> Any:
        assert (raw, display_id) == (True, True)
        states = [bundle]
        self.outputs.append(states)
        return SimpleNamespace(update=lambda bundle, raw: states.append(bundle))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    module: Any = ModuleType("IPython")
    module.get_ipython = lambda: kernel.shell
    module.display = SimpleNamespace(display=kernel.display)
    monkeypatch.setitem(sys.modules, "IPython", module)
    return kernel


def test_a_bar_moves_and_disappears(kernel: Kernel) -> None:
    progress = AutomaticProgress()
    progress.show_message("Skipped <b>: use --overwrite")
    with progress.open_stage("Reading <photos>", 2000) as stage, progress.open_stage("inner", 3):
        stage.advance(1500, note="loss <1>")
    (states,) = kernel.outputs
    assert "--overwrite" not in states[0]["text/html"]
    assert "overwrite=True" in states[0]["text/html"]
    inner = states[2]["text/html"]
    assert inner.count('role="progressbar"') == 2
    assert "Reading &lt;photos&gt;" in inner
    after = states[-2]["text/html"]
    assert "1,500 of 2,000" in after
    assert "loss &lt;1&gt;" in after
    assert "width:75.0%" in after
    assert "progressbar" not in states[-1]["text/html"]
    assert states[-1]["text/plain"] == "Skipped <b>: use overwrite=True"


def test_it_is_updated_a_few_times_a_second(kernel: Kernel) -> None:
    with AutomaticProgress().open_stage("Reading", 10_000) as stage:
        for _step in range(10_000):
            stage.advance()
    assert len(kernel.outputs[0]) < 100


def test_each_cell_has_its_own_output_in_the_language_of_the_user(kernel: Kernel) -> None:
    progress = AutomaticProgress()
    with use_language("es"), progress.open_stage("uno", 12_345):
        assert "0 de 12\u202f345" in kernel.outputs[0][-1]["text/html"]
    kernel.shell.execution_count = 2
    progress.show_message("two")
    assert len(kernel.outputs) == 2


def test_many_messages_are_bounded_and_counted(kernel: Kernel) -> None:
    progress = AutomaticProgress()
    for number in range(250):
        progress.show_message(f"line {number}")
    text = kernel.outputs[0][-1]["text/plain"]
    assert text.splitlines()[0] == "(50 earlier messages are not shown)"
    assert text.splitlines()[-1] == "line 249"
    assert len(text.splitlines()) == 201


def test_functions_show_it_by_themselves(kernel: Kernel) -> None:
    lince.check("lince:digits")
    assert any("progressbar" in state["text/html"] for state in kernel.outputs[0])


@pytest.mark.parametrize("shell", [None, SimpleNamespace(execution_count=1)])
def test_nothing_is_shown_outside_of_a_notebook(kernel: Kernel, shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.shell = shell  # a script; IPython in a terminal
    assert find_notebook_shell() is None
    progress = AutomaticProgress()
    progress.show_message("quiet")
    with progress.open_stage("quiet", 3) as stage:
        stage.advance()
    assert kernel.outputs == []
    assert capsys.readouterr() == ("", "")
