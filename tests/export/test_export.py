"""Exported networks: heads attached without torch, and parity between export and original."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lince.errors import ModelError
from lince.export import parity

onnx = pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from lince.export import onnx_graph  # noqa: E402

RNG = np.random.default_rng(0)


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """Return a backbone whose embedding is the mean of each channel."""
    nodes = [
        helper.make_node("Identity", ["images"], ["map"]),
        helper.make_node("ReduceMean", ["images"], ["embedding"], axes=[2, 3], keepdims=0),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 4, 5])
    outputs = [
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]),
        helper.make_tensor_value_info("map", TensorProto.FLOAT, ["N", 3, 4, 5]),
    ]
    made = helper.make_graph(nodes, "backbone", [images], outputs)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", onnx_graph.OPSET)], ir_version=8)
    onnx_graph.write_onnx(model, tmp_path / "backbone.onnx")
    return tmp_path / "backbone.onnx"


def dense(rows: int, columns: int) -> onnx_graph.DenseLayer:
    return RNG.normal(size=(rows, columns)), RNG.normal(size=rows)


def test_a_linear_head_answers_what_numpy_does(backbone: Path, awkward: Path) -> None:
    weight, bias = dense(6, 3)
    onnx_graph.attach_head(backbone, [(weight, bias)], awkward / "model.onnx")
    session = ort.InferenceSession(awkward / "model.onnx", providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == ["logits", "embedding", "map"]
    for count in (1, 5):
        images = RNG.normal(size=(count, 3, 4, 5)).astype(np.float32)
        logits, embedding, _map = session.run(None, {"images": images})
        np.testing.assert_allclose(embedding, images.mean((2, 3)), atol=1e-6)
        np.testing.assert_allclose(logits, images.mean((2, 3)) @ weight.T + bias, atol=1e-5)


def test_a_head_of_two_layers_has_relu_between(backbone: Path, tmp_path: Path) -> None:
    first, second = dense(8, 3), dense(2, 8)
    onnx_graph.attach_head(backbone, [first, second], tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    images = RNG.normal(size=(4, 3, 4, 5)).astype(np.float32)
    hidden = np.maximum(images.mean((2, 3)) @ first[0].T + first[1], 0)
    (logits,) = session.run(["logits"], {"images": images})
    np.testing.assert_allclose(logits, hidden @ second[0].T + second[1], atol=1e-5)


def test_a_head_of_another_width_is_refused_and_nothing_written(backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has 4 inputs"):
        onnx_graph.attach_head(backbone, [dense(2, 4)], tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="bias"):
        onnx_graph.attach_head(backbone, [(np.zeros((2, 3)), np.zeros(3))], tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_second_head_is_refused(backbone: Path, tmp_path: Path) -> None:
    onnx_graph.attach_head(backbone, [dense(2, 3)], tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="no logits"):
        onnx_graph.attach_head(tmp_path / "model.onnx", [dense(2, 3)], tmp_path / "again.onnx")


@pytest.mark.parametrize("content", [b"not a graph at all", b"\x08", None])
def test_what_is_no_network_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "backbone.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"backbone\.onnx"):
        onnx_graph.attach_head(tmp_path / "backbone.onnx", [dense(2, 3)], tmp_path / "model.onnx")


def test_attaching_a_head_loads_no_torch(backbone: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np; from lince.export import onnx_graph\n"
        "onnx_graph.attach_head(Path(sys.argv[1]), [(np.ones((2, 3)), np.ones(2))], Path(sys.argv[2]))\n"
        "sys.exit('torch' in sys.modules)"
    )
    made = tmp_path / "model.onnx"
    assert subprocess.run([sys.executable, "-c", code, backbone, made], check=False).returncode == 0
    assert made.is_file()


def test_parity_tells_the_largest_differences() -> None:
    reference = np.array([[2.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    drift = np.array([[0.0, 0.0], [1e-4, 0.0], [0.0, 1e-4]])
    report = parity.require_parity(lambda images: reference + drift, reference, np.zeros((3, 1, 2, 2)))
    assert (report.count, report.agreement) == (3, pytest.approx(2 / 3))
    assert report.logits == pytest.approx(1e-4)
    assert 0 < report.probabilities < 1e-4
    assert set(report.to_dict()) == {"count", "logits", "probabilities", "agreement"}


@pytest.mark.parametrize("wrong", [np.array([[0.0, 2.0]]), np.array([[np.nan, 0.0]])])
def test_parity_refuses_another_network(wrong: np.ndarray) -> None:
    with pytest.raises(ModelError, match="differs from the trained one"):
        parity.require_parity(lambda images: wrong, np.array([[2.0, 0.0]]), np.zeros((1, 1, 2, 2)))


def test_parity_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match="answers"):
        parity.require_parity(lambda images: np.zeros((1, 3)), np.zeros((1, 2)), np.zeros((1, 1, 2, 2)))


def test_a_multilabel_network_is_compared_class_by_class() -> None:
    from functools import partial

    from lince.postprocess import decide_classes
    from lince.postprocess.sigmoid import sigmoid_in_float64

    rules = (sigmoid_in_float64, partial(decide_classes, thresholds=[0.5, 0.5]))
    reference, images = np.array([[4.0, -4.0], [0.0, 9.0]]), np.zeros((2, 1, 2, 2))
    report = parity.require_parity(lambda _images: reference - 1e-5, reference, images, *rules)
    assert report.agreement == 0.75  # one of four answers is at its threshold
    # A shift of all logits alike, which softmax does not see.
    assert parity.require_parity(lambda _images: reference + 1, reference, images).probabilities < 1e-9
    with pytest.raises(ModelError, match="differs from the trained one"):
        parity.require_parity(lambda _images: reference + 1, reference, images, *rules)


def test_a_file_on_a_full_disk_leaves_no_half(backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with open(self, "wb") as stream:
            stream.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    target = tmp_path / "out" / "model.onnx"
    with pytest.raises(OSError, match="No space left"):
        onnx_graph.attach_head(backbone, [dense(2, 3)], target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.slow
def test_real_flowers_get_the_same_answer_from_the_export(shared: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from PIL import Image

    from lince import preprocess
    from lince.export.torch_to_onnx import export_classifier
    from lince.models import weights, weights_source
    from lince.models.classification import registry as classification_registry
    from lince.models.classification.classifier import build_classifier

    file = shared / "weights" / "mobilenetv2_100_padsame.pth"
    source = weights_source.resolve_weights(classification_registry.get_model_entry("mobilenetv2_100"), str(file))
    spec = weights_source.make_preprocess_spec(source)
    network = build_classifier(source.entry, 5, spec).eval()
    weights.load_classifier_weights(network, source)
    export_classifier(network, spec, tmp_path / "model.onnx")
    photos = sorted((shared / "data" / "flowers").rglob("*.jpg"))[::300]
    images = preprocess.preprocess_images([np.asarray(Image.open(path).convert("RGB")) for path in photos], spec)
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        reference = network(torch.from_numpy(images)).numpy()
    report = parity.require_parity(lambda x: session.run(["logits"], {"images": x})[0], reference, images)
    assert report.agreement == 1
    assert report.probabilities < 1e-4
