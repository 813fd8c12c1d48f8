"""RF-DETR: published sizes, and the same results and tensor names as transformers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

from lince.errors import UsageError, WeightsError  # noqa: E402
from lince.models import weights, weights_source  # noqa: E402
from lince.models.detection import registry as detection_registry  # noqa: E402
from lince.models.detr import rfdetr  # noqa: E402
from lince.models.detr.rfdetr import RfDetr  # noqa: E402
from lince.models.weights import WeightsReport  # noqa: E402

SIDE = 320


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("rfdetr-nano", 30.5),
        *(
            pytest.param(f"rfdetr-{size}", count, marks=pytest.mark.slow)
            for size, count in (("small", 32.1), ("medium", 33.7), ("large", 33.9))
        ),
    ],
)
def test_sizes_have_the_published_number_of_parameters(name: str, published: float) -> None:
    # The published ones have COCO's 91 class ids.
    network = rfdetr.create_detector(detection_registry.get_detector_entry(name), 91, 64, 64)
    assert sum(one.numel() for one in network.parameters()) / 1e6 == pytest.approx(published, abs=0.05)


@pytest.mark.parametrize("side", [320, 384])
def test_answers_are_those_of_transformers_at_its_own_size_and_at_another(side: int) -> None:
    torch.manual_seed(0)
    ours = rfdetr.create_detector(detection_registry.get_detector_entry("rfdetr-nano"), 3, side, side).eval()
    theirs = transformers.RfDetrForObjectDetection(ours.network.config).eval()
    state = {ours.adapt_key(name): value for name, value in theirs.state_dict().items()}
    assert state.keys() == ours.state_dict().keys()
    assert all(ours.adapt_key(name) == name for name in state)
    ours.load_state_dict(state)
    images = torch.rand(1, 3, side, side)
    with torch.no_grad():
        expected, (logits, boxes) = theirs(images), ours(images)
    # Locations with scores equal up to rounding may change order.
    torch.testing.assert_close(logits.sort(1).values, expected.logits.sort(1).values, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(boxes.sort(1).values, expected.pred_boxes.sort(1).values, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", [(64, 96), (48, 48), (0, 0)])
def test_inputs_that_its_windows_cannot_share_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="rfdetr-nano cannot read"):
        rfdetr.create_detector(detection_registry.get_detector_entry("rfdetr-nano"), 3, *size)


@pytest.fixture(scope="module")
def published() -> Any:
    """Return RF-DETR as transformers builds it, with COCO's 91 class ids; no two of its tensors are equal."""
    torch.manual_seed(0)
    settings = rfdetr.create_detector(
        detection_registry.get_detector_entry("rfdetr-nano"), 91, SIDE, SIDE
    ).network.config
    model = transformers.RfDetrForObjectDetection(settings).eval()
    for one in model.parameters():
        torch.nn.init.uniform_(one, -0.05, 0.05)
    return model


@pytest.fixture(scope="module")
def files(published: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the files of ``published``: with the authors' names, as transformers saves it, and with its own."""
    found = {}
    for layout, theirs in (("authors", True), ("transformers", False)):
        folder = tmp_path_factory.mktemp(layout)
        published.save_pretrained(folder, save_original_format=theirs)
        found[layout] = folder / "model.safetensors"
    assert "transformer.decoder.layers.0.self_attn.in_proj_weight" in load_file(found["authors"])
    assert "model.decoder.layers.0.self_attn.q_proj.weight" in load_file(found["transformers"])
    return found


def loaded(path: Path, classes: int = 91) -> tuple[RfDetr, WeightsReport]:
    torch.manual_seed(1)
    network = rfdetr.create_detector(detection_registry.get_detector_entry("rfdetr-nano"), classes, SIDE, SIDE).eval()
    return network, weights.load_network_weights(
        network, weights_source.resolve_weights(detection_registry.get_detector_entry("rfdetr-nano"), str(path))
    )


@pytest.mark.parametrize("layout", ["authors", "transformers"])
def test_published_files_are_read_whole_and_answer_as_transformers_does(
    layout: str, files: dict[str, Path], published: Any
) -> None:
    network, report = loaded(files[layout])
    assert not report.describe_misfits()
    assert report.fitted_count == report.total_count
    images = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, (logits, boxes) = published(images), network(images)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(boxes, expected.pred_boxes, atol=1e-5, rtol=1e-5)


def test_a_checkpoint_of_the_authors_is_read_without_its_settings_and_its_mark_for_hidden_patches(
    files: dict[str, Path], tmp_path: Path
) -> None:
    mark = {"backbone.0.encoder.encoder.embeddings.mask_token": torch.zeros(1, 384)}
    state = {**load_file(files["authors"]), **mark}
    settings = argparse.Namespace(resolution=384, class_names=["raccoon"], output_dir="out")
    torch.save({"model": state, "args": settings, "epoch": 3}, tmp_path / "rf-detr-nano.pth")
    network, report = loaded(tmp_path / "rf-detr-nano.pth")
    assert not report.describe_misfits()
    assert torch.equal(network.network.class_embed.weight, state["class_embed.weight"])


def test_for_other_classes_the_layers_that_name_them_are_new_and_told(files: dict[str, Path]) -> None:
    _network, report = loaded(files["authors"], 2)
    assert not report.describe_misfits()
    assert {name.split(".")[-3] for name in report.class_layers if "enc_out" in name} == {"enc_out_class_embed"}
    assert {"network.class_embed.weight", "network.class_embed.bias"} < set(report.class_layers)
    assert len(report.class_layers) == 2 + 2 * 13  # one per group of queries


def test_what_a_file_has_beyond_the_network_is_named_and_another_size_refused(
    files: dict[str, Path], tmp_path: Path
) -> None:
    state = load_file(files["authors"])
    save_file({**state, "segmentation_head.bias": torch.zeros(1)}, tmp_path / "more.safetensors")
    _network, report = loaded(tmp_path / "more.safetensors")
    assert report.unexpected == ("network.model.segmentation_head.bias",)
    wide = {name: torch.cat((one, one)) for name, one in state.items()}
    save_file(wide, tmp_path / "wide.safetensors")
    with pytest.raises(WeightsError, match="rfdetr-nano"):
        loaded(tmp_path / "wide.safetensors")
