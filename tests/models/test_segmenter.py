"""Segmentation networks: shapes, weights, what cannot be a backbone, the loss, and the same graph without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lince.class_maps import VOID  # noqa: E402
from lince.errors import UsageError  # noqa: E402
from lince.export import efficientnet_lite  # noqa: E402
from lince.export.torch_to_onnx import export_segmenter  # noqa: E402
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: E402
from lince.models import torch_file, weights  # noqa: E402
from lince.models.classification.efficientnet_names import map_timm_names  # noqa: E402
from lince.models.layer_summary import summarise_network  # noqa: E402
from lince.models.segmentation.loss import compute_pixel_losses, measure_shares  # noqa: E402
from lince.models.segmentation.registry import get_segmenter_entry, list_segmenters  # noqa: E402
from lince.models.segmentation.segmenter import build_segmenter  # noqa: E402
from lince.models.weights_source import make_preprocess_spec, resolve_weights  # noqa: E402
from lince.training.segmentation.pixel_head import PixelHead  # noqa: E402


def test_the_default_network_has_its_published_weights_and_answers_alike_in_onnx(tmp_path: Path) -> None:
    source = resolve_weights(get_segmenter_entry("lite"))
    spec = make_preprocess_spec(source, 96)
    network = build_segmenter(source.entry, 2, spec).eval()
    report = weights.load_network_weights(network, source)
    assert report.fitted_count == report.total_count
    inputs = np.random.default_rng(0).normal(size=(2, *spec.shape)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs))[0].numpy()
        maps = network.extract_features(torch.from_numpy(inputs))
    assert expected.shape == (2, 3, 24, 24)
    export_segmenter(network, spec, tmp_path / "model.onnx")
    np.testing.assert_allclose(OnnxRuntimeBackend(tmp_path / "model.onnx").run(inputs)[0], expected, atol=1e-4)
    assert source.path is not None
    tensors = torch_file.read_tensors(source.path)
    names = map_timm_names(tensors)
    efficientnet_lite.write_pyramid({names[name]: value for name, value in tensors.items()}, spec, tmp_path / "b.onnx")
    backend = OnnxRuntimeBackend(tmp_path / "b.onnx")
    written = backend.run(inputs, ["map0", "map1", "map2", "map3"])
    for ours, theirs in zip(written, maps, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-4)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv4_conv_small"])
def test_any_backbone_with_four_strides_can_be_taken(name: str) -> None:
    entry = get_segmenter_entry(name)
    spec = make_preprocess_spec(resolve_weights(entry, "none"), 64)
    network = build_segmenter(entry, 5, spec).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, *spec.shape))[0].shape == (1, 6, 16, 16)
    assert [name for name, _module in network.list_blocks()][-1] == "head"


def test_networks_without_such_maps_and_odd_sides_are_refused() -> None:
    with pytest.raises(UsageError, match="cnn cannot be the backbone"):
        get_segmenter_entry("cnn")
    entry = get_segmenter_entry("vit_tiny_patch16_224")
    with pytest.raises(UsageError, match="cannot be the backbone"):
        build_segmenter(entry, 2, make_preprocess_spec(resolve_weights(entry, "none"), 224))
    entry = get_segmenter_entry("lite")
    with pytest.raises(UsageError, match="multiples of 32"):
        build_segmenter(entry, 2, make_preprocess_spec(resolve_weights(entry, "none"), 100))


def test_the_pyramid_adds_nothing_to_the_linear_head_at_first() -> None:
    entry = get_segmenter_entry("lite")
    spec = make_preprocess_spec(resolve_weights(entry, "none"), 64)
    network = build_segmenter(entry, 2, spec)
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=(3, count)).astype(np.float32) for count in (24, 40, 112, 320)]
    scene, bias = rng.normal(size=(3, 640)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    network.head.linear.adopt(matrices, scene, bias)
    head = PixelHead(tuple(matrices), scene, bias, 1e-3, 1)
    with torch.no_grad():
        maps = network.eval().extract_features(torch.from_numpy(rng.normal(size=(2, *spec.shape)).astype(np.float32)))
        logits = network.head(maps).numpy()
    np.testing.assert_allclose(logits, head.compute_logits([level.numpy() for level in maps]), atol=1e-3)


def test_the_costs_in_the_list_are_those_of_the_networks() -> None:
    entry = list_segmenters()["lite"]
    spec = make_preprocess_spec(resolve_weights(entry, "none"))
    summary = summarise_network(build_segmenter(entry, 10, spec), spec)
    assert (entry.params, entry.macs) == (summary.params, summary.macs)


def test_void_pixels_are_neither_learned_nor_counted() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, generator=generator)
    targets = torch.randint(0, 3, (2, 8, 8), generator=generator, dtype=torch.uint8)
    targets[:, :, 4:] = VOID
    altered = logits.clone().requires_grad_(True)
    losses = compute_pixel_losses(altered, targets)
    sum(losses.values()).backward()
    assert altered.grad is not None
    assert altered.grad[:, :, :, 3].abs().max() == 0  # only void pixels lie next to this column's cells
    assert altered.grad[:, :, :, 0].abs().max() > 0
    known = targets[:, :, :4].long()
    scores = torch.nn.functional.interpolate(logits, (8, 8), mode="bilinear", align_corners=False)[:, :, :, :4]
    torch.testing.assert_close(losses["pixels"].detach(), torch.nn.functional.cross_entropy(scores, known))
    shares = scores.softmax(1)
    truth = torch.nn.functional.one_hot(known, 3).permute(0, 3, 1, 2)
    dice = [(2 * (shares * truth)[:, k].sum() + 1) / (shares[:, k].sum() + truth[:, k].sum() + 1) for k in range(3)]
    torch.testing.assert_close(losses["dice"].detach(), 1 - torch.stack(dice).mean())


def test_a_cell_has_the_shares_of_its_pixels() -> None:
    targets = torch.tensor([[[0, 1, 2, 2], [1, 1, VOID, VOID]]], dtype=torch.uint8)
    shares = measure_shares(targets, 3, (1, 2))
    torch.testing.assert_close(shares[0, :, 0], torch.tensor([[0.25, 0.0], [0.75, 0.0], [0.0, 0.5]]))


def test_a_batch_without_known_pixels_has_no_loss() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    losses = compute_pixel_losses(logits, torch.full((1, 8, 8), VOID, dtype=torch.uint8))
    total = losses["pixels"] + losses["dice"]
    total.backward()
    assert float(total.detach()) == 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_classes_that_do_not_occur_are_left_out_of_dice() -> None:
    logits = torch.zeros(1, 4, 2, 2)
    logits[:, 1] = 20.0
    losses = compute_pixel_losses(logits, torch.ones(1, 8, 8, dtype=torch.uint8))
    assert float(losses["dice"]) == pytest.approx(0.0, abs=1e-4)
