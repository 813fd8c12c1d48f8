"""scripts/timm_table.py: the packaged table is what the script makes with the pinned timm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

timm = pytest.importorskip("timm")

from scripts import timm_table  # noqa: E402

PINS = (Path(__file__).resolve().parents[2] / "constraints.txt").read_text("utf-8")


def test_the_table_is_that_of_the_pinned_timm() -> None:
    pinned = re.search(r"^timm==(\S+)$", PINS, re.MULTILINE)
    if pinned is None or pinned[1] != timm.__version__:
        pytest.skip(f"timm {timm.__version__} is not the pinned one")
    assert timm_table.compare_with_file() == []


def test_a_changed_row_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "timm.csv"
    table.write_text(timm_table.make_table().replace("resnet18,a1_in1k,224,", "resnet18,a1_in1k,225,"), "utf-8")
    monkeypatch.setattr(timm_table, "TABLE", table)
    changed = [line for line in timm_table.compare_with_file() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert [line[:24] for line in changed] == ["-resnet18,a1_in1k,225,im", "+resnet18,a1_in1k,224,im"]
    assert timm_table.main(["write"]) == 0
    assert timm_table.compare_with_file() == []
