"""Training of segmentation models: recipes, resuming, the head without torch, class maps that follow the warp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.support import shape_masks  # noqa: E402

import lince  # noqa: E402
from lince.augmentation import Policy, augment  # noqa: E402
from lince.augmentation.apply import augment_class_map  # noqa: E402
from lince.augmentation.mosaic import LabelledImage, mixup_images, mosaic  # noqa: E402
from lince.class_maps import VOID  # noqa: E402
from lince.config import TrainConfig  # noqa: E402
from lince.datasets import Dataset, open_dataset  # noqa: E402
from lince.errors import UsageError  # noqa: E402
from lince.export.pixel_head import attach_pixel_head  # noqa: E402
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: E402
from lince.models.segmentation.registry import get_segmenter_entry  # noqa: E402
from lince.models.weights_source import make_preprocess_spec, resolve_weights  # noqa: E402
from lince.preprocess import PreprocessSpec  # noqa: E402
from lince.progress import SILENT  # noqa: E402
from lince.tasks import get_task  # noqa: E402
from lince.training.loop import find_best_epoch  # noqa: E402
from lince.training.recipe import RecipeContext  # noqa: E402
from lince.training.segmentation.frozen_body import prepare_pyramid_body  # noqa: E402
from lince.training.segmentation.pixel_head import PixelHead, sample_pixels  # noqa: E402
from lince.training.segmentation.recipes import transfer  # noqa: E402
from lince.training.segmentation.samples import SegmentationSamples  # noqa: E402

SPEC = PreprocessSpec(64, 64)
CONFIG = TrainConfig(task="segment", size=64, epochs=2, batch=8, seed=1, workers=2)


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shape_masks.write_masks(tmp_path_factory.mktemp("máscaras") / "niño")


@pytest.fixture(scope="module")
def dataset(masks: Path) -> Dataset:
    return get_task("segment").select_usable(open_dataset(masks))


def test_the_class_map_of_a_photo_has_its_classes_and_its_void_pixels(masks: Path, dataset: Dataset) -> None:
    import cv2

    samples = SegmentationSamples.from_dataset(dataset)
    for row in range(4):
        name = Path(dataset.images.get_name(row)).name
        expected = cv2.imdecode(np.fromfile(masks / "masks" / name, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(samples.draw_class_map(row), expected)
        assert samples.read(row, (32, 32)).class_map is not None


@pytest.mark.parametrize("policy", ["flip_x 1.0", "zoom 0.3, rotation 20", "perspective 0.2, shift_x 0.2", "none"])
@pytest.mark.parametrize("resize", ["squash", "letterbox"])
def test_masks_follow_the_one_warp(policy: str, resize: str) -> None:
    """A photo whose pixels show their class: after the warp, both still agree, but at edges and outside."""
    class_map = np.zeros((90, 140), np.uint8)
    class_map[20:60, 30:90], class_map[50:80, 80:130] = 1, 2
    colours = np.array([(10, 10, 10), (240, 20, 20), (20, 20, 240)], np.uint8)
    spec, parsed = PreprocessSpec(64, 96, resize), Policy.parse(policy)
    for seed in range(3):
        altered = augment(colours[class_map], parsed, np.random.default_rng(seed), spec, np.empty((0, 4)))
        warped = augment_class_map(class_map, parsed, np.random.default_rng(seed), spec)
        assert warped.shape == (64, 96)
        known = warped != VOID
        distance = np.abs(altered.image.astype(int) - colours[np.where(known, warped, 0)]).sum(axis=2)
        assert (distance[known] < 60).mean() > 0.9
        outside = np.abs(altered.image.astype(int) - 114).sum(axis=2) == 0
        assert (warped[outside] == VOID).mean() > 0.9 if outside.sum() > 50 else True


def test_a_mosaic_carries_class_maps_and_mixup_knows_only_what_agrees() -> None:
    rng = np.random.default_rng(0)
    values = [1, 2, 3, 4]
    tiles = [
        LabelledImage(
            np.full((50, 60, 3), 40 * value, np.uint8),
            np.empty((0, 4)),
            np.empty(0, np.int32),
            np.full((50, 60), value, np.uint8),
        )
        for value in values
    ]
    mixed = mosaic(tiles, rng, SPEC)
    assert mixed.class_map is not None
    for value in values:
        there = mixed.class_map == value
        assert there.any()
        assert (mixed.image[there] == 40 * value).mean() > 0.9  # at its edge a tile is blended with grey
    grey = (mixed.image == 114).all(axis=2)
    assert (mixed.class_map[grey] == VOID).mean() > 0.95
    other = LabelledImage(mixed.image, mixed.boxes, mixed.class_ids, np.full((64, 64), 1, np.uint8))
    both = mixup_images(mixed, other, rng, SPEC)
    assert both.class_map is not None
    assert set(np.unique(both.class_map)) <= {1, VOID}


def test_a_class_map_of_another_size_is_no_label() -> None:
    with pytest.raises(ValueError, match="class map"):
        LabelledImage(
            np.zeros((4, 4, 3), np.uint8), np.empty((0, 4)), np.empty(0, np.int32), np.zeros((3, 4), np.uint8)
        )


class Interrupting(type(SILENT)):
    """Raises KeyboardInterrupt at message number ``count`` that begins with ``Epoch`` and a number."""

    def __init__(self, count: int) -> None:
        self.left = count

    def show_message(self, text: str) -> None:
        self.left -= text.startswith("Epoch ")
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("recipe", "stop"), [("scratch", 2), ("finetune", 3), ("finetune", 9)])
def test_an_interrupted_run_ends_with_the_same_bits(
    masks: Path, tmp_path: Path, recipe: str, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lince.training.segmentation.defaults.TRANSFER_STEPS", 6)  # six epochs of the head
    config = CONFIG.with_changes(recipe=recipe, epochs=4)
    whole = lince.train(masks, config, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        lince.train(masks, config, out=tmp_path / "cut", progress=Interrupting(stop))
    resumed = lince.resume(tmp_path / "cut")
    for name in ("predictions.csv", "model/model.onnx"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_finetune_keeps_the_network_that_is_better_on_validation(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lince.training.segmentation.defaults.TRANSFER_STEPS", 20)
    config = CONFIG.with_changes(recipe="finetune", epochs=1, val=0.2)
    for rate, expected in ((1e-4, None), (0.5, "did not help")):
        run = lince.train(masks, config.with_changes(rate=rate), out=tmp_path / f"run-{rate}")
        note = next(note for note in run.report["notes"] if "ine-tuning" in note)
        assert expected is None or expected in note
    weights = torch_state(run.folder / "head" / "checkpoints" / "best.safetensors")
    answer = OnnxRuntimeBackend(run.model_folder / "model.onnx").run(np.zeros((1, 3, 64, 64), np.float32))[0]
    from lince.models.segmentation.segmenter import build_segmenter

    source = resolve_weights(get_segmenter_entry("lite"))
    network = build_segmenter(source.entry, 2, make_preprocess_spec(source, 64)).eval()
    network.load_state_dict(weights)
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.zeros(1, 3, 64, 64))[0].numpy(), answer, atol=1e-4)


def torch_state(path: Path) -> dict[str, Any]:
    from lince.training.checkpoint import read_tensor_file

    return read_tensor_file(path)[0]


def test_a_later_epoch_is_kept_where_it_is_not_clearly_worse() -> None:
    history = [{"val_miou": value, "val_loss": -value} for value in (0.5, 0.82, 0.7, 0.815, 0.80, float("nan"))]
    assert find_best_epoch(history, "val_miou") == find_best_epoch(history, "val_loss") == 2
    assert find_best_epoch(history, "val_miou", 0.01) == find_best_epoch(history, "val_loss", 0.01) == 4
    kept = [find_best_epoch(history[: i + 1], "val_miou", 0.01) == i + 1 for i in range(len(history))]
    assert kept == [True, True, False, True, False, False]
    assert find_best_epoch(history[-1:], "val_miou", 0.01) == 1


def test_without_torch_a_linear_head_is_fitted(masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "has_torch", lambda: False)
    config = CONFIG.with_changes(epochs=None, batch=None)
    run = lince.train(masks, config, out=tmp_path / "run")
    assert run.report["test"]["miou"]["value"] > 0.6
    head = 3 * (24 + 40 + 112 + 3 * 320 + 1)
    assert run.report["model"]["trainable"] == head
    assert run.report["model"]["params"] - head == 2_958_848  # the network as timm counts it, up to its last stage
    assert json.loads((run.model_folder / "card.json").read_text())["parity"]["probabilities"] < 1e-4
    with pytest.raises(UsageError, match="epochs, batch"):
        lince.train(masks, CONFIG, out=tmp_path / "other")


def test_sampled_features_are_those_that_the_attached_head_reads(tmp_path: Path, dataset: Dataset) -> None:
    """The logits of the ONNX file at a cell are the head's matrix times the features that were sampled there."""
    source = resolve_weights(get_segmenter_entry("lite"))
    spec = make_preprocess_spec(source, 64)
    context = RecipeContext.create(dataset, CONFIG, source.entry, spec, SILENT)
    body = prepare_pyramid_body(context, source).path
    rng = np.random.default_rng(0)
    head = PixelHead(
        tuple(rng.normal(size=(3, count)).astype(np.float32) for count in (24, 40, 112, 320)),
        rng.normal(size=(3, 640)).astype(np.float32),
        rng.normal(size=3).astype(np.float32),
        1e-3,
        1,
    )
    attach_pixel_head(body, head.weights, head.scene, head.bias, tmp_path / "model.onnx")
    inputs = rng.normal(size=(2, *spec.shape)).astype(np.float32)
    logits = OnnxRuntimeBackend(tmp_path / "model.onnx").run(inputs)[0]
    backend = OnnxRuntimeBackend(body)
    maps = backend.run(inputs, list(backend.outputs))
    np.testing.assert_allclose(head.compute_logits(maps), logits, atol=1e-3)
    target = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % 3
    features, values = sample_pixels(tuple(level[0] for level in maps), target, 16 * 16, rng)
    assert len(values) == 16 * 16
    expected = logits[0].reshape(3, -1).T
    np.testing.assert_allclose(
        features @ np.concatenate([*head.weights, head.scene], axis=1).T + head.bias, expected, atol=1e-3
    )


def test_void_cells_are_not_sampled() -> None:
    maps = (np.zeros((2, 8, 8), np.float16), np.zeros((3, 4, 4), np.float16))
    target = np.full((32, 32), VOID, np.uint8)
    target[:16] = 1
    features, values = sample_pixels(maps, target, 1000, np.random.default_rng(0))
    assert features.shape == (32, 2 + 3 + 2 * 3)
    assert (values == 1).all()


def test_what_cannot_be_trained_is_refused(masks: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="resize crop"):
        lince.train(masks, CONFIG.with_changes(resize="crop"), out=tmp_path / "a")
    with pytest.raises(UsageError, match="multiples of 32"):
        lince.train(masks, CONFIG.with_changes(size=100), out=tmp_path / "b")
    with pytest.raises(UsageError, match="does not use mix"):
        lince.train(masks, CONFIG.with_changes(mix="mixup"), out=tmp_path / "c")


def test_only_head_is_trained_by_transfer(masks: Path, tmp_path: Path) -> None:
    run = lince.train(masks, CONFIG, out=tmp_path / "run")
    after = torch_state(run.folder / "checkpoints" / "best.safetensors")
    source = resolve_weights(get_segmenter_entry("lite"))
    from lince.models import weights
    from lince.models.segmentation.segmenter import build_segmenter

    network = build_segmenter(source.entry, 2, make_preprocess_spec(source, 64), CONFIG.seed)
    weights.load_network_weights(network, source)
    before = network.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)
