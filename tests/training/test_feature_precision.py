"""Features in int8: the network, the choice of the precision, and what a run in int8 answers and exports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support import class_photos

import lince
from lince import images
from lince.datasets import image_stats, open_dataset
from lince.errors import ModelError, UsageError
from lince.export import onnx_graph
from lince.export.efficientnet_lite_int8 import MAX_DEPTHWISE_WEIGHT, MAX_WEIGHT
from lince.export.float_weights import write_dequantised
from lince.i18n import use_language
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.models import weights_source
from lince.models.classification import registry as classification_registry
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT
from lince.training.classification import feature_precision, features
from lince.training.classification.frozen_backbone import prepare_frozen_backbone
from lince.training.recipe import FrozenBackbone
from lince.training.run_folder import TrainingRun

SIZE = 64


@pytest.fixture
def backbone() -> tuple[FrozenBackbone, PreprocessSpec]:
    source = weights_source.resolve_weights(classification_registry.get_model_entry("lite"))
    spec = weights_source.make_preprocess_spec(source, SIZE)
    return prepare_frozen_backbone(source, spec, 0, SILENT), spec


def draw_inputs(count: int) -> np.ndarray:
    """Return smooth random pictures as inputs of the network, float32 (N, 3, SIZE, SIZE)."""
    coarse = np.random.default_rng(0).uniform(-1, 1, (count, 3, 8, 8)).astype(np.float32)
    return coarse.repeat(SIZE // 8, axis=2).repeat(SIZE // 8, axis=3)


def test_the_network_in_int8_answers_almost_as_the_one_in_float(backbone, tmp_path):
    made, _spec = backbone
    assert made.int8_path is not None
    inputs = draw_inputs(16)
    write_dequantised(made.int8_path, tmp_path / "plain.onnx")
    expected, int8, plain = (
        OnnxRuntimeBackend(path).run(inputs, ("embedding", "map"))
        for path in (made.network_path, made.int8_path, tmp_path / "plain.onnx")
    )
    for reference, rounded, unrounded in zip(expected, int8, plain, strict=True):
        spread = reference.std()
        errors = [float(np.abs(values - reference).mean() / spread) for values in (rounded, unrounded)]
        assert max(errors) < 0.1
        assert errors[0] != errors[1]
    assert made.int8_path.stat().st_size < 0.35 * made.network_path.stat().st_size
    operators = {node.op_type for node in onnx_graph.read_onnx(tmp_path / "plain.onnx").graph.node}
    assert not {name for name in operators if "Linear" in name}


def test_no_sum_of_two_products_can_overflow_16_bits(backbone):
    made, _spec = backbone
    graph = onnx_graph.read_onnx(made.int8_path).graph
    weights = [onnx_graph.numpy_helper.to_array(item) for item in graph.initializer if len(item.dims) == 4]
    weights = [values for values in weights if values.dtype == np.int8]
    assert len(weights) > 40
    for values in weights:
        limit = MAX_DEPTHWISE_WEIGHT if values.shape[1] == 1 else MAX_WEIGHT
        assert np.abs(values.astype(np.int64)).max() == limit
    assert np.iinfo(np.int16).max >= 2 * 255 * MAX_WEIGHT


def test_features_do_not_depend_on_what_else_is_in_a_call(backbone):
    network = OnnxRuntimeBackend(backbone[0].int8_path, 1)
    inputs = draw_inputs(5)
    together = network.run(inputs, ("embedding",))[0]
    assert np.array_equal(
        together, np.concatenate([network.run(inputs[i : i + 1], ("embedding",))[0] for i in range(5)])
    )


@pytest.fixture
def photos(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos of three classes, few enough for a test and enough for int8."""
    monkeypatch.setenv("LINCE_CACHE", str(awkward / "cache"))
    monkeypatch.setattr(feature_precision, "MIN_IMAGES", 30)
    return class_photos.folders(awkward / "fotos", side=SIZE)


def train(photos: Path, name: str, **choices: object) -> TrainingRun:
    return lince.train(photos, size=SIZE, seed=1, test=0.3, out=photos.parent / name, **choices)


def read_precision(run: TrainingRun) -> str:
    return json.loads((run.folder / "model" / "card.json").read_text("utf-8"))["precision"]


def test_a_run_in_int8_says_so_and_answers_as_its_head_was_fitted(photos, monkeypatch):
    monkeypatch.setattr(feature_precision, "MAX_LOSS", 1.0)
    runs = [train(photos, name) for name in ("uno", "dos")]
    assert [read_precision(run) for run in runs] == ["int8", "int8"]
    assert (runs[0].folder / "model/model.onnx").read_bytes() == (runs[1].folder / "model/model.onnx").read_bytes()
    (note,) = [line for line in runs[0].report["notes"] if "int8" in line]
    assert note.startswith("Features in int8")
    evaluation = lince.evaluate(runs[0].folder, photos)
    assert evaluation.metrics.accuracy.value == pytest.approx(runs[0].report["test"]["accuracy"]["value"])


def test_int8_is_not_used_where_a_head_loses_by_it(photos, monkeypatch):
    monkeypatch.setattr(feature_precision, "MAX_LOSS", -1.0)
    refused, asked = train(photos, "uno"), train(photos, "dos", precision="fp32")
    assert [read_precision(run) for run in (refused, asked)] == ["fp32", "fp32"]
    assert "Features in float32, because" in " ".join(refused.report["notes"])
    assert (refused.folder / "model/model.onnx").read_bytes() == (asked.folder / "model/model.onnx").read_bytes()


def test_few_photos_stay_in_float(photos, monkeypatch):
    monkeypatch.setattr(feature_precision, "MIN_IMAGES", 1000)
    assert read_precision(train(photos, "uno")) == "fp32"


def test_bf16_is_refused(photos):
    with pytest.raises(UsageError, match="bf16"):
        train(photos, "uno", precision="bf16")


def test_exports_of_a_run_in_int8(photos, monkeypatch):
    monkeypatch.setattr(feature_precision, "MAX_LOSS", 1.0)
    run = train(photos, "uno")
    own, int8 = lince.export(run.folder), lince.export(run.folder, precision="int8", out=photos.parent / "int8")
    assert (own.card.precision, int8.card.precision) == ("int8", "int8")
    model = (run.folder / "model/model.onnx").read_bytes()
    assert (own.path / "model.onnx").read_bytes() == (int8.path / "model.onnx").read_bytes() == model
    for precision in ("fp32", "fp16"):
        done = lince.export(run.folder, precision=precision, max_drop=30)
        assert done.card.precision == precision
        assert done.validation.drop == pytest.approx(100 * (done.validation.quality[0] - done.validation.quality[1]))
        operators = {node.op_type for node in onnx_graph.read_onnx(done.path / "model.onnx").graph.node}
        assert "QuantizeLinear" not in operators
    with pytest.raises(ModelError, match="already an export"):
        lince.export(own.path, out=photos.parent / "otra vez", data=photos)


def test_a_photo_is_decoded_once_for_features_and_copies(photos, backbone, monkeypatch):
    made, spec = backbone
    dataset = open_dataset(photos)
    fresh = image_stats.compute_image_stats(replace(dataset))
    monkeypatch.setenv("LINCE_CACHE", str(photos.parent / "otra"))
    features.compute_features(dataset, made.network_path, spec)

    def refuse(data: bytes, min_size: object = None) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(images, "decode_image", refuse)
    measured = image_stats.compute_image_stats(dataset)
    assert np.array_equal(measured.columns, fresh.columns)
    assert np.array_equal(measured.thumbnails, fresh.thumbnails)


class Listener:
    """Keeps the messages of a training or a check."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.open_stage = SILENT.open_stage

    def show_message(self, text: str) -> None:
        self.lines.append(text)


def test_a_check_of_labels_uses_int8_where_the_comparison_allows_it(photos, monkeypatch):
    suspects = []
    for least, loss, words in ((1000, 0.0, ""), (30, 1.0, "Features in int8"), (30, -1.0, "Features in float32")):
        monkeypatch.setattr(feature_precision, "MIN_IMAGES", least)
        monkeypatch.setattr(feature_precision, "MAX_LOSS", loss)
        listener = Listener()
        suspects.append(lince.check(photos, labels=True, size=SIZE, progress=listener).to_dict()["findings"])
        told = [line for line in listener.lines if line.startswith("Features in")]
        assert bool(told) == bool(words)
        assert all(line.startswith(words) for line in told)
    assert suspects[2] == suspects[0]  # refused: what is found is what float32 finds


def test_the_cache_of_a_network_keeps_no_language(awkward, monkeypatch):
    monkeypatch.setenv("LINCE_CACHE", str(awkward / "cache"))
    source_lines = {}
    for language in ("pt", "en", "es"):
        with use_language(language):
            source = weights_source.resolve_weights(classification_registry.get_model_entry("lite"))
            spec = weights_source.make_preprocess_spec(source, SIZE)
            listener = Listener()
            source_lines[language] = prepare_frozen_backbone(source, spec, 0, listener).facts["weights"]
            assert set(source_lines[language]) < set(listener.lines)
    assert [lines[0].partition(":")[0] for lines in source_lines.values()] == ["Pesos", "Weights", "Pesos"]
    assert len(set(map(tuple, source_lines.values()))) == 3
    assert "head replaced" in source_lines["en"][-1]
