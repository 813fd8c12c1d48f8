"""External ONNX detectors: Ultralytics layout and metadata, and the published YOLOX."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import lince
from lince import images
from lince.cli.main import main
from lince.errors import DataError, LinceError, ModelError, UsageError
from lince.inference import external_onnx
from lince.inference.detection.predictor import DetectionPredictor

SIZE = 64
SAID = {
    "description": "Nano model trained on nothing", "author": "Ultralytics", "task": "detect", "imgsz": "[64, 64]",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)", "stride": "32", "batch": "1",
    "names": "{0: 'rojo ñ', 1: \"d'or\"}",
}  # fmt: skip


def _raw() -> NDArray[np.float32]:
    """Return raw rows (centre, size, two scores) for 84 cells: a duplicate, a neighbour, one below threshold."""
    raw = np.zeros((1, 6, 84), np.float32)
    raw[0, :, 3] = [20, 30, 10, 20, 0.9, 0.1]
    raw[0, :, 4] = [20.5, 30, 10, 20, 0.8, 0.1]
    raw[0, :, 9] = [20, 30, 10, 20, 0.2, 0.6]
    raw[0, :, 70] = [50, 32, 8, 8, 0.24, 0.1]
    return raw


def _rows() -> NDArray[np.float32]:
    """Return detections after suppression: two strongly overlapping boxes that both count."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, :3] = [[15, 20, 25, 40, 0.9, 1], [15, 20, 25.5, 40, 0.7, 1], [40, 20, 45, 30, 0.1, 0]]
    return rows


def _written(
    path: Path, answers: NDArray[np.float32], said: dict[str, str], output: str = "output0", open_sides: bool = False
) -> Path:
    nodes = [
        helper.make_node("ReduceSum", ["images"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["answers", "nothing"], [output]),
    ]
    sides: list[int | str] = ["batch", 3, "height", "width"] if open_sides else [1, 3, SIZE, SIZE]
    out: list[int | str] = ["batch", "rows", "numbers"] if open_sides else list(answers.shape)
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, out)],
        [numpy_helper.from_array(answers, "answers"), numpy_helper.from_array(np.array(0, np.float32), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, said)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _loaded(path: Path) -> DetectionPredictor:
    model = lince.load(path)
    assert isinstance(model, DetectionPredictor)
    return model


def test_a_file_of_ultralytics_is_read_with_its_own_words_and_its_own_suppression(awkward: Path) -> None:
    model = _loaded(_written(awkward / "best.onnx", _raw(), SAID))
    assert model.classes.names == ("rojo ñ", "d'or")
    assert model.card.licence.startswith("AGPL-3.0")
    # A photo of 128 x 64 is halved and centred: 16 grey pixels above and below.
    (found,) = model.detect([np.zeros((64, 128, 3), np.uint8)])
    np.testing.assert_allclose(found.boxes, np.array([[30.0, 8, 50, 48]] * 2), atol=1e-4)
    assert found.class_ids.tolist() == [0, 1]  # the duplicate of one class is suppressed, the other class is kept
    np.testing.assert_allclose(found.scores, [0.9, 0.6], atol=1e-6)


@pytest.mark.parametrize("open_sides", [False, True])
def test_a_file_that_ends_with_its_own_choice_is_not_suppressed_again(awkward: Path, open_sides: bool) -> None:
    said = {**SAID, "end2end": "True"} if open_sides else SAID
    model = _loaded(_written(awkward / "best26.onnx", _rows(), said, open_sides=open_sides))
    assert model.card.decoder == "ultralytics-end2end"
    (found,) = model.detect([np.zeros((64, 64, 3), np.uint8)])
    np.testing.assert_allclose(found.boxes, np.array([[15, 20, 25, 40], [15, 20, 25.5, 40]]), atol=1e-4)
    assert found.class_ids.tolist() == [1, 1]


def test_predict_prints_the_licence_and_writes_what_was_found(
    awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _written(awkward / "model.onnx", _raw(), SAID)
    photo = awkward / "foto á.png"
    photo.write_bytes(images.encode_png(np.zeros((64, 64, 3), np.uint8)))
    assert main(["predict", str(path), str(photo)]) == 0
    told = capsys.readouterr()
    assert "AGPL-3.0" in told.out + told.err
    assert "1 rojo ñ 90%, 1 d'or 60%" in told.out
    assert main(["predict", str(path), str(photo), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert "rojo ñ" in json.dumps(record, ensure_ascii=False)


BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "another task": ({**SAID, "task": "pose"}, "'pose'"),
    "masks without prototypes": ({**SAID, "task": "segment"}, "output0 1x6x84"),
    "no words": ({}, "no model card"),
    "names that are code": ({**SAID, "names": "__import__('os').getcwd()"}, "no metadata"),
    "names with a gap": ({**SAID, "names": "{0: 'a', 2: 'b'}"}, "no metadata"),
    "no names": ({**SAID, "names": "{}"}, "no metadata"),
    "no size": ({**SAID, "imgsz": "[]"}, "no metadata"),
    "a size beyond reason": ({**SAID, "imgsz": "[64, 999999]"}, "no metadata"),
    "more names than classes": ({**SAID, "names": "{0: 'a', 1: 'b', 2: 'c'}"}, "output0 1x6x84"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_cannot_be_used_is_refused_in_words(awkward: Path, fault: str) -> None:
    said, words = BROKEN[fault]
    with pytest.raises(ModelError, match=words):
        lince.load(_written(awkward / "x.onnx", _raw(), said))


def test_a_file_that_is_no_network_is_refused(awkward: Path) -> None:
    path = awkward / "cut.onnx"
    path.write_bytes(_written(awkward / "whole.onnx", _raw(), SAID).read_bytes()[:200])
    with pytest.raises(ModelError):
        lince.load(path)


def _names(count: int) -> list[str]:
    return [f"class {number}" for number in range(count)]


CASES: dict[str, Callable[[Path], object]] = {
    "none": lince.load,
    "too few": lambda path: lince.load(path, names=_names(79)),
    "doubled": lambda path: lince.load(path, names=["a"] * 80),
}


@pytest.mark.parametrize("case", CASES)
def test_the_published_yolox_needs_the_names_of_its_classes(shared: Path, case: str) -> None:
    with pytest.raises((UsageError, DataError)) as caught:
        CASES[case](shared / "weights" / "yolox_nano.onnx")
    assert isinstance(caught.value, LinceError)
    assert "80" in str(caught.value) or case == "doubled"


def test_the_published_yolox_finds_a_person(shared: Path, awkward: Path) -> None:
    listed = awkward / "nombres.txt"
    listed.write_text("\ufeff" + "\n".join(["persona", *_names(79)]) + "\n", "utf-8")
    model = lince.load(shared / "weights" / "yolox_nano.onnx", names=external_onnx.read_class_names(listed))
    assert isinstance(model, DetectionPredictor)
    photos = sorted((shared / "data" / "hardhat").rglob("*.jpg"))[:8]
    found = [model.predict(photo) for photo in photos]
    assert sum(one.counts().get("persona", 0) for one in found) >= 4
    with pytest.raises(DataError):
        external_onnx.read_class_names(awkward / "missing.txt")
