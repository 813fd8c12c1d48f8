"""Earlier formats: model folders and runs of card format 2 open, predict and resume.

``tests/fixtures/format2`` holds a classifier's run, one that was killed, and a detector's model folder, as version
0.1.0 wrote them before card format 3. Their photos are made again by the same code from the same seed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.support import class_photos

import lince
from lince import tasks
from lince.model_card import FORMAT_VERSION, ModelCard
from lince.postprocess import DetectionFilter

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "format2"


def bring(name: str, folder: Path) -> Path:
    """Copy a fixture and its photos into ``folder`` and return it."""
    data = class_photos.folders(folder / "shapes", each=12, side=24)
    run = Path(shutil.copytree(FIXTURES / name, folder / name))
    record = json.loads((run / "data.json").read_text("utf-8"))
    (run / "data.json").write_text(json.dumps(record | {"path": str(data)}), "utf-8")
    return run


def test_a_card_of_format_2_has_todays_names_when_it_is_read(tmp_path: Path) -> None:
    old = json.loads((FIXTURES / "detection-model" / "card.json").read_text("utf-8"))
    assert old["format"] == 2
    assert {"decoding", "keeping"} <= set(old)
    card = ModelCard.load(FIXTURES / "detection-model")
    assert card.decoder == old["decoding"]
    assert card.detection_filter == DetectionFilter(
        score_threshold=old["keeping"]["threshold"],
        iou_threshold=old["keeping"]["overlap"],
        max_detections=old["keeping"]["most"],
    )
    card.save(tmp_path)
    new = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert new["format"] == FORMAT_VERSION == 3
    assert set(new["detection_filter"]) == {"score_threshold", "iou_threshold", "max_detections"}
    assert not {"decoding", "keeping"} & set(new)
    assert ModelCard.load(tmp_path) == card


def test_a_detector_of_format_2_finds_what_it_found() -> None:
    image = np.full((64, 96, 3), 120, np.uint8)
    image[16:32, 32:48] = (230, 0, 0)
    result = lince.load(FIXTURES / "detection-model").predict(image)
    assert result.counts()
    assert result.detections.boxes.shape[1] == 4


def test_a_run_of_format_2_predicts_and_is_evaluated_as_it_was(tmp_path: Path) -> None:
    run = bring("classification-run", tmp_path)
    task, recorded = tasks.load_predictions(run / "predictions.csv")
    model = lince.load(run)
    for name, probabilities in zip(recorded.names, recorded.probabilities, strict=True):
        result = model.predict(tmp_path / "shapes" / name)
        assert result.label.probabilities == pytest.approx(probabilities, abs=1e-5)
    report = json.loads((run / "report.json").read_text("utf-8"))
    assert recorded.compute_metrics().accuracy.value == report["test"][task.headline]["value"]
    shutil.copytree(run, tmp_path / "again")
    assert len(lince.compare([run, tmp_path / "again"]).runs) == 2


def test_a_run_of_format_2_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = lince.export(bring("classification-run", tmp_path))
    assert done.validation is not None
    assert done.validation.drop == 0
    assert json.loads((done.path / "card.json").read_text("utf-8"))["format"] == 3


def test_a_run_of_format_2_that_was_killed_goes_on_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = bring("interrupted-run", tmp_path)
    split = (run / "split.csv").read_bytes()
    resumed = lince.resume(run)
    assert resumed.is_finished
    assert (run / "split.csv").read_bytes() == split
    assert len(resumed.report["history"]) == 40
    assert resumed.report["task"] == "classify"
    config = {"recipe": "scratch", "model": "cnn: conv 8 3, pool, flatten", "size": 16, "seed": 0, "batch": 8}
    whole = lince.train(tmp_path / "shapes", out=tmp_path / "whole", epochs=40, **config)
    for entry, other in zip(resumed.report["history"], whole.report["history"], strict=True):
        assert entry["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)
