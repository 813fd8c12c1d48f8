"""YOLOX: published weights load unchanged; network, export and reference ONNX agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lince import images, preprocess  # noqa: E402
from lince.errors import UsageError, WeightsError  # noqa: E402
from lince.export.torch_to_onnx import export_detector  # noqa: E402
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: E402
from lince.models import weights, weights_source  # noqa: E402
from lince.models.detection import registry as detection_registry  # noqa: E402
from lince.models.silu import memory_efficient_silu  # noqa: E402
from lince.models.yolox import model as yolox_model  # noqa: E402
from lince.models.yolox.model import Yolox  # noqa: E402
from lince.postprocess import DetectionFilter  # noqa: E402
from lince.postprocess import yolox as meaning  # noqa: E402
from lince.preprocess import PreprocessSpec  # noqa: E402

NANO = detection_registry.get_detector_entry("yolox-nano")
SPEC = weights_source.make_preprocess_spec(weights_source.resolve_weights(NANO, "none"))
SMALL = PreprocessSpec(64, 96, "corner", "bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def published(shared: Path) -> Path:
    return shared / "weights" / "yolox_nano.pth"


@pytest.fixture(scope="module")
def network(published: Path) -> Yolox:
    network = yolox_model.create_detector(NANO, 80, 416, 416)
    weights.load_network_weights(network, weights_source.resolve_weights(NANO, str(published)))
    return network.eval()


def test_published_weights_load_strictly(published: Path) -> None:
    state = torch.load(published, weights_only=True)["model"]
    assert len(state) == 642
    yolox_model.create_detector(NANO, 80, 416, 416).load_state_dict(state, strict=True)
    report = weights.load_network_weights(
        yolox_model.create_detector(NANO, 80, 416, 416), weights_source.resolve_weights(NANO, str(published.parent))
    )
    assert report.fitted_count == report.total_count
    assert not report.describe_misfits()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_network_our_onnx_and_the_reference_agree_from_photo_to_boxes(
    shared: Path, network: Yolox, awkward: Path
) -> None:
    path = awkward / "yolox.onnx"
    export_detector(network, SPEC, path)
    ours, reference = OnnxRuntimeBackend(path), OnnxRuntimeBackend(shared / "weights" / "yolox_nano.onnx")
    photos = [
        *sorted((shared / "data/hardhat").rglob("*.jpg"))[:25],
        *sorted((shared / "data/raccoon").rglob("*.jpg"))[:25],
    ]
    count = 0
    for photo in photos:
        image = images.read_image(photo)
        batch = preprocess.preprocess_images([image], SPEC)
        with torch.no_grad():
            answers = [network(torch.from_numpy(batch))[0].numpy()]
        answers += [ours.run(batch, ["raw"])[0], reference.run(batch, ["output"])[0]]
        trained, exported, expected = (meaning.decode([raw[0]], image.shape[:2], SPEC) for raw in answers)
        count += len(expected)
        for found in (trained, exported):
            assert found.class_ids.tolist() == expected.class_ids.tolist(), photo
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.5)
    assert len(photos) == 50
    assert count > 100


def test_weights_for_other_classes_leave_the_class_layers_and_name_them(published: Path) -> None:
    network = yolox_model.create_detector(NANO, 3, 416, 416)
    before = network.head.cls_preds[0].weight.clone()
    report = weights.load_network_weights(network, weights_source.resolve_weights(NANO, str(published)))
    names = [f"head.cls_preds.{level}.{part}" for level in range(3) for part in ("weight", "bias")]
    assert list(report.class_layers) == names
    assert all(name in "\n".join(report.format_lines()) for name in names)
    assert report.fitted_count == report.total_count - 6
    assert not report.describe_misfits()
    assert torch.equal(network.head.cls_preds[0].weight, before)
    state = torch.load(published, weights_only=True)["model"]
    assert torch.equal(network.head.obj_preds[2].bias, state["head.obj_preds.2.bias"])


def test_weights_of_another_network_are_refused(published: Path) -> None:
    tiny = detection_registry.get_detector_entry("yolox-tiny")
    network = yolox_model.create_detector(tiny, 80, 416, 416)
    with pytest.raises(WeightsError, match="yolox_tiny"):
        weights.load_network_weights(network, weights_source.resolve_weights(tiny, str(published)))


@pytest.mark.parametrize(
    "name", [name for name, one in detection_registry.list_detectors().items() if one.family == "yolox"]
)
def test_sizes_have_the_published_number_of_parameters(name: str) -> None:
    entry = detection_registry.get_detector_entry(name)
    with torch.device("meta"):
        network = yolox_model.create_detector(entry, 80, entry.size, entry.size)
    count = sum(one.numel() for one in network.parameters())
    published = {"nano": 0.91, "tiny": 5.06, "s": 9.0, "m": 25.3, "l": 54.2, "x": 99.1}[name.partition("-")[2]]
    assert count == entry.params
    assert count / 1e6 == pytest.approx(published, abs=0.05)
    assert entry.is_permissive


def test_one_and_many_agree_and_the_export_takes_both(awkward: Path) -> None:
    torch.manual_seed(0)
    network = yolox_model.create_detector(NANO, 3, 64, 96).eval()
    export_detector(network, SMALL, awkward / "small.onnx")
    batch = torch.rand(5, 3, 64, 96) * 255
    with torch.no_grad():
        (together,) = network(batch)
        alone = torch.cat([network(one[None])[0] for one in batch])
    assert together.shape == (5, len(meaning.make_grid(64, 96)), 8)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    exported = OnnxRuntimeBackend(awkward / "small.onnx").run(batch.numpy(), ["raw"])[0]
    np.testing.assert_allclose(exported, together.numpy(), atol=1e-3)


def test_logits_precede_the_sigmoid_and_random_weights_score_low() -> None:
    torch.manual_seed(0)
    network = yolox_model.create_detector(NANO, 2, 64, 96).eval()
    batch = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        maps = network.extract_features(batch)
        logits, (raw,) = network.head(maps), network(batch)
    torch.testing.assert_close(raw[..., 4:], logits[..., 4:].sigmoid())
    assert torch.equal(raw[..., :4], logits[..., :4])
    assert len(meaning.decode([raw[0].numpy()], (64, 96), SMALL, DetectionFilter())) == 0
    assert [tuple(one.shape[1:]) for one in maps] == [(64, 8, 12), (128, 4, 6), (256, 2, 3)]


def test_sides_are_multiples_of_32_and_names_are_known() -> None:
    with pytest.raises(UsageError, match="multiples of 32"):
        yolox_model.create_detector(NANO, 2, 64, 100)
    with pytest.raises(UsageError, match="yolox-nano"):
        detection_registry.get_detector_entry("yolox-nan")


@pytest.mark.parametrize("dense", [torch.contiguous_format, torch.channels_last])
def test_our_silu_gives_the_values_and_slopes_of_torchs(dense: torch.memory_format) -> None:
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64).contiguous(memory_format=dense).requires_grad_()
    assert torch.equal(memory_efficient_silu(x), torch.nn.functional.silu(x))
    assert torch.autograd.gradcheck(lambda one: torch.cat((memory_efficient_silu(one), one), 1)[:, 2:9], (x,))
