"""Export of multilabel models: every target, thresholds in the graph, mAP before and after, and planted faults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.export.test_standalone import session
from tests.support import shape_sets, tiny_multilabel

import lince
from lince import images
from lince.datasets import Dataset, open_dataset
from lince.errors import ModelError
from lince.inference.backends import backend
from lince.inference.load import load
from lince.label_sets import LabelSets
from lince.model_card import ModelCard
from lince.postprocess import decide_classes, sigmoid
from lince.splits import TEST, TRAIN, VAL
from lince.tasks import get_task

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from lince.export import int8, model_outputs, onnx_postprocess, standalone  # noqa: E402
from lince.export.agreement import TOLERANCES  # noqa: E402
from lince.export.model_outputs import EvaluationImages  # noqa: E402
from lince.export.multilabel.outputs import collect_outputs  # noqa: E402
from lince.export.onnx_builder import GraphBuilder, GraphValue  # noqa: E402
from lince.export.pipeline import ExportInput, ExportOptions, export_model  # noqa: E402
from lince.export.targets import TARGETS  # noqa: E402

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
    """Return photos with none to three colours, a third each for train, val and test; some have a wrong label."""
    folder, rng = awkward / "fotos", np.random.default_rng(0)
    folder.mkdir()
    names, rows = tiny_multilabel.NAMES, []
    for number in range(24):
        flags = rng.random(3) < 0.5
        shown = [name for name, flag in zip(names, flags, strict=True) if flag]
        path = folder / f"{number:02}.png"
        path.write_bytes(images.encode_png(tiny_multilabel.photo(*shown, height=30 + number, seed=number)))
        wrong = flags ^ (rng.random(3) < 0.15)
        rows.append(f"{path.name},{','.join(map(str, wrong.astype(int)))}")
    (folder / "labels.csv").write_text("\n".join([f"filename,{','.join(names)}", *rows]), "utf-8")
    dataset = get_task("multilabel").select_usable(open_dataset(folder))
    splits = np.array([(TRAIN, VAL, TEST)[row % 3] for row in range(len(dataset))], np.int8)
    return replace(dataset, splits=splits)


def material(folder: Path, dataset: Dataset) -> ExportInput:
    def part(split: int) -> Dataset:
        return dataset.select(dataset.get_split_indices(split))

    return ExportInput(folder, EvaluationImages(part(TEST), "test"), part(TRAIN), part(VAL))


@pytest.mark.parametrize(("target", "precision"), FORMS)
def test_an_export_says_the_classes_that_its_run_says(
    target: str, precision: str, awkward: Path, dataset: Dataset
) -> None:
    for module, _line in TARGETS[target].find_missing():
        pytest.skip(f"no {module} here")
    folder = tiny_multilabel.model_folder(awkward / "model")
    done = export_model(material(folder, dataset), ExportOptions(target, precision), awkward / "out")
    tolerance = TOLERANCES[precision]
    assert done.validation is not None
    assert tolerance is not None
    assert done.validation.output_agreement.is_within(tolerance)
    assert done.validation.output_agreement.agreement == 1.0
    told = json.loads((done.path / "card.json").read_text("utf-8"))
    assert told["exported"]["figure"] == "map"
    assert 0 < told["exported"]["quality"]["run"] < 1
    assert told["exported"]["quality"]["export"] == pytest.approx(told["exported"]["quality"]["run"], abs=0.02)
    assert told["thresholds"] == list(tiny_multilabel.THRESHOLDS)
    if target in backend.RUNTIMES:
        photo = tiny_multilabel.photo("red", "blue")
        assert set(load(done.path).predict(photo).class_names) == {"red", "blue"}


def test_the_quality_is_the_mean_average_precision_of_the_classes_that_occur(awkward: Path, dataset: Dataset) -> None:
    model = load(tiny_multilabel.model_folder(awkward / "model"))
    photos = EvaluationImages(dataset, "all")
    outputs = collect_outputs(model, photos, with_strips=False)
    assert dataset.label_sets is not None
    truth = dataset.label_sets.to_matrix(3)
    expected = np.mean([_average_precision(truth[:, i], outputs.probabilities[:, i]) for i in range(3)])
    assert outputs.compute_headline_metric(photos) == pytest.approx(expected, abs=1e-9)
    only_red = truth & [False, False, True]
    fewer = replace(dataset, label_sets=LabelSets.from_matrix(only_red))
    expected = _average_precision(only_red[:, 2], outputs.probabilities[:, 2])
    assert outputs.compute_headline_metric(EvaluationImages(fewer, "all")) == pytest.approx(expected, abs=1e-9)
    none = replace(dataset, label_sets=LabelSets.from_matrix(np.zeros_like(truth)))
    assert outputs.compute_headline_metric(EvaluationImages(none, "all")) is None


def _average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the sum over distinct scores of precision times the gain in recall, as scikit-learn defines it."""
    found, before = 0.0, 0.0
    for score in np.unique(scores)[::-1]:
        chosen = scores >= score
        recall = truth[chosen].sum() / truth.sum()
        found += (recall - before) * truth[chosen].mean()
        before = recall
    return float(found)


def test_other_thresholds_in_the_exported_card_are_caught(
    awkward: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_multilabel.model_folder(awkward / "model")
    written = ModelCard.to_dict

    def damaged(card: ModelCard) -> dict[str, Any]:
        return {**written(card), "thresholds": [0.5, 0.5, 0.5]}

    monkeypatch.setattr(ModelCard, "to_dict", damaged)
    with pytest.raises(ModelError, match="thresholds"):
        export_model(material(folder, dataset), ExportOptions(), awkward / "out")
    assert not (awkward / "out").exists()


@pytest.mark.slow
def test_eight_bits_are_judged_by_the_mean_average_precision(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(int8, "MIN_SPEEDUP", 0.0)  # such a small network gains nothing
    data = shape_sets.write_table(awkward / "fotos", 60)
    config: dict[str, Any] = {"recipe": "scratch", "model": "cnn: conv 16 3, norm, conv 16 3, gap", "size": 16}
    run = lince.train(data, task="multilabel", out=awkward / "run", epochs=2, seed=1, **config)
    done = lince.export(run.folder, out=awkward / "out", precision="int8", max_drop=20)
    assert done.card.precision == "int8"
    assert done.card.exported["figure"] == "map"
    assert done.card.exported["int8"]["tries"] >= 1


thresholds = st.lists(st.floats(0, 1), min_size=1, max_size=5)


@given(thresholds, st.integers(0, 2**32 - 1))
def test_the_graph_decides_as_lince_does_at_every_threshold(limits: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (1, len(limits))).astype(np.float32)
    builder = GraphBuilder()
    outputs = onnx_postprocess.build_multilabel_postprocess(GraphValue(builder, "logits", np.dtype(np.float32)), limits)
    probabilities, class_ids = session(builder, {"logits": "float32"}, outputs).run(None, {"logits": logits})
    np.testing.assert_allclose(probabilities, sigmoid(logits)[0], atol=1e-6)
    decided = np.flatnonzero(decide_classes(probabilities, limits))
    assert class_ids.tolist() == decided[np.argsort(-probabilities[decided], kind="stable")].tolist()


def test_a_probability_of_the_graph_that_equals_a_threshold_is_said() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (1, 400)).astype(np.float32)
    exact = sigmoid(logits)[0].astype(np.float64)
    for limits in (exact, np.nextafter(exact, 2), np.nextafter(exact, 0)):
        builder = GraphBuilder()
        outputs = onnx_postprocess.build_multilabel_postprocess(
            GraphValue(builder, "logits", np.dtype(np.float32)), limits.tolist()
        )
        probabilities, class_ids = session(builder, {"logits": "float32"}, outputs).run(None, {"logits": logits})
        assert set(class_ids.tolist()) == set(np.flatnonzero(decide_classes(probabilities, limits)).tolist())


def test_a_self_contained_file_has_probabilities_and_said_classes(awkward: Path) -> None:
    folder = tiny_multilabel.model_folder(awkward / "model")
    shown = [(), ("red",), ("red", "green"), ("red", "green", "blue")]
    photos = [tiny_multilabel.photo(*names, height=30 + 9 * row, seed=row) for row, names in enumerate(shown)]
    figures = standalone.export_standalone(folder, awkward / "whole.onnx", photos)
    assert (figures.count, figures.results, figures.agreement) == (4, 12, 1.0)
    assert figures.score < 0.02
    run = onnxruntime.InferenceSession(str(awkward / "whole.onnx"))
    names = json.loads(run.get_modelmeta().custom_metadata_map["names"])
    for photo, colours in zip(photos, shown, strict=True):
        probabilities, class_ids = run.run(["probabilities", "class_ids"], {"image": photo})
        expected = lince.load(folder).predict(photo)
        assert {names[one] for one in class_ids} == set(colours)
        assert [names[one] for one in class_ids] == expected.class_names
        np.testing.assert_allclose(probabilities, expected.probabilities, atol=0.02)


def test_a_self_contained_file_with_other_thresholds_is_refused(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_multilabel.model_folder(awkward / "model")
    build = onnx_postprocess.build_multilabel_postprocess
    monkeypatch.setattr(
        onnx_postprocess, "build_multilabel_postprocess", lambda logits, _limits: build(logits, (1.0, 1.0, 1.0))
    )
    photos = [tiny_multilabel.photo("red", "green", seed=seed) for seed in range(8)]
    with pytest.raises(ModelError, match="different results"):
        standalone.export_standalone(folder, awkward / "whole.onnx", photos)
    assert not (awkward / "whole.onnx").exists()
