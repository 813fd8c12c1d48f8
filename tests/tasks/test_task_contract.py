"""Task contract: every task trains, resumes, evaluates, compares, predicts, exports, serves and reports."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.support.task_samples import SAMPLES, TaskSample

import lince
from lince import tasks
from lince.annotations import RejectedItem
from lince.cli.main import main
from lince.datasets import open_dataset
from lince.errors import AmbiguousError, UsageError
from lince.evaluation.report import Report
from lince.inference.result import PredictionResult
from lince.model_card import ModelCard
from lince.progress import SILENT
from lince.tasks import Task, list_tasks
from lince.tasks.task import PartName

NAMES = [task.name for task in list_tasks()]
ASKED_FOR = {"instances"}  # chosen by --task alone: their labels suit another task first


@dataclass(frozen=True)
class Trained:
    """A task with its sample, its data on disk, and a run of it."""

    task: Task
    sample: TaskSample
    data: Path
    run: Any


class Interrupting(type(SILENT)):
    """Raises KeyboardInterrupt at the first message of the second epoch."""

    def __init__(self) -> None:
        self.epochs = 0

    def show_message(self, text: str) -> None:
        self.epochs += text.lower().startswith("epoch ")
        if self.epochs == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module", params=NAMES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("Área de Trabalho")
    sample = SAMPLES[request.param]
    data = sample.write(root / "niño ç")
    run = lince.train(data, task=request.param, out=root / "run", **sample.config)
    return Trained(tasks.get_task(request.param), sample, data, run)


def skip_without(task: Task, *parts: PartName) -> None:
    """Skip the test where ``task`` lacks one of ``parts``: then the commands that need it refuse its models."""
    for part in parts:
        if not task.has_part(part):
            pytest.skip(f"{task.name} has no {part}")


def test_every_task_has_a_sample() -> None:
    assert set(NAMES) == set(SAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_of_a_task_are_there(name: str) -> None:
    task = tasks.get_task(name)
    assert task.title
    assert task.label_name
    assert all(callable(task.load_part(part)) or task.load_part(part) is not None for part in task.parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_fits_its_sample_and_others_are_refused_or_asked_about(name: str, tmp_path: Path) -> None:
    dataset = open_dataset(SAMPLES[name].write(tmp_path / "data"))
    fitting = {task.name for task in list_tasks() if task.fits(dataset)}
    assert name in fitting
    assert tasks.resolve_task(dataset, name).name == name
    for other in set(NAMES) - fitting:
        with pytest.raises(UsageError, match="has no labels for"):
            tasks.resolve_task(dataset, other)
    suiting = [task.name for task in list_tasks() if task.suits(dataset)]
    assert (name in suiting) == (name not in ASKED_FOR)
    if len(suiting) == 1:
        assert tasks.resolve_task(dataset).name == suiting[0]
    else:
        with pytest.raises(AmbiguousError):
            tasks.resolve_task(dataset)


def test_the_name_of_the_task_stands_in_run_report_and_card(trained: Trained) -> None:
    name = trained.task.name
    assert trained.run.config.task == name
    assert trained.run.report["task"] == name
    assert ModelCard.load(trained.run.model_folder).task == name
    headline = trained.run.report["test"][trained.task.headline]
    assert headline["low"] <= headline["value"] <= headline["high"]


def test_the_report_has_its_three_forms(trained: Trained) -> None:
    folder = trained.run.folder
    page, text = (folder / "report.html").read_text("utf-8"), (folder / "report.md").read_text("utf-8")
    assert "<script" not in page
    assert page.count("<section") >= 4
    assert text.startswith("# ")
    assert text.count("\n## ") >= 4
    assert json.loads((folder / "report.json").read_text("utf-8"))["test"]["count"] > 0


def test_an_interrupted_run_is_resumed_to_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        lince.train(
            trained.data, task=trained.task.name, out=tmp_path / "b", progress=Interrupting(), **trained.sample.config
        )
    assert not (tmp_path / "b" / "report.json").exists()
    resumed = lince.resume(tmp_path / "b")
    for name in ("predictions.csv", "split.csv"):
        assert (resumed.folder / name).read_bytes() == (trained.run.folder / name).read_bytes()


def test_evaluating_the_run_on_its_own_data_gives_the_figures_of_its_report(trained: Trained, tmp_path: Path) -> None:
    result = lince.evaluate(trained.run.folder, _test_part(trained))
    assert result.task == trained.task.name
    assert result.metrics.to_dict()[trained.task.headline]["value"] == pytest.approx(
        trained.run.report["test"][trained.task.headline]["value"], abs=1e-6
    )
    result.predictions.save(tmp_path / "predictions.csv")
    task, loaded = tasks.load_predictions(tmp_path / "predictions.csv")
    assert task is trained.task
    assert loaded.keys == result.predictions.keys


def _test_part(trained: Trained) -> Any:
    """Return the dataset with the run's split."""
    from lince.api.export import _open_run_dataset

    return _open_run_dataset(trained.run, SILENT)


def test_a_run_equals_its_copy(trained: Trained, tmp_path: Path) -> None:
    skip_without(trained.task, "compare")
    shutil.copytree(trained.run.folder, tmp_path / "copy")
    comparison = lince.compare([trained.run.folder, tmp_path / "copy"])
    view = comparison.build_view()
    assert len(view.runs.rows) == len(view.intervals) == 2
    assert len({len(row) for row in view.runs.rows} | {len(view.runs.header)}) == 1
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_runs_of_two_tasks_are_not_compared(trained: Trained, tmp_path: Path) -> None:
    others = [name for name in NAMES if name != trained.task.name]
    for other in others:
        data = SAMPLES[other].write(tmp_path / other)
        run = lince.train(data, task=other, out=tmp_path / f"run-{other}", **{**SAMPLES[other].config, "epochs": 1})
        with pytest.raises(lince.LinceError, match="different tasks"):
            lince.compare([trained.run.folder, run.folder])


def test_prediction_keeps_order_and_goes_on_past_a_damaged_photo(trained: Trained, tmp_path: Path) -> None:
    photos = sorted(trained.data.rglob("*.png"))[:3]
    (tmp_path / "broken.png").write_bytes(b"no photo")
    where = [photos[0], tmp_path / "broken.png", *photos[1:]]
    results = list(lince.load(trained.run.folder).predict_many(where))
    assert [isinstance(result, PredictionResult) for result in results] == [True, False, True, True]
    assert isinstance(results[1], RejectedItem)
    assert {result.task for result in results if isinstance(result, PredictionResult)} == {trained.task.name}
    single = lince.load(trained.run.folder).predict(photos[0])
    assert single.to_dict().keys() == results[0].to_dict().keys()
    folder = lince.save_answers(results, tmp_path / "answers")
    assert any(path.suffix == ".json" for path in folder.iterdir())


def test_a_threshold_is_taken_or_refused_as_the_task_says(trained: Trained) -> None:
    model = lince.load(trained.run.folder)
    if trained.sample.option[0] == "threshold":
        thresholds = trained.task.load_part("http").list_thresholds(model.with_threshold(0.9).card)
        np.testing.assert_allclose(thresholds, 0.9)
    else:
        with pytest.raises(UsageError, match="score threshold"):
            model.with_threshold(0.9)


def test_the_command_line_predicts_and_refuses_options_of_other_tasks(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = str(sorted(trained.data.rglob("*.png"))[0])
    assert main(["predict", str(trained.run.folder), photo]) == 0
    assert Path(photo).name in capsys.readouterr().out
    name, value = trained.sample.foreign_option
    assert main(["predict", str(trained.run.folder), photo, f"--{name}", str(value)]) == 2
    assert f"--{name}" in capsys.readouterr().err
    assert main(["evaluate", str(trained.run.folder), str(trained.data)]) == 0
    if trained.task.has_part("list_models"):
        assert main(["models", "--task", trained.task.name]) == 0


def test_an_export_answers_as_its_run(trained: Trained, tmp_path: Path) -> None:
    skip_without(trained.task, "outputs")
    done = lince.export(trained.run.folder, out=tmp_path / "export")
    assert done.validation is not None
    assert done.validation.drop == 0


def test_one_file_from_pixels_to_results_answers_as_its_run(trained: Trained, tmp_path: Path) -> None:
    skip_without(trained.task, "standalone")
    path, report = lince.contain(trained.run.folder, tmp_path / "alone.onnx")
    assert path.is_file()
    assert report.agreement >= 0.98


def test_the_server_predicts_documents_and_keeps_corrections(trained: Trained, tmp_path: Path) -> None:
    skip_without(trained.task, "http")
    from starlette.testclient import TestClient

    from lince.serving.app import create_app
    from lince.serving.model_registry import ModelRegistry
    from lince.serving.prometheus import ServerMetrics
    from lince.serving.settings import ServerSettings

    photo = sorted(trained.data.rglob("*.png"))[0].read_bytes()
    settings = ServerSettings(corrections_folder=tmp_path / "corrections")
    models = ModelRegistry(settings, ServerMetrics())
    models.add(trained.run.folder, "m")
    app = create_app(models, settings)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        body = {"images": [base64.b64encode(photo).decode()]}
        name, value = trained.sample.option
        answer = client.post("/v1/predict", json={**body, name: value})
        assert answer.status_code == 200, answer.text
        record = answer.json()["predictions"][0]
        trained.task.load_part("http").Record.model_validate(record)
        foreign, wrong = trained.sample.foreign_option
        assert client.post("/v1/predict", json={**body, foreign: wrong}).status_code == 422
        assert client.get("/v1/models").json()["models"][0]["task"] == trained.task.name
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        assert trained.task.load_part("http").Record.__name__ in schemas
        kept = client.post("/v1/corrections", files={"image": ("a.png", photo)}, data=trained.sample.correction(record))
        assert kept.status_code == 201, kept.text
    kept_photos = [path for path in (tmp_path / "corrections").rglob("*.png") if path.read_bytes() == photo]
    assert len(kept_photos) == 1


def test_every_report_is_a_report(trained: Trained) -> None:
    assert len(_find_subclasses(Report)) >= len(NAMES)


def _find_subclasses(cls: type) -> set[type]:
    return {found for child in cls.__subclasses__() for found in (child, *_find_subclasses(child))}


def test_probabilities_and_scores_are_finite(trained: Trained) -> None:
    for result in lince.load(trained.run.folder).predict_many(sorted(trained.data.rglob("*.png"))):
        values = [value for value in _numbers(result.to_dict()) if isinstance(value, float)]
        assert np.isfinite(values).all()


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [value]
