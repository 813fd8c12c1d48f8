"""Faster R-CNN over timm backbones: building, weights of a classifier, and suppression in network and export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.support.box_photos import yolo  # noqa: E402
from torchvision.ops import MultiScaleRoIAlign, batched_nms  # noqa: E402

import lince  # noqa: E402
from lince import images, preprocess  # noqa: E402
from lince.annotations import ObjectTable  # noqa: E402
from lince.cli.main import main  # noqa: E402
from lince.datasets import open_dataset  # noqa: E402
from lince.errors import UsageError, WeightsError  # noqa: E402
from lince.evaluation.detection.metrics import compute_mean_ap  # noqa: E402
from lince.export.torch_to_onnx import export_detector  # noqa: E402
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: E402
from lince.models import weights, weights_source  # noqa: E402
from lince.models.detection import builders  # noqa: E402
from lince.models.detection import registry as detection_registry  # noqa: E402
from lince.models.faster_rcnn import model as faster_rcnn_model  # noqa: E402
from lince.models.faster_rcnn import proposals  # noqa: E402
from lince.models.faster_rcnn.model import FasterRcnn  # noqa: E402
from lince.postprocess import DetectionFilter, per_class_boxes  # noqa: E402
from lince.preprocess import PreprocessSpec  # noqa: E402
from lince.training.detection.loader import DetectionLoader  # noqa: E402
from lince.training.detection.objective import (  # noqa: E402
    compute_validation_metrics,
    move_targets,
    predict_detections,
)
from lince.training.detection.samples import DetectionSamples  # noqa: E402

MOBILE = "fasterrcnn: mobilenetv2_100"


def _filled(shared: Path, side: int, classes: int = 1) -> tuple[FasterRcnn, PreprocessSpec, weights.WeightsReport]:
    file = shared / "weights" / "mobilenetv2_100_padsame.pth"
    source = weights_source.resolve_weights(detection_registry.get_detector_entry(MOBILE), str(file))
    spec = weights_source.make_preprocess_spec(source, side)
    network = builders.build_detector(source.entry, classes, spec)  # type: ignore[arg-type]
    report = weights.load_network_weights(network, source)
    assert isinstance(network, FasterRcnn)
    return network, spec, report


def test_weights_of_a_classifier_fill_the_backbone_and_the_report_says_so(shared: Path) -> None:
    network, spec, report = _filled(shared, 64)
    assert report.fitted_count == report.total_count
    assert report.total_count < len(network.state_dict())
    assert "Only the backbone was loaded" in "\n".join(report.format_lines())
    assert spec.mean == (127.5, 127.5, 127.5)
    state = torch.load(shared / "weights" / "mobilenetv2_100_padsame.pth", weights_only=True)
    assert torch.equal(network.state_dict()["backbone.body.conv_stem.weight"], state["conv_stem.weight"])


def test_weights_of_another_network_are_refused(shared: Path) -> None:
    source = weights_source.resolve_weights(
        detection_registry.get_detector_entry("fasterrcnn"), str(shared / "weights" / "mobilenetv2_100_padsame.pth")
    )
    network = builders.build_detector(source.entry, 1, weights_source.make_preprocess_spec(source, 64))  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="mobilenetv3_large_100"):
        weights.load_network_weights(network, source)


def test_network_and_file_agree_from_photo_to_boxes(shared: Path, awkward: Path) -> None:
    network, spec, _report = _filled(shared, 128, 2)
    network.eval()
    export_detector(network, spec, awkward / "faster.onnx")
    session = OnnxRuntimeBackend(awkward / "faster.onnx")
    photos = [images.read_image(path) for path in sorted((shared / "data/raccoon").rglob("*.jpg"))[:4]]
    batch = preprocess.preprocess_images(photos, spec)
    with torch.no_grad():
        answers = [one.numpy() for one in network(torch.from_numpy(batch))]
    exported = session.run(batch, ["boxes", "scores"])
    assert np.abs(exported[0] - answers[0]).max() < 0.5
    assert np.abs(exported[1] - answers[1]).max() < 1e-3
    for row, photo in enumerate(photos):
        ours, theirs = (
            per_class_boxes.decode([one[row] for one in outputs], photo.shape[:2], spec, DetectionFilter(0.05))
            for outputs in (answers, exported)
        )
        assert len(ours) == len(theirs)


def test_suppression_of_a_batch_is_torchvisions_image_by_image_and_fills_up_with_none() -> None:
    torch.manual_seed(0)
    corners = torch.rand(3, 60, 2) * 40
    many = torch.cat((corners, corners + 5 + torch.rand(3, 60, 2) * 30), 2)
    scores, levels = torch.rand(3, 60), torch.arange(60) % 3
    kept, real = proposals.filter_proposals(many, scores, levels, 0.2, 50)
    assert 0 < real.sum() < real.numel()
    for row in range(3):
        expected = many[row][batched_nms(many[row], scores[row], levels, 0.2)]
        torch.testing.assert_close(kept[row][real[row] > 0], expected[: int(real[row].sum())])


def test_regions_are_read_as_torchvision_reads_them() -> None:
    torch.manual_seed(0)
    maps = [torch.rand(2, 4, 64 // scale, 64 // scale) for scale in (1, 2, 4, 8)]
    corners = torch.rand(2, 20, 2) * 100
    found = torch.cat((corners, corners + 4 + torch.rand(2, 20, 2) * 150), 2)
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    expected = pool({str(k): one for k, one in enumerate(maps)}, list(found), [(256, 256)] * 2)
    torch.testing.assert_close(
        proposals.pool_regions(maps, (4, 8, 16, 32), proposals.boxes_to_rois(found), 7), expected
    )


def test_anchors_and_answers_stand_at_the_same_places() -> None:
    network = faster_rcnn_model.create_detector(detection_registry.get_detector_entry("fasterrcnn"), 2, 64, 96).eval()
    with torch.no_grad():
        maps = network.extract_features(torch.zeros(1, 3, 64, 96))
    assert [tuple(one.shape[2:]) for one in maps] == [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]
    layer = network.rpn.head.bbox_pred
    layer.weight.data.zero_()
    layer.bias.data.copy_(torch.arange(12.0))
    with torch.no_grad():
        logits, moves = network._run_rpn_head(maps)
    for level, places in enumerate(network._make_anchors(maps)):
        assert logits[level].shape == (1, len(places))
        torch.testing.assert_close(moves[level][0, :3], torch.arange(12.0).view(3, 4))


def test_the_text_of_an_entry_and_what_cannot_be_a_backbone() -> None:
    assert detection_registry.get_detector_entry("fasterrcnn: resnet18").identifier.startswith("fasterrcnn: resnet18.")
    assert detection_registry.get_detector_entry("fasterrcnn").architecture == "mobilenetv3_large_100"
    with pytest.raises(UsageError, match="cnn cannot be the backbone"):
        detection_registry.get_detector_entry("fasterrcnn: cnn")
    entry = detection_registry.get_detector_entry("fasterrcnn: vit_tiny_patch16_224")
    with pytest.raises(UsageError, match="cannot be the backbone"):
        faster_rcnn_model.create_detector(entry, 2, 224, 224)
    with pytest.raises(UsageError, match="multiples of 32"):
        faster_rcnn_model.create_detector(detection_registry.get_detector_entry("fasterrcnn"), 2, 100, 96)


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="scores"):
        per_class_boxes.decode(
            [np.zeros((3, 4)), np.zeros((3, 2))], (10, 10), PreprocessSpec(32, 32), DetectionFilter()
        )


@pytest.mark.parametrize("recipe", ["scratch", "transfer", "finetune"])
def test_it_trains_and_is_evaluated_and_asked_from_the_command_line(
    recipe: str, awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = yolo(awkward / "photos", {"train": 6, "val": 2, "test": 3}, side=64)
    run = str(awkward / "run")
    asked = ["--model", "fasterrcnn", "--weights", "none", "--size", "64", "--epochs", "1", "--recipe", recipe]
    assert main(["train", str(photos), *asked, "--augment", "none", "--out", run]) == 0
    assert main(["evaluate", run, str(photos)]) == 0
    assert "mAP50" in capsys.readouterr().out
    assert [one.size for one in lince.load(run).predict_many(photos / "images" / "test")] == [(64, 64)] * 3


@pytest.mark.slow
def test_eight_photos_are_overfitted(shared: Path) -> None:
    network, spec, _report = _filled(shared, 128)
    samples = DetectionSamples.from_dataset(open_dataset(shared / "data" / "raccoon", format="voc"))
    loader = DetectionLoader(samples, np.arange(8), spec, 8)
    batch = next(iter(loader.iter_batches()))
    inputs, targets = torch.from_numpy(batch.inputs), move_targets(batch.targets, torch.device("cpu"))
    network.freeze_before("4")
    network.freeze_norms()
    network.train()
    optimiser = torch.optim.AdamW([one for one in network.parameters() if one.requires_grad], 5e-4)
    torch.manual_seed(0)
    sums = []
    for _step in range(40):
        total = torch.stack(list(network.compute_losses(inputs, targets).values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        sums.append(float(total.detach()))
    assert sums[-1] < 0.5 * sums[0]
    truth = samples.dataset.objects
    assert isinstance(truth, ObjectTable)
    assert (
        compute_mean_ap(truth.select_images(np.arange(8)), predict_detections(network, loader), samples.classes)[0]
        >= 0.95
    )


@pytest.mark.slow
def test_eight_photos_are_overfitted_from_random_weights(shared: Path) -> None:
    entry = detection_registry.get_detector_entry("fasterrcnn: mobilenetv2_100")
    spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), 128)
    network = builders.build_detector(entry, 1, spec, 0)
    loader = DetectionLoader(
        DetectionSamples.from_dataset(open_dataset(shared / "data" / "raccoon", format="voc")), np.arange(8), spec, 8
    )
    batch = next(iter(loader.iter_batches()))
    inputs, targets = torch.from_numpy(batch.inputs), move_targets(batch.targets, torch.device("cpu"))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    torch.manual_seed(0)
    sums, learnt = [], 0.0
    while learnt < 0.95 and len(sums) < 150:  # 50 steps sufficed when this was written
        network.train()
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min((len(sums) + 1) / 20, 1.0)
        total = torch.stack(list(network.compute_losses(inputs, targets).values())).sum()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        sums.append(float(total.detach()))
        if len(sums) % 10 == 0:
            learnt = compute_validation_metrics(loader, predict_detections(network, loader))["val_map50"]
    assert learnt >= 0.95
    assert sums[-1] < 0.5 * sums[0]
