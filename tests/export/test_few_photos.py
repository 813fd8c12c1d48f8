"""Exports on few photos: INT8 with less than a batch, and verdicts that so few photos cannot give."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")

from tests.support.class_photos import folders

import lince
from lince.cli.main import main
from lince.errors import ModelError
from lince.export import standalone
from lince.export.standalone import StandaloneReport
from lince.export.validator import describe_coarse_validation
from lince.training.run_folder import TrainingRun


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """Return a run on three training, three validation and three test photos."""
    root = tmp_path_factory.mktemp("pocas")
    choices = {"recipe": "scratch", "model": "cnn", "size": 64, "epochs": 1, "batch": 4, "val": 0.3, "test": 0.3}
    return lince.train(folders(root / "fotos", each=3, side=64), out=root / "run", **choices)


def test_int8_with_fewer_photos_than_a_batch_ends_in_a_file_or_in_a_clear_refusal(run, tmp_path, capsys):
    code = main(["export", str(run.folder), "--int8", "--out", str(tmp_path / "int8")])
    told = capsys.readouterr().err
    assert "the value ranges for INT8 come from only 3 photos" in told
    assert told.count("one of 3 photos is 33.3 percentage points") == 1
    assert (code == 0) == (tmp_path / "int8" / "card.json").is_file()
    assert code == 0 or "Error:" in told


def test_a_self_contained_file_is_compared_on_photos_beyond_a_small_test_split(run, tmp_path):
    assert lince.contain(run.folder, tmp_path / "one.onnx")[1].count == 9
    assert lince.contain(run.folder, tmp_path / "two.onnx", count=4)[1].count == 4


@pytest.mark.parametrize(
    ("agreement", "results", "sufficient", "noted"),
    [
        (1.0, 48, True, False),
        (47 / 48, 48, True, True),  # one of 48 may differ by chance
        (0.98, 1000, True, False),
        (0.96, 1000, False, False),
        (0.90, 60, False, False),
        (2 / 3, 3, False, False),  # too few to decide, and a third differs
    ],
)
def test_too_low_an_agreement_is_refused_where_chance_does_not_explain_it(agreement, results, sufficient, noted):
    report = StandaloneReport(8, 0.1, 0.0, agreement, results)
    assert report.is_sufficient == sufficient
    assert bool(report.note) == noted


def test_an_undecided_agreement_is_kept_and_said(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(standalone, "compare_standalone", lambda *_a: StandaloneReport(8, 0.1, 0.0, 47 / 48, 48))
    assert main(["export", str(run.folder), "--self-contained", "--out", str(tmp_path / "a.onnx")]) == 0
    assert "1 of 48 results differ" in capsys.readouterr().out
    assert main(["export", str(run.folder), "--self-contained", "--out", str(tmp_path / "b.onnx"), "--json"]) == 0
    assert "1 of 48" in json.loads(capsys.readouterr().out)["note"]
    monkeypatch.setattr(standalone, "compare_standalone", lambda *_a: StandaloneReport(8, 0.1, 0.0, 40 / 48, 48))
    with pytest.raises(ModelError, match="8 of 48 differ from lince's"):
        lince.contain(run.folder, tmp_path / "c.onnx")
    assert not (tmp_path / "c.onnx").exists()


def test_photos_that_cannot_show_a_drop_are_said_to(capsys):
    assert "50.0 percentage points" in describe_coarse_validation(2, 1.0)
    assert "at least 100" in describe_coarse_validation(99, 1.0)
    assert describe_coarse_validation(100, 1.0) == ""
    assert describe_coarse_validation(20, 5.0) == ""
