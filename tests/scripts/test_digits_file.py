"""scripts/digits_file.py: the packaged digits file is what the script makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_file_holds_what_the_script_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("lince_digits_script", ROOT / "scripts" / "digits_file.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    kept = script.TARGET
    monkeypatch.setattr(script, "TARGET", tmp_path / "digits.npz")
    script.main()
    assert kept.stat().st_size < 60_000
    with np.load(kept, allow_pickle=False) as ours, np.load(script.TARGET, allow_pickle=False) as made:
        assert sorted(ours) == sorted(made) == ["labels", "pixels"]
        for name in ours:
            assert ours[name].dtype == np.uint8
            assert np.array_equal(ours[name], made[name])
