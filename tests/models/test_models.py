"""Classification networks: shapes, blocks, freezing, cost, and parity of the ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lince.errors import UsageError
from lince.models.classification import registry as classification_registry
from lince.preprocess import PreprocessSpec

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

import onnxruntime as ort  # noqa: E402

from lince.export.torch_to_onnx import export_backbone, export_classifier  # noqa: E402
from lince.models.blocks import find_first_trainable_block  # noqa: E402
from lince.models.classification.classifier import Classifier, build_classifier, build_mlp_head  # noqa: E402
from lince.models.layer_summary import summarise_network  # noqa: E402

QUICK = [
    ("cnn: conv 6 4, norm, pool, res 8 stride 2, gap, dense 9", 33),
    ("mobilenetv2_100 pad_type=same", 65),
    ("resnet18", 64),
]
LARGE = [
    ("mobilenetv2_100", 64),
    ("mobilenetv3_small_100", 64),
    ("vgg16", 64),
    ("inception_v3", 96),
    ("vit_tiny_patch16_224", 64),
    ("swin_tiny_patch4_window7_224", 224),
    ("convnext_atto", 64),
    ("densenet121", 64),
    ("res2net50_26w_4s", 64),
    ("deit_tiny_distilled_patch16_224", 224),
    ("tf_mixnet_s", 65),
    ("small", 96),
    ("medium", 96),
]
MODELS = [pytest.param(*case, id=case[0][:20]) for case in QUICK] + [
    pytest.param(*case, id=case[0], marks=pytest.mark.slow) for case in LARGE
]
CLASSES = 4


def some_images(side: int, count: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(count, 3, side, side)).astype(np.float32))


def shaken(name: str, side: int) -> Classifier:
    """Return a network whose batch norms have non-default statistics, as after training."""
    network = build_classifier(name, CLASSES, PreprocessSpec(side, side), seed=3)
    norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.5
    network.train()
    with torch.no_grad():
        network(some_images(side, 4))
    return network.eval()


@pytest.mark.parametrize(("name", "side"), MODELS)
def test_every_network_keeps_the_contract(name: str, side: int, tmp_path: Path) -> None:
    network = shaken(name, side)
    spec = PreprocessSpec(side, side)
    images = some_images(side)
    with torch.no_grad():
        logits, (embedding, last) = network(images), network.embed(images)
        torch.testing.assert_close(network.head(embedding), logits)
        torch.testing.assert_close(network(images[1:2]), logits[1:2], rtol=1e-3, atol=1e-4)
    assert logits.shape == (3, CLASSES)
    assert embedding.shape == (3, network.width)
    assert last.ndim == 4
    check_blocks(network)
    check_summary(network, spec)
    check_file(network, spec, tmp_path / "model.onnx", images, (logits, embedding, last))


def check_blocks(network: Classifier) -> None:
    blocks = network.list_blocks()
    names = [name for name, _module in blocks]
    assert len(set(names)) == len(names)
    assert names[-1] == "head"
    inside = {id(p) for _name, module in blocks for p in module.parameters()}
    loose = [name for name, p in network.named_parameters() if id(p) not in inside]
    assert all(name.endswith(("_token", "pos_embed")) for name in loose)
    middle = len(blocks) // 2
    assert network.freeze_before(names[middle]) == middle
    network.train()
    for position, (_name, module) in enumerate(blocks):
        for part in module.modules():
            if not isinstance(part, torch.nn.Identity) and list(part.parameters(recurse=False)):
                assert part.training == (position >= middle)
        assert all(p.requires_grad == (position >= middle) for p in module.parameters())
    assert not any(p.requires_grad for n, p in network.named_parameters() if n in loose)
    network.unfreeze()
    assert all(p.requires_grad for p in network.parameters())
    network.eval()


def check_summary(network: Classifier, spec: PreprocessSpec) -> None:
    table = summarise_network(network, spec)
    assert table.params == sum(p.numel() for p in network.parameters())
    assert sum(row.macs for row in table.rows) == table.macs > 0
    assert [row.name for row in table.rows] == [name for name, _module in network.list_blocks()]


def check_file(network: Classifier, spec: PreprocessSpec, path: Path, images: torch.Tensor, wanted: tuple) -> None:
    export_classifier(network, spec, path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["images"]
    assert [one.name for one in session.get_outputs()] == ["logits", "embedding", "map"]
    for count in (1, 3):
        answers = session.run(None, {"images": images[:count].numpy()})
        for answer, reference in zip(answers, wanted, strict=True):
            expected = reference[:count].numpy()
            assert np.abs(answer - expected).max() <= 1e-4 * max(1.0, float(np.abs(expected).max()))


def test_the_same_seed_draws_the_same_network_and_leaves_the_callers_alone() -> None:
    spec = PreprocessSpec(32, 32)
    state = torch.random.get_rng_state()
    first, again, other = (build_classifier("cnn", 2, spec, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_the_embedding_holds_mean_and_maximum_of_the_last_map_then_lower_stages() -> None:
    network = shaken("resnet18", 64)
    with torch.no_grad():
        embedding, last = network.embed(some_images(64))
    torch.testing.assert_close(embedding[:, :512], last.mean((2, 3)))
    torch.testing.assert_close(embedding[:, 512:1024], last.amax((2, 3)))
    assert network.width == 1024 + 128 + 256


def test_features_are_those_of_timm() -> None:
    import timm

    network = shaken("resnet18", 64)
    reference = timm.create_model("resnet18", num_classes=0).eval()
    reference.load_state_dict(network.body.network.state_dict())
    images = some_images(64)
    with torch.no_grad():
        torch.testing.assert_close(network.embed(images)[0][:, :512], reference(images))


@pytest.mark.slow
def test_vgg16_counts_and_costs_as_in_keras() -> None:
    network = build_classifier("vgg16", 1000, PreprocessSpec(224, 224))
    blocks = network.list_blocks()
    assert len(blocks) == 18 + 1
    # Keras: layer 13 of 19 (the input is layer 0) is block4_conv3, the tenth convolution.
    position = find_first_trainable_block(blocks, "13")
    convolutions = [b for b in blocks[: position + 1] if "Conv2d" in str(b[1])]
    assert (position, len(convolutions)) == (12, 10)
    convolved = summarise_network(network, PreprocessSpec(224, 224)).macs - network.head.weight.numel()
    assert convolved == 15_346_630_656  # 15.35 billion: Simonyan and Zisserman's 15.5 without the dense layers


def test_mobilenetv2_costs_what_is_published() -> None:
    spec = PreprocessSpec(224, 224)
    table = summarise_network(build_classifier("mobilenetv2_100", 1, spec), spec)
    assert table.macs == pytest.approx(300e6, rel=0.01)


def test_cost_of_a_small_network_counted_by_hand() -> None:
    spec = PreprocessSpec(8, 6)
    network = build_classifier("cnn: conv 4 3, pool, flatten, dense 5", 2, spec)
    network.freeze_before("dense4")
    table = summarise_network(network, spec)
    assert [row.macs for row in table.rows] == [8 * 6 * 4 * 27, 0, 0, 48 * 5, 10]
    assert [row.shape for row in table.rows] == [(4, 8, 6), (4, 4, 3), (48,), (5,), (2,)]
    assert (table.params, table.frozen_params) == (4 * 27 + 4 + 48 * 5 + 5 + 12, 4 * 27 + 4)
    lines = table.format_lines()
    assert len(lines) == 5 + 5
    assert "112 frozen" in lines[-2]


def test_layers_are_found_by_number_and_by_name() -> None:
    blocks = build_classifier("resnet18", 2, PreprocessSpec(32, 32)).list_blocks()
    names = [name for name, _module in blocks]
    assert find_first_trainable_block(blocks, "0") == find_first_trainable_block(blocks, "1") == 0
    assert names[find_first_trainable_block(blocks, "layer3")] == "layer3.0"
    assert names[find_first_trainable_block(blocks, "layer3.1")] == "layer3.1"
    assert names[find_first_trainable_block(blocks, str(len(blocks)))] == "head"
    with pytest.raises(UsageError, match="not 12"):
        find_first_trainable_block(blocks, "12")
    with pytest.raises(UsageError, match=r"layer3\.0"):
        find_first_trainable_block(blocks, "layer3.7")


def test_norms_alone_can_be_frozen() -> None:
    network = build_classifier("resnet18", 2, PreprocessSpec(32, 32))
    network.freeze_norms()
    network.train()
    before = network.body.network.bn1.running_mean.clone()
    network(some_images(32))
    assert torch.equal(network.body.network.bn1.running_mean, before)
    assert network.body.network.bn1.weight.requires_grad


def test_a_size_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="vgg11 cannot be built for images of 16 x 17 pixels"):
        build_classifier("vgg11", 2, PreprocessSpec(16, 17))


def test_a_network_that_timm_lacks_is_refused() -> None:
    entry = classification_registry.ModelEntry("resnet_from_tomorrow", "resnet_from_tomorrow")
    with pytest.raises(UsageError, match="resnet_from_tomorrow"):
        build_classifier(entry, 2, PreprocessSpec(32, 32))


def test_export_leaves_the_network_in_training_and_exports_another_head(tmp_path: Path) -> None:
    spec = PreprocessSpec(32, 32)
    network = build_classifier("cnn: conv 4 3 stride 2, norm, gap", 3, spec)
    network.head = build_mlp_head(network.width, 3, hidden=5)
    network.train()
    export_classifier(network, spec, tmp_path / "model.onnx")
    assert network.training
    assert network.body.layers[1].training
    images = some_images(32)
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        reference = network.eval()(images).numpy()
    np.testing.assert_allclose(session.run(["logits"], {"images": images.numpy()})[0], reference, atol=1e-5)


def test_padding_becomes_part_of_the_convolutions(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    spec = PreprocessSpec(65, 64)
    export_backbone(build_classifier("mobilenetv2_100 pad_type=same", 1, spec), spec, tmp_path / "backbone.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "backbone.onnx").graph.node}
    assert kinds <= {"Conv", "Clip", "Add", "Constant", "Identity", "ReduceMean", "ReduceMax", "Concat"}
