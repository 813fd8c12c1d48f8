"""Self-contained ONNX graph: preprocessing, decoding and results equal lince's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx")

from tests.support import (  # noqa: E402
    tiny_classifier,
    tiny_detector,
)

import lince  # noqa: E402
from lince import images, preprocess  # noqa: E402
from lince.annotations import Classes  # noqa: E402
from lince.errors import ModelError  # noqa: E402
from lince.export import onnx_postprocess, onnx_preprocess, standalone  # noqa: E402
from lince.export.onnx_builder import GraphBuilder, GraphValue  # noqa: E402
from lince.model_card import ModelCard  # noqa: E402
from lince.postprocess import DetectionFilter, get_decoder  # noqa: E402
from lince.preprocess import PreprocessSpec  # noqa: E402

SPECS = [
    PreprocessSpec(224, 224),
    PreprocessSpec(60, 80, "crop", "bgr", (10.0, 20.0, 30.0), (50.0, 60.0, 70.0)),
    PreprocessSpec(96, 64, "letterbox", "bgr", (0.0,) * 3, (1.0,) * 3),
    PreprocessSpec(128, 128, "corner", "rgb", (0.0,) * 3, (1.0,) * 3),
    PreprocessSpec(28, 28, "squash", "grey", (127.5,), (127.5,)),
    PreprocessSpec(48, 48, "crop", standardise="samplewise"),
]
SIZES = [(1, 1), (1, 400), (400, 1), (224, 224), (250, 260), (375, 500), (500, 375), (90, 1000), (30, 20), (1100, 1300)]


def session(
    building: GraphBuilder, inputs: dict[str, Any], outputs: Sequence[GraphValue]
) -> onnxruntime.InferenceSession:
    kinds = {"uint8": onnx.TensorProto.UINT8, "float32": onnx.TensorProto.FLOAT, "int64": onnx.TensorProto.INT64}
    graph = onnx.helper.make_graph(
        building.nodes,
        "part",
        [onnx.helper.make_tensor_value_info(name, kinds[kind], None) for name, kind in inputs.items()],
        [onnx.helper.make_tensor_value_info(one.name, kinds[one.dtype.name], None) for one in outputs],
        building.constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def picture(height: int, width: int) -> np.ndarray:
    """Return a photo with soft and sharp parts."""
    rng = np.random.default_rng(height * 7 + width)
    soft = np.outer(np.linspace(0, 255, height), np.ones(width))[..., None] * np.array([1, 0.5, 0.2])
    sharp = rng.integers(0, 256, (height, width, 3))
    return np.where(np.arange(width)[None, :, None] % 40 < 20, soft, sharp).astype(np.uint8)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.resize}-{spec.channels}-{spec.standardise}")
def test_photos_are_prepared_as_lince_prepares_them(spec: PreprocessSpec) -> None:
    building = GraphBuilder()
    prepared, _frame = onnx_preprocess.build_preprocess(GraphValue(building, "image", np.dtype(np.uint8)), spec)
    run = session(building, {"image": "uint8"}, [prepared])
    for size in SIZES:
        image = picture(*size)
        (found,) = run.run(None, {"image": image})
        expected = preprocess.preprocess_images([image], spec)
        steps = np.abs(found - expected) * np.reshape(spec.std, (-1, 1, 1))
        if spec.standardise == "samplewise":  # a photo of its own mean and deviation has steps of its own
            np.testing.assert_allclose(found, expected, atol=0.05, err_msg=str(size))
            continue
        assert steps.max() < 1.01, size
        assert steps.mean() < 0.1, size


@pytest.mark.parametrize("kind", ["yolox", "yolox-published", "boxes", "queries"])
@pytest.mark.parametrize("threshold", [0.3, (0.05, 0.6, 0.2), 0.99])
@pytest.mark.parametrize("rule", ["squash", "letterbox", "corner"])
def test_answers_are_read_as_lince_reads_them(kind: str, threshold: Any, rule: str) -> None:
    spec = PreprocessSpec(64, 96, rule)
    keeping = DetectionFilter(threshold, 0.5, 40)
    card = ModelCard("detect", Classes(("a", "b", "c")), spec, "m", "l", "s", decoder=kind, detection_filter=keeping)
    rng = np.random.default_rng(5)
    corners = rng.uniform(-10, 90, (60, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, (60, 2))], axis=1)
    size = (150, 110)
    outputs = [
        one.copy() for one in get_decoder(kind).encode(boxes, rng.integers(0, 3, 60).astype(np.int32), size, spec, 3)
    ]
    for at, name in enumerate(get_decoder(kind).outputs):
        if name in ("raw", "output"):
            outputs[at][:, 4:] = rng.uniform(0, 1, outputs[at][:, 4:].shape)
        elif name == "scores":
            outputs[at] = rng.uniform(0, 1, outputs[at].shape).astype(np.float32)
        elif name == "logits":
            outputs[at] = rng.normal(-1, 2, outputs[at].shape).astype(np.float32)
    outputs[0][3] = np.nan
    building = GraphBuilder()
    _prepared, frame = onnx_preprocess.build_preprocess(GraphValue(building, "image", np.dtype(np.uint8)), spec)
    values = [GraphValue(building, f"raw.{name}", np.dtype(np.float32)) for name in get_decoder(kind).outputs]
    answers = onnx_postprocess.build_detection_postprocess(values, card, frame)
    run = session(building, {"image": "uint8", **{value.name: "float32" for value in values}}, answers)
    given = {value.name: output[None] for value, output in zip(values, outputs, strict=True)}
    found, scores, class_ids = run.run(
        [one.name for one in answers], {"image": np.zeros((*size, 3), np.uint8), **given}
    )
    expected = get_decoder(kind).decode(outputs, size, spec, keeping)
    assert len(expected) or threshold == 0.99
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(class_ids, expected.class_ids)
    np.testing.assert_allclose(found, expected.boxes, atol=1e-3)


def test_a_classifier_is_contained(awkward: Path) -> None:
    folder = tiny_classifier.run_folder(awkward / "run")
    photos = [
        tiny_classifier.photo(name, 20 + number, 90 - number, number)
        for number in range(4)
        for name in tiny_classifier.NAMES
    ]
    figures = standalone.export_standalone(folder, awkward / "whole.onnx", photos)
    assert (figures.count, figures.agreement) == (12, 1.0)
    assert figures.score < 0.02
    run = onnxruntime.InferenceSession(str(awkward / "whole.onnx"))
    shares, first = run.run(None, {"image": photos[0]})
    names = json.loads(run.get_modelmeta().custom_metadata_map["names"])
    expected = lince.load(folder).predict(photos[0])
    assert names[first] == expected.class_name
    np.testing.assert_allclose(shares, expected.label.probabilities, atol=0.02)
    card = json.loads(run.get_modelmeta().custom_metadata_map["card"])
    assert card["licence"] == "Apache-2.0"
    with pytest.raises(ModelError, match="is a self-contained model"):
        lince.load(awkward / "whole.onnx")


def test_a_detector_is_contained(awkward: Path) -> None:
    folder = tiny_detector.model_folder(awkward / "finder")
    photos = [
        tiny_detector.scene([(0, 1, 1), (1, 4, 2)], 64, 64),
        tiny_detector.scene([(1, 3, 3)], 130, 100),
        picture(64, 64) // 255,
    ]
    figures = standalone.export_standalone(folder, awkward / "whole.onnx", photos)
    assert figures.agreement == 1.0
    run = onnxruntime.InferenceSession(str(awkward / "whole.onnx"))
    boxes, scores, class_ids = run.run(None, {"image": photos[1]})
    found = lince.load(folder).predict(photos[1]).detections
    assert len(found) == len(scores) == len(class_ids) > 0
    np.testing.assert_allclose(boxes, found.boxes, atol=0.01)


def test_a_graph_with_other_results_is_refused(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_classifier.run_folder(awkward / "run")
    real = onnx_preprocess.build_preprocess
    swapped = PreprocessSpec(16, 16, channels="bgr")
    monkeypatch.setattr(onnx_preprocess, "build_preprocess", lambda image, _spec: real(image, swapped))
    with pytest.raises(ModelError, match="different results"):
        standalone.export_standalone(
            folder, awkward / "whole.onnx", [tiny_classifier.photo("red"), tiny_classifier.photo("blue")]
        )
    assert not (awkward / "whole.onnx").exists()


def test_what_cannot_be_contained_is_told(awkward: Path) -> None:
    folder = tiny_classifier.run_folder(awkward / "run")
    record = json.loads((folder / "model" / "card.json").read_text("utf-8"))
    (folder / "model" / "card.json").write_text(json.dumps({**record, "target": "openvino"}), "utf-8")
    with pytest.raises(ModelError, match="cannot be made self-contained"):
        standalone.export_standalone(folder, awkward / "whole.onnx")


def test_real_photos_get_the_same_answers(shared: Path, awkward: Path) -> None:
    folder = tiny_classifier.run_folder(awkward / "run")
    paths = sorted((shared / "data" / "flowers" / "test").rglob("*.jpg"))[::60]
    figures = standalone.export_standalone(folder, awkward / "whole.onnx", [images.read_image(path) for path in paths])
    assert figures.agreement == 1.0
    assert figures.score < 0.01
