"""Toy task: a counting task defined in the test trains, evaluates, predicts and reports."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests.support import box_photos

import lince
from lince import tasks
from lince.annotations import Classes
from lince.cli.main import main
from lince.datasets import Dataset, compute_content_keys, open_dataset, verify_images
from lince.errors import UsageError
from lince.evaluation.confidence import ConfidenceInterval, compute_proportion_interval
from lince.evaluation.report import Report
from lince.inference.image_loading import PreparedImage
from lince.inference.predictor import Predictor
from lince.inference.result import PredictionResult
from lince.model_card import NETWORK_FILE, ModelCard
from lince.preprocess import PreprocessSpec, normalise_images
from lince.progress import SILENT, Progress
from lince.splits import TEST, TRAIN
from lince.tasks import Task
from lince.training.request import TrainingRequest, assign_splits
from lince.training.run_folder import PREDICTIONS_FILE, TrainingRun
from lince.training.run_report import collect_data_facts, collect_model_facts, write_report_files

SPEC = PreprocessSpec(16, 16)
HEADER = ("key", "name", "counted", "predicted")


class CountingTask(Task):
    """The task of counting the objects of an image."""

    name = "count"
    headline = "accuracy"
    parts: ClassVar[Mapping[str, str]] = {
        "train": f"{__name__}:train_counter",
        "predictor": f"{__name__}:CountPredictor",
        "evaluate": f"{__name__}:evaluate_counter",
        "predictions": f"{__name__}:CountPredictions",
    }

    @property
    def title(self) -> str:
        return "counting"

    @property
    def label_name(self) -> str:
        return "objects"

    def fits(self, dataset: Dataset) -> bool:
        return dataset.objects is not None and len(dataset.objects) > 0

    def usable_rows(self, dataset: Dataset) -> NDArray[np.bool_]:
        return np.full(len(dataset), dataset.objects is not None)


@dataclass(frozen=True)
class CountMetrics:
    """The fraction of ``count`` images whose count is exact, with its interval."""

    count: int
    accuracy: ConfidenceInterval

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count, "accuracy": self.accuracy.to_dict()}


@dataclass(frozen=True, eq=False)
class CountPredictions:
    """True and predicted counts (N,)."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.int64]
    predicted: NDArray[np.float64]

    def compute_metrics(self) -> CountMetrics:
        exact = np.rint(self.predicted) == self.truth
        return CountMetrics(
            len(exact), compute_proportion_interval(int(exact.sum()), len(exact), np.random.default_rng(0))
        )

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([HEADER, *zip(self.keys, self.names, self.truth, self.predicted, strict=True)])

    @staticmethod
    def is_own_file(path: Path) -> bool:
        return path.read_text("utf-8").startswith(",".join(HEADER))

    @classmethod
    def load(cls, path: Path) -> CountPredictions:
        rows = list(csv.reader(path.read_text("utf-8").splitlines()))[1:]
        keys, names, truth, predicted = zip(*rows, strict=True)
        return cls(keys, names, np.array(truth, np.int64), np.array(predicted, np.float64))


@dataclass(frozen=True, eq=False)
class CountResult(PredictionResult):
    """The predicted number of objects of one image."""

    task: ClassVar[str] = "count"
    name: str
    number: float
    path: str | None = None
    source: Any = field(default=None, repr=False)
    columns: ClassVar[tuple[str, ...]] = ("file", "number")

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        return {"file": self.name, "number": round(self.number, 3)}

    def to_rows(self) -> list[dict[str, Any]]:
        return [self.to_dict()]

    def draw(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return image


class CountPredictor(Predictor):
    """Runs the network, whose output is linear in the image's mean."""

    task = "count"

    def predict_prepared(self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()) -> list[CountResult]:
        batch = normalise_images([image.image for image in prepared], self.card.preprocess)
        numbers = self.backend.run(batch, ("number",))[0].reshape(-1)
        return [
            CountResult(name, float(number))
            for name, number in zip(names or [""] * len(prepared), numbers, strict=True)
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class CountReport(Report):
    """A report with the common sections only."""

    metrics: CountMetrics

    @property
    def primary_metric(self) -> ConfidenceInterval:
        return self.metrics.accuracy


def true_counts(dataset: Dataset) -> NDArray[np.int64]:
    assert dataset.objects is not None
    return np.diff(dataset.objects.starts)


def evaluate_counter(
    predictor: CountPredictor, dataset: Dataset, progress: Progress = SILENT
) -> tuple[CountPredictions, CountMetrics]:
    images = [dataset.images.read_image(row) for row in range(len(dataset))]
    numbers = [predictor.predict(image).number for image in images]
    names = tuple(dataset.images.get_name(row) for row in range(len(dataset)))
    predictions = CountPredictions(
        tuple(compute_content_keys(dataset)), names, true_counts(dataset), np.array(numbers, np.float64)
    )
    return predictions, predictions.compute_metrics()


def train_counter(request: TrainingRequest, target: TrainingRun) -> CountReport:
    dataset = verify_images(request.dataset, request.progress)
    keys = compute_content_keys(dataset)
    dataset = assign_splits(request, target, dataset, keys).dataset
    rows = dataset.get_split_indices(TRAIN)
    means = [normalise_images([dataset.images.read_image(int(row), (16, 16))[:16, :16]], SPEC).mean() for row in rows]
    slope, bias = np.polyfit(means, true_counts(dataset)[rows], 1)
    write_network(target.model_folder / NETWORK_FILE, float(slope), float(bias))
    card = ModelCard("count", dataset.classes, SPEC, model="line", licence="none", source="")
    card.save(target.model_folder)
    predictor = lince.load(target.folder)
    predictions, metrics = evaluate_counter(predictor, dataset.select(dataset.get_split_indices(TEST)))
    predictions.save(target.folder / PREDICTIONS_FILE)
    facts = {"name": "line", "source": "", "licence": "none", "params": 2, "trainable": 2, "macs": 1, "layers": []}
    report = CountReport(
        title="counting", task="count", recipe=request.config.recipe, metrics=metrics,
        data=collect_data_facts(dataset, keys), model=collect_model_facts(facts, SPEC),
    )  # fmt: skip
    write_report_files(target, report)
    return report


def write_network(path: Path, slope: float, bias: float) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["number"]),
    ]
    constants = {"slope": np.float32(slope), "bias": np.float32(bias)}
    graph = helper.make_graph(
        nodes,
        "line",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("number", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the task for one test; its parts are looked up in this module."""
    known: Mapping[str, Task] = dict(tasks._TASKS)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    tasks.register_task(CountingTask())
    yield
    tasks._TASKS.clear()
    tasks._TASKS.update(known)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return box_photos.yolo(tmp_path / "niño ç", {"train": 12, "val": 2, "test": 6})


def test_a_set_that_fits_it_too_is_asked_about(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='task="detect" or task="count"'):
        lince.train(data, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_it_trains_evaluates_predicts_and_reports(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["train", str(data), "--task", "count", "--recipe", "scratch", "--out", str(out)]) == 0
    assert "accuracy: {" in capsys.readouterr().out
    run = TrainingRun(out)
    assert run.report["task"] == run.config.task == "count"
    assert "<h1>counting</h1>" in run.report_page.read_text("utf-8")
    assert (out / "report.md").read_text("utf-8").startswith("# counting")

    assert main(["evaluate", str(out), str(data)]) == 0
    assert "accuracy: {" in capsys.readouterr().out
    result = lince.evaluate(out, data)
    assert result.metrics.to_dict() == run.report["test"]

    photo = sorted((data / "images" / "test").iterdir())[0]
    assert main(["predict", str(out), str(photo), "--save", str(tmp_path / "answers")]) == 0
    assert f"{photo.name}  number" in capsys.readouterr().out
    assert (tmp_path / "answers" / "predictions.json").is_file()
    assert lince.load(out).predict(photo).number == pytest.approx(result.predictions.predicted[0], abs=1e-5)


def test_options_of_other_tasks_are_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lince.train(data, task="count", recipe="scratch", out=tmp_path / "run")
    photo = next((data / "images" / "test").iterdir())
    assert main(["predict", str(tmp_path / "run"), str(photo), "--top", "2"]) == 2
    assert "--top" in capsys.readouterr().err


def test_what_it_has_no_part_for_is_refused_with_its_name(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(lince.train(data, task="count", recipe="scratch", out=tmp_path / "run").folder)
    for words, part in (
        (["compare", run, run], "compare"),
        (["export", run], "outputs"),
        (["export", run, "--self-contained"], "standalone"),
        (["serve", run, "--port", "0"], "http"),
        (["models", "--task", "count"], "list_models"),
    ):
        assert main(words) == 2, words
        assert f"counting has no '{part}'" in capsys.readouterr().err


def test_its_predictions_are_told_from_those_of_others(data: Path, tmp_path: Path) -> None:
    run = lince.train(data, task="count", recipe="scratch", out=tmp_path / "run")
    task, predictions = tasks.load_predictions(run.folder / PREDICTIONS_FILE)
    assert task.name == "count"
    assert predictions.compute_metrics().to_dict() == run.report["test"]


def test_the_images_are_those_of_the_dataset(data: Path) -> None:
    assert open_dataset(data).classes == Classes(box_photos.NAMES)
