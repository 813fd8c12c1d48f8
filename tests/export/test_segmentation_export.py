"""Export of segmentation models: every target, class maps in the graph, mean IoU before and after, planted faults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_segmenter

import lince
from lince.class_maps import draw_class_map
from lince.cli.main import main
from lince.datasets import Dataset, open_dataset
from lince.errors import ModelError
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.inference.backends import backend
from lince.inference.load import load
from lince.splits import TEST, TRAIN, VAL
from lince.tasks import get_task

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from lince.export import model_outputs, standalone  # noqa: E402
from lince.export.agreement import TOLERANCES  # noqa: E402
from lince.export.model_outputs import EvaluationImages  # noqa: E402
from lince.export.pipeline import ExportInput, ExportOptions, export_model  # noqa: E402
from lince.export.segmentation import outputs as segmentation_outputs  # noqa: E402
from lince.export.segmentation.outputs import collect_outputs  # noqa: E402
from lince.export.targets import TARGETS  # noqa: E402
from lince.export.validator import TRAINED_TOLERANCE  # noqa: E402

# Every target that can be opened again and takes no seconds to convert to.
FORMS = [
    pytest.param(
        name,
        precision,
        marks=[pytest.mark.slow] if name in ("torchscript", "torch-export", "litert") else [],
        id=f"{name} {precision}",
    )
    for name, target in TARGETS.items()
    if target.open
    for precision in target.precisions
    if precision != "int8"
]


@pytest.fixture(autouse=True)
def _short_races(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure speeds in a few calls: no test checks a duration."""
    monkeypatch.setattr(model_outputs, "_MAX_ROUNDS", 4)


@pytest.fixture
def dataset(awkward: Path) -> Dataset:
    """Return photos with one to three coloured boxes, a third each for train, val and test."""
    dataset = get_task("segment").select_usable(open_dataset(tiny_segmenter.write_masks(awkward / "fotos")))
    splits = np.array([(TRAIN, VAL, TEST)[row % 3] for row in range(len(dataset))], np.int8)
    return replace(dataset, splits=splits)


def make_input(folder: Path, dataset: Dataset) -> ExportInput:
    def part(split: int) -> Dataset:
        return dataset.select(dataset.get_split_indices(split))

    return ExportInput(folder, EvaluationImages(part(TEST), "test"), part(TRAIN), part(VAL))


@pytest.mark.parametrize(("target", "precision"), FORMS)
def test_an_export_gives_the_class_maps_of_its_run(
    target: str, precision: str, awkward: Path, dataset: Dataset
) -> None:
    for module, _line in TARGETS[target].find_missing():
        pytest.skip(f"no {module} here")
    folder = tiny_segmenter.model_folder(awkward / "model")
    done = export_model(make_input(folder, dataset), ExportOptions(target, precision), awkward / "out")
    tolerance = TOLERANCES[precision]
    assert done.validation is not None
    assert tolerance is not None
    assert done.validation.output_agreement.is_within(tolerance)
    assert done.validation.output_agreement.agreement > 0.999
    assert done.validation.output_agreement.differences["probability"] < tolerance.probability
    record = json.loads((done.path / "card.json").read_text("utf-8"))
    assert record["exported"]["figure"] == "miou"
    assert 0.5 < record["exported"]["quality"]["run"] < 1
    assert record["exported"]["quality"]["export"] == pytest.approx(record["exported"]["quality"]["run"], abs=0.01)
    if target in backend.RUNTIMES:
        photo = tiny_segmenter.photo(("red", 8, 16, 48, 48))
        found = load(done.path).predict(photo).class_map
        assert (found == load(folder).predict(photo).class_map).mean() > 0.999


def test_the_quality_is_the_mean_iou_of_the_labelled_photos(awkward: Path, dataset: Dataset) -> None:
    model = load(tiny_segmenter.model_folder(awkward / "model"))
    photos = EvaluationImages(dataset, "all")
    outputs = collect_outputs(model, photos, with_strips=False)
    joined, shared = np.zeros(4), np.zeros(4)
    for row in range(len(dataset)):
        found = model.predict(dataset.images.read_image(row)).class_map
        truth = draw_class_map(dataset.objects, row, found.shape)
        for value in range(4):
            shared[value] += ((truth == value) & (found == value)).sum()
            joined[value] += ((truth == value) | (found == value)).sum()
    assert outputs.compute_headline_metric(photos) == pytest.approx((shared / joined).mean(), abs=1e-9)
    unlabelled = EvaluationImages(replace(dataset, objects=None, void_masks=None), "all")
    assert collect_outputs(model, unlabelled, with_strips=False).compute_headline_metric(unlabelled) is None


def test_the_recorded_predictions_of_a_run_are_compared(awkward: Path, dataset: Dataset) -> None:
    model = load(tiny_segmenter.model_folder(awkward / "model"))
    photos = EvaluationImages(dataset, "all")
    ours = collect_outputs(model, photos)
    rows = list(range(len(dataset)))
    keys = tuple(map(str, rows))
    recorded = SegmentationPredictions(keys, keys, tuple(item for item in ours.counts if item), model.classes)
    same = ours.compare_with_recorded(rows, recorded, rows, TRAINED_TOLERANCE)
    assert same is not None
    assert (same.agreement, same.lone) == (1.0, 0.0)
    moved = replace(recorded, counts=tuple(_swap_predictions(item) for item in recorded.counts))
    other = ours.compare_with_recorded(rows, moved, rows, TRAINED_TOLERANCE)
    assert other is not None
    assert not other.is_within(TRAINED_TOLERANCE)
    relabelled = ours.compare_with_recorded(rows, recorded, rows[::-1], TRAINED_TOLERANCE)
    assert relabelled is not None  # other photos have another truth, with which nothing is compared
    assert relabelled.is_within(TRAINED_TOLERANCE)


def _swap_predictions(counts: segmentation_outputs.PixelCounts) -> segmentation_outputs.PixelCounts:
    """Return ``counts`` with every prediction exchanged for the next class."""
    cells = counts.cells.copy()
    cells[:, 1] = (cells[:, 1] + 1) % 4
    return replace(counts, cells=cells)


def test_a_network_of_other_numbers_is_refused(
    awkward: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_segmenter.model_folder(awkward / "model")
    target = TARGETS["onnx"]
    write = target.get_writer()

    def damage(source: Path, path: Path, precision: str) -> None:
        write(source, path, precision)
        model = onnx.load(path)
        (bias,) = (one for one in model.graph.initializer if one.name == "bias")
        bias.CopyFrom(onnx.numpy_helper.from_array(np.array([4, 0, 0, 0.5], np.float32), "bias"))
        onnx.save(model, path)

    monkeypatch.setattr(type(target), "get_writer", lambda _target: damage)
    with pytest.raises(ModelError, match="does not reproduce the run"):
        export_model(make_input(folder, dataset), ExportOptions(), awkward / "out")
    assert not (awkward / "out").exists()


@pytest.mark.parametrize("resize", ["squash", "letterbox", "corner"])
def test_a_self_contained_file_has_the_class_map_of_lince(resize: str, awkward: Path) -> None:
    folder = tiny_segmenter.model_folder(awkward / "model", resize=resize)
    shapes = [(64, 96), (200, 90), (64, 64), (30, 400), (7, 5), (3, 300)]
    photos = [
        tiny_segmenter.photo(
            ("red", width // 8, height // 4, width // 2, height), height=height, width=width, seed=height
        )
        for height, width in shapes
    ]
    figures = standalone.export_standalone(folder, awkward / "whole.onnx", photos)
    assert figures.count == len(shapes)
    assert figures.results == sum(height * width for height, width in shapes)
    assert figures.agreement > 0.99
    assert figures.score < 0.05
    run = onnxruntime.InferenceSession(str(awkward / "whole.onnx"))
    assert json.loads(run.get_modelmeta().custom_metadata_map["names"]) == list(tiny_segmenter.NAMES)
    for photo in photos:
        class_map, probabilities = run.run(["class_map", "pixel_probabilities"], {"image": photo})
        assert class_map.dtype == np.uint8
        assert class_map.shape == photo.shape[:2]
        assert probabilities.shape == (4, *photo.shape[:2])
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
        assert (class_map == lince.load(folder).predict(photo).class_map).mean() > 0.98


def test_a_self_contained_file_of_another_map_is_refused(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lince.export.segmentation import standalone as part

    folder = tiny_segmenter.model_folder(awkward / "model")
    add = part.add_postprocess

    def damage(*arguments: object) -> object:
        names, (class_map, probabilities) = add(*arguments)  # type: ignore[arg-type]
        return names, (class_map.apply("Max", 1), probabilities)

    monkeypatch.setattr(part, "add_postprocess", damage)
    photos = [tiny_segmenter.photo(("red", 8, 16, 48, 48), seed=seed) for seed in range(4)]
    with pytest.raises(ModelError, match="different results"):
        standalone.export_standalone(folder, awkward / "whole.onnx", photos)
    assert not (awkward / "whole.onnx").exists()


def test_the_command_line_tells_the_mean_iou_before_and_after(
    awkward: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_segmenter.model_folder(awkward / "model")
    words = ["export", str(folder), "--data", str(awkward / "fotos"), "--out", str(awkward / "out")]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if line.startswith("mIoU"))
    assert row.split()[1] == row.split()[2]
    assert any("agreement 100.0%" in line for line in lines)
