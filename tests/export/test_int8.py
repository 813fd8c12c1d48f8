"""int8 quantisation: gains on a plain network, mixed precision or refusal where it loses, no use of test images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lince import images
from lince.annotations import Classes
from lince.datasets import open_dataset
from lince.errors import DataError, ImageError, ModelError
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.classification import predictor
from lince.model_card import ModelCard
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT
from lince.splits import TEST, TRAIN, VAL

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime.quantization")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lince.export import graph_rewrites, int8, int8_layers, onnx_graph, ort_quantizer  # noqa: E402
from lince.export.int8 import compare_latency, quantise_network  # noqa: E402
from lince.export.model_outputs import EvaluationImages  # noqa: E402
from lince.export.ort_quantizer import CANDIDATE_SETTINGS, QuantisationSettings  # noqa: E402
from lince.export.pipeline import ExportInput, ExportOptions, _quantise_int8  # noqa: E402

SIZE, CLASSES = 32, 5


@pytest.fixture(autouse=True)
def _any_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the speed measurement, so that no test depends on the machine; benchmarks/int8.py measures gains."""
    monkeypatch.setattr(int8, "MIN_SPEEDUP", 0.0)


class Net:
    """Builds an ONNX network node by node, with He-initialised weights, on images (N, 3, 32, 32)."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list = []
        self.weights: dict[str, NDArray[np.float32]] = {}

    def add(self, kind: str, read: list[str], **options: object) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, read, [f"{name}.out"], name, **options))
        return f"{name}.out"

    def conv(self, read: str, inner: int, outer: int, kernel: int = 3, stride: int = 1) -> str:
        name = f"conv{len(self.nodes)}"
        scale = np.sqrt(2 / (inner * kernel * kernel))
        weight = self.rng.normal(0, scale, (outer, inner, kernel, kernel))
        self.weights[f"{name}.weight"] = weight.astype(np.float32)
        self.weights[f"{name}.bias"] = self.rng.normal(0, 0.1, outer).astype(np.float32)
        pad = kernel // 2
        parts = [read, f"{name}.weight", f"{name}.bias"]
        return self.add("Conv", parts, strides=[stride] * 2, pads=[pad] * 4, kernel_shape=[kernel] * 2)

    def end(self, read: str, width: int) -> None:
        mean = self.add("GlobalAveragePool", [read])
        self.nodes.append(helper.make_node("Flatten", [mean], ["embedding"], "flatten"))
        self.weights["head.weight"] = self.rng.normal(0, 1, (CLASSES, width)).astype(np.float32)
        self.weights["head.bias"] = np.zeros(CLASSES, np.float32)
        self.nodes.append(
            helper.make_node("Gemm", ["embedding", "head.weight", "head.bias"], ["logits"], "head", transB=1)
        )

    def save(self, path: Path) -> Path:
        shape = [TensorProto.FLOAT, ["N", 3, SIZE, SIZE]]
        inner = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("images", *shape)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        model = helper.make_model(inner, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        helper.set_model_props(model, {"author": "Señora Ñandú"})
        onnx_graph.write_onnx(model, path)
        return path


def residual() -> Net:
    """Build a stem, two residual blocks (the second with a pool and a 1 x 1 shortcut) and a head."""
    net = Net()
    x = net.add("Relu", [net.conv("images", 3, 32, stride=2)])
    inner = net.add("Relu", [net.conv(x, 32, 64)])
    wide = net.conv(net.add("Relu", [net.conv(inner, 64, 64)]), 64, 64)
    x = net.add("Relu", [net.add("Add", [inner, wide])])
    short = net.conv(net.add("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2]), 64, 96, kernel=1)
    deep = net.conv(net.add("Relu", [net.conv(x, 64, 96, stride=2)]), 96, 96)
    net.end(net.add("Relu", [net.add("Add", [short, deep])]), 96)
    return net


def spoilt(*pairs: int) -> Net:
    """Build six convolutions; the first of each pair has one channel 20,000 times too large, the next undoes it.

    In float it equals the chain without that factor. In int8, the range of that channel leaves no resolution for the
    others.
    """
    net = Net()
    x, names = "images", []
    for number, inner in enumerate((3, 48, 48, 48, 48, 48)):
        names.append(f"conv{len(net.nodes)}")
        x = net.add("Relu", [net.conv(x, inner, 48, stride=2 if number == 0 else 1)])
    for first in pairs:
        net.weights[f"{names[first]}.weight"][0] *= 2e4
        net.weights[f"{names[first]}.bias"][0] *= 2e4
        net.weights[f"{names[first + 1]}.weight"][:, 0] /= 2e4
    net.end(x, 48)
    return net


def inputs(count: int = 32, seed: int = 0) -> NDArray[np.float32]:
    """Return images that differ from each other by more than noise."""
    rng = np.random.default_rng(seed)
    tint = rng.normal(0, 1, (count, 3, 1, 1))
    return (tint + rng.normal(0, 0.7, (count, 3, SIZE, SIZE))).astype(np.float32)


def batches() -> Iterator[NDArray[np.float32]]:
    return iter(np.split(inputs(), 4))


@dataclass
class Agreement:
    """Metric: the share of images with the same top class as the float network; counts its calls."""

    network: Path
    asked: int = 0

    def __call__(self, path: Path) -> float:
        self.asked += 1
        held_out = inputs(100, seed=9)
        one, other = (OnnxRuntimeBackend(file, 1).run(held_out)[0].argmax(1) for file in (self.network, path))
        return float((one == other).mean())


def test_plain_residual_network_loses_little_and_shrinks(awkward: Path) -> None:
    network = residual().save(awkward / "model.onnx")
    out = awkward / "INT8" / "modelo ñ.onnx"
    done = quantise_network(network, out, batches, Agreement(network), 0.95)
    assert done.before == 1.0
    assert done.after >= 0.95
    assert done.kept == ()
    assert len(done.int8) == 6  # all but the stem, which reads three channels, and the head
    assert out.stat().st_size < 0.5 * network.stat().st_size
    found, expected = (OnnxRuntimeBackend(path, 1).run(inputs(50, 3))[0] for path in (out, network))
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert not np.array_equal(found, expected)  # the network has changed
    assert OnnxRuntimeBackend(out).metadata == {"author": "Señora Ñandú"}
    assert done.to_dict()["int8"] == 6


def test_the_same_calls_write_the_same_bytes(awkward: Path) -> None:
    network = residual().save(awkward / "model.onnx")
    for name in ("one", "two"):
        quantise_network(network, awkward / name, batches, Agreement(network), 0.95)
    assert (awkward / "one").read_bytes() == (awkward / "two").read_bytes()


def test_layers_that_lose_too_much_stay_in_float(awkward: Path) -> None:
    network = spoilt(2).save(awkward / "model.onnx")
    out = awkward / "int8.onnx"
    done = quantise_network(network, out, batches, Agreement(network), 0.95)
    assert done.after >= 0.95
    assert {"conv4", "conv6"} <= set(done.kept)  # the two convolutions between which the large channel stands
    assert len(done.kept) <= 3
    assert len(done.int8) >= 2
    kinds = [node.op_type for node in onnx_graph.read_onnx(out).graph.node]
    assert "QuantizeLinear" in kinds


def test_a_network_that_no_mixture_saves_is_refused_with_figures(awkward: Path) -> None:
    network = residual().save(awkward / "model.onnx")
    out = awkward / "int8.onnx"
    out.write_bytes(b"what was there before")
    with pytest.raises(ModelError, match=r"falls from 1\.000 to .* tries") as caught:
        quantise_network(network, out, batches, Agreement(network), 1.01)
    assert "1.010" in caught.value.expected
    assert out.read_bytes() == b"what was there before"
    assert sorted(item.name for item in awkward.iterdir()) == ["int8.onnx", "model.onnx"]


def test_a_network_that_does_not_get_faster_is_refused(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "compare_latency", lambda *_models: (2.0, 1.9))
    monkeypatch.setattr(int8, "MIN_SPEEDUP", 1.1)
    network = residual().save(awkward / "model.onnx")
    out = awkward / "int8.onnx"
    with pytest.raises(ModelError, match=r"1\.90 ms instead of 2\.00"):
        quantise_network(network, out, batches, Agreement(network), 0.95)
    assert not out.exists()


def test_a_network_without_a_layer_that_gains_is_refused(awkward: Path) -> None:
    net = Net()
    net.end(net.add("Relu", [net.conv("images", 3, 8)]), 8)
    network = net.save(awkward / "model.onnx")
    with pytest.raises(ModelError, match="none of its layers benefits"):
        quantise_network(network, awkward / "int8.onnx", batches, Agreement(network), 0.5)


def test_a_failing_judge_leaves_nothing_behind(awkward: Path) -> None:
    network = residual().save(awkward / "model.onnx")
    judge = Agreement(network)

    def failing(path: Path) -> float:
        if judge.asked:
            raise DataError("the validation images are gone")
        return judge(path)

    with pytest.raises(DataError, match="gone"):
        quantise_network(network, awkward / "int8.onnx", batches, failing, 0.5)
    assert [item.name for item in awkward.iterdir()] == ["model.onnx"]


def test_pools_become_parts_of_convolutions_with_the_same_answers(awkward: Path) -> None:
    network = residual().save(awkward / "model.onnx")
    model = onnx_graph.read_onnx(network)
    graph_rewrites.fold_average_pools(model.graph)
    onnx_graph.write_onnx(model, awkward / "folded.onnx")
    assert "AveragePool" not in [node.op_type for node in model.graph.node]
    ours, theirs = (OnnxRuntimeBackend(path, 1).run(inputs())[0] for path in (awkward / "folded.onnx", network))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"pads": [0, 0, 1, 1]}, {"ceil_mode": 1}, {"auto_pad": "SAME_UPPER"}])
def test_pools_over_parts_of_windows_stay(awkward: Path, options: dict) -> None:
    net = Net()
    pooled = net.add("AveragePool", ["images"], kernel_shape=[3, 3], strides=[2, 2], **options)
    net.end(net.conv(pooled, 3, 8, kernel=1), 8)
    model = onnx_graph.read_onnx(net.save(awkward / "model.onnx"))
    graph_rewrites.fold_average_pools(model.graph)
    assert "AveragePool" in [node.op_type for node in model.graph.node]


def test_a_pool_that_others_read_too_stays(awkward: Path) -> None:
    net = Net()
    pooled = net.add("AveragePool", ["images"], kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Add", [net.conv(pooled, 3, 3, kernel=1), pooled])
    net.end(x, 3)
    model = onnx_graph.read_onnx(net.save(awkward / "model.onnx"))
    graph_rewrites.fold_average_pools(model.graph)
    assert "AveragePool" in [node.op_type for node in model.graph.node]


def test_a_bias_shared_by_layers_is_duplicated(awkward: Path) -> None:
    net = Net()
    x = net.conv(net.conv("images", 3, 8), 8, 8)
    net.end(x, 8)
    net.nodes[1].input[2] = net.nodes[0].input[2]
    network = net.save(awkward / "model.onnx")
    model = onnx_graph.read_onnx(network)
    graph_rewrites.unshare_constants(model.graph)
    onnx_graph.write_onnx(model, awkward / "parted.onnx")
    assert model.graph.node[1].input[2] != model.graph.node[0].input[2]
    ours, theirs = (OnnxRuntimeBackend(path, 1).run(inputs())[0] for path in (awkward / "parted.onnx", network))
    np.testing.assert_array_equal(ours, theirs)


def test_a_small_first_layer_stays_in_float_unless_a_max_pool_follows(awkward: Path) -> None:
    def first_in_eight_bits(kernel: int, pool: bool) -> bool:
        net = Net()
        x = net.add("Relu", [net.conv("images", 3, 16, kernel=kernel, stride=2)])
        x = net.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2]) if pool else x
        net.end(net.conv(x, 16, 16), 16)
        return (
            "conv0"
            in int8_layers.LayerSelection.from_graph(
                onnx_graph.read_onnx(net.save(awkward / "model.onnx")).graph
            ).layer_names
        )

    assert [first_in_eight_bits(3, pool) for pool in (False, True)] == [False, True]
    assert first_in_eight_bits(7, False)


def test_a_product_with_a_vector_is_no_layer(awkward: Path) -> None:
    net = Net()
    net.weights["line"] = np.ones(16, np.float32)
    places = net.add("Transpose", [net.conv(net.conv("images", 3, 16), 16, 16)], perm=[0, 2, 3, 1])
    net.end(net.conv(net.add("MatMul", [places, "line"]), 1, 8), 8)
    names = int8_layers.LayerSelection.from_graph(
        onnx_graph.read_onnx(net.save(awkward / "model.onnx")).graph
    ).layer_names
    assert "conv1" in names
    assert not any(name.startswith("matmul") for name in names)


def test_light_nodes_follow_the_layers_around_them(awkward: Path) -> None:
    net = residual()
    layers = int8_layers.LayerSelection.from_graph(onnx_graph.read_onnx(net.save(awkward / "model.onnx")).graph)
    assert "conv0" not in layers.layer_names
    assert "head" not in layers.layer_names
    assert len(layers.layer_names) == 6
    every = layers.add_light_nodes(layers.layer_names)
    assert {"add7", "add14", "flatten"} <= set(every)
    assert "relu1" not in every  # it reads the stem, in float
    without = layers.add_light_nodes([name for name in layers.layer_names if name != "conv6"])
    assert "add7" not in without  # one of its inputs is in float


@pytest.mark.parametrize("way", CANDIDATE_SETTINGS, ids=str)
def test_each_way_to_find_ranges_keeps_the_answers(
    awkward: Path, way: QuantisationSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    network = residual().save(awkward / "model.onnx")
    ready, out = awkward / "ready.onnx", awkward / "out.onnx"
    ort_quantizer.preprocess_graph(network, ready)
    names = int8_layers.LayerSelection.from_graph(onnx_graph.read_onnx(ready).graph).layer_names
    ort_quantizer.OrtQuantiser(ready, batches, awkward).write(names, out, way)
    assert Agreement(network)(out) >= 0.9
    assert capsys.readouterr().out == ""  # the library would print its progress


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (7, 64)])
def test_weights_have_the_bits_that_were_asked_for(awkward: Path, bits: int, largest: int) -> None:
    network = residual().save(awkward / "model.onnx")
    ready, out = awkward / "ready.onnx", awkward / "out.onnx"
    ort_quantizer.preprocess_graph(network, ready)
    names = int8_layers.LayerSelection.from_graph(onnx_graph.read_onnx(ready).graph).layer_names
    ort_quantizer.OrtQuantiser(ready, batches, awkward).write(names, out, QuantisationSettings("minmax", bits))
    stored = [numpy_helper.to_array(item) for item in onnx_graph.read_onnx(out).graph.initializer]
    weights = [value for value in stored if value.dtype == np.int8 and value.ndim == 4]
    assert len(weights) == 6
    assert max(int(np.abs(value.astype(int)).max()) for value in weights) == largest
    assert any(value.dtype == np.uint8 for value in stored)  # activation zero points


def test_ranges_come_from_training_photos_and_test_photos_are_not_read(awkward: Path) -> None:
    names, rng = tuple("abcde"), np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for name in names:
            folder = awkward / "fotos" / part / name
            folder.mkdir(parents=True)
            for number in range(2):
                picture = rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
                (folder / f"{number}.png").write_bytes(images.encode_png(picture))
    model = residual().save(awkward / "model" / "model.onnx").parent
    card = ModelCard(
        "classify", Classes(names), PreprocessSpec(SIZE, SIZE), "residual", "Apache-2.0", "made for a test"
    )
    card.save(model)
    dataset = open_dataset(awkward / "fotos")
    train, val, test = (dataset.select(dataset.get_split_indices(part)) for part in (TRAIN, VAL, TEST))
    material = ExportInput(model, EvaluationImages(test, "test"), train, val)
    order = ExportOptions("onnx", "int8", max_drop=100.0)
    for path in (awkward / "fotos" / "test").rglob("*.png"):
        path.unlink()
    done = _quantise_int8(material, order, predictor.load_classifier(model), awkward / "int8.onnx", SILENT)
    assert len(done.int8) == 6
    for path in (awkward / "fotos" / "train").rglob("*.png"):
        path.unlink()
    with pytest.raises(ImageError):
        _quantise_int8(material, order, predictor.load_classifier(model), awkward / "other.onnx", SILENT)
    assert not (awkward / "other.onnx").exists()


def test_times_are_of_the_calls_themselves(awkward: Path) -> None:
    large = residual().save(awkward / "large.onnx")
    net = Net()
    net.end(net.conv("images", 3, 4), 4)
    small = net.save(awkward / "small.onnx")
    assert min(compare_latency(large, small, inputs(1), repeats=10)) > 0
