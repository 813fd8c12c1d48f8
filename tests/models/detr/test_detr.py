"""DETR-like detectors: published sizes, one loss for all kinds, results independent of the batch."""

from __future__ import annotations

import http.server
import json
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lince.cli.main import main
from lince.errors import UsageError
from lince.models.detection import registry as detection_registry
from lince.postprocess import DetectionFilter, detr, get_decoder
from lince.preprocess import PreprocessSpec

SPEC = PreprocessSpec(64, 96)
BOXES = np.array([[2.0, 3, 20, 30], [50, 40, 90, 60], [2, 3, 20, 30]])
IDS = np.array([2, 0, 1], np.int32)


def test_encoded_truth_comes_back_with_its_classes() -> None:
    found = detr.decode(
        detr.encode(BOXES, IDS, (128, 192), SPEC, 3), (128, 192), SPEC, DetectionFilter(iou_threshold=1.0)
    )
    assert found.class_ids.tolist() == IDS.tolist()
    np.testing.assert_allclose(found.boxes, BOXES, atol=1e-3)
    assert (found.scores == 1).all()


def test_neighbours_in_a_crowd_stay_and_doubles_go() -> None:
    kind, crowd = (
        get_decoder("queries"),
        np.array([[0.0, 0, 40, 40], [6, 0, 46, 40], [60, 0, 100, 40], [62, 0, 102, 40]]),
    )
    answers = kind.encode(crowd, np.zeros(4, np.int32), (128, 192), SPEC, 3)
    # The first two have an IoU of 0.74, the last two of 0.90.
    found = kind.decode(answers, (128, 192), SPEC, DetectionFilter(iou_threshold=kind.iou_threshold))
    assert sorted(found.boxes[:, 0].round().tolist()) == [0, 6, 60]


def test_numbers_mean_shares_of_the_input_and_what_is_no_number_is_left_out() -> None:
    logits = np.array([[0.0, -9], [np.nan, -9], [9, 9]], np.float32)
    boxes = np.array([[0.5, 0.5, 0.5, 0.25], [0.5, 0.5, 1, 1], [np.nan, 0.5, 0.1, 0.1]], np.float32)
    found = detr.decode([logits, boxes], (128, 192), SPEC)
    np.testing.assert_allclose(found.boxes, [[48, 48, 144, 80]], atol=1e-3)
    assert found.scores.tolist() == pytest.approx([0.5])
    with pytest.raises(ValueError, match="queries"):
        detr.decode([logits, boxes[:2]], (128, 192), SPEC)


def _network(name: str, classes: int = 3, side: int = 64):  # type: ignore[no-untyped-def]
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from lince.models.detection.registry import DetectorEntry
    from lince.models.detr import model as detr_model

    family = "dfine" if name.startswith("dfine") else "rtdetr"
    torch.manual_seed(0)
    return torch, detr_model.create_detector(
        DetectorEntry(name=name, architecture=name, family=family), classes, side, side
    )


@pytest.mark.parametrize(("name", "published"), [("dfine-n", 3.78), ("dfine-s", 10.3), ("rtdetrv2-r18", 20.2)])
def test_sizes_have_the_published_number_of_parameters(name: str, published: float) -> None:
    _torch, network = _network(name, 80)
    assert sum(one.numel() for one in network.parameters()) / 1e6 == pytest.approx(published, abs=0.05)


@pytest.mark.parametrize("name", ["dfine-n", "rtdetrv2-r18"])
def test_the_loss_falls_one_and_many_agree_and_empty_images_teach(name: str) -> None:
    torch, network = _network(name)
    batch = torch.rand(2, 3, 64, 64)
    targets = [
        (torch.tensor([[4.0, 8, 40, 50], [20, 2, 60, 30]]), torch.tensor([2, 0])),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    ]
    optimiser = torch.optim.AdamW(network.parameters(), 5e-4)
    sums = []
    for _step in range(8):
        loss = sum(network.compute_losses(batch, targets).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        sums.append(loss.item())
    assert np.mean(sums[-2:]) < 0.97 * np.mean(sums[:2])
    network.eval()
    with torch.no_grad():
        logits, boxes = network(batch)
        alone = torch.cat([network(one[None])[0] for one in batch])
    assert boxes.shape == (*logits.shape[:2], 4)
    torch.testing.assert_close(logits, alone, atol=1e-3, rtol=1e-3)


def test_names_of_published_files_are_those_of_the_network() -> None:
    _torch, network = _network("dfine-n")
    own = set(network.state_dict())
    for name in (
        "model.encoder.encoder.0.layers.0.fc1.weight",
        "model.decoder.layers.2.fc2.bias",
        "model.decoder.layers.0.self_attn.out_proj.weight",
        "class_embed.1.weight",
    ):
        assert network.adapt_key(name) in own, name
    assert all(network.adapt_key(name) == name for name in own)
    assert network.is_class_layer(network.adapt_key("class_embed.1.weight"))


@pytest.mark.parametrize("names", ["published", "present"])
@pytest.mark.parametrize("name", ["dfine-n", "rtdetrv2-r18"])
def test_a_file_of_transformers_is_read_whole_and_answers_as_transformers_does(
    name: str, names: str, tmp_path: Path
) -> None:
    torch, network = _network(name, 80, 160)
    import transformers

    from lince.models import weights, weights_source

    kind = transformers.DFineForObjectDetection if name == "dfine-n" else transformers.RTDetrV2ForObjectDetection
    torch.manual_seed(1)
    theirs = kind(network.network.config).eval()
    theirs.save_pretrained(tmp_path, save_original_format=names == "published")
    source = weights_source.resolve_weights(
        detection_registry.get_detector_entry(name), str(tmp_path / "model.safetensors")
    )
    report = weights.load_network_weights(network.eval(), source)
    assert not report.describe_misfits()
    assert report.fitted_count == report.total_count
    images = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        logits, boxes = network(images)
        expected = theirs(images)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(boxes, expected.pred_boxes, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["nano", "small", "medium", "large"])
def test_presets_stand_for_detectors_of_the_registry(name: str) -> None:
    assert detection_registry.get_detector_entry(name) == detection_registry.list_presets()[name]
    assert detection_registry.get_detector_entry(name).name in detection_registry.list_detectors()


@pytest.mark.parametrize(
    ("name", "closest"), [("yolov8n", "dfine-n"), ("yolo11m.pt", "dfine-m"), ("YOLO26x", "dfine-x"), ("yolov8", "n")]
)
def test_networks_of_ultralytics_are_refused_with_licence_and_ways_out(
    name: str, closest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection_registry, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"AGPL-3\.0") as refusal:
        detection_registry.get_detector_entry(name)
    assert closest in str(refusal.value)
    assert "lince predict" in str(refusal.value)
    assert "pip install ultralytics" in str(refusal.value)


def test_networks_of_an_installed_ultralytics_are_found_with_their_licence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detection_registry, "find_spec", lambda _name: object())
    entry = detection_registry.get_detector_entry("yolov8n")
    assert (entry.licence, entry.is_permissive) == ("AGPL-3.0", False)
    assert "publish that program's source" in entry.copyleft_notice
    assert "yolov8n" not in detection_registry.list_detectors()
    assert not any(one.copyleft_notice for one in detection_registry.list_detectors().values())
    assert detection_registry.get_detector_entry("YOLOv8n.pt") == entry
    with pytest.raises(UsageError, match=r"AGPL-3\.0"):
        detection_registry.get_detector_entry("yolov3")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Write no log."""


def test_weights_come_from_the_hub_under_their_published_names(
    awkward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch, donor = _network("dfine-n", 80)
    pytest.importorskip("safetensors.torch")
    from safetensors.torch import save_file

    from lince.models import weights, weights_source
    from lince.models.detection import builders as detection_builders

    entry = detection_registry.get_detector_entry("dfine-n")
    published = awkward / entry.repository / "resolve/main"
    published.mkdir(parents=True)
    named = {name.removeprefix("network."): value.clone() for name, value in donor.state_dict().items()}
    older = {name.replace("self_attn.o_proj", "self_attn.out_proj"): value for name, value in named.items()}
    assert older.keys() != named.keys()
    save_file(older, published / "model.safetensors")
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("LINCE_WEIGHTS", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=awkward)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = weights_source.resolve_weights(entry)
        server.shutdown()
    network = detection_builders.build_detector(entry, 3, weights_source.make_preprocess_spec(source, 64), 1)
    report = weights.load_network_weights(network, source)
    assert (source.kind, source.licence) == ("hub", "apache-2.0")
    assert not report.missing
    assert not report.wrong_shape
    assert all(network.is_class_layer(name) for name in report.class_layers)
    assert report.fitted_count + len(report.class_layers) == report.total_count
    theirs, ours = donor.state_dict(), network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if name not in report.class_layers)


def test_detectors_are_listed_with_what_they_cost_and_one_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--task", "detect"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in detection_registry.list_detectors())
    assert "3.8 M" in shown
    assert "42.8" in shown
    pytest.importorskip("torch")
    assert main(["models", "yolox-nano", "--task", "detect", "--measure", "--size", "64", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)["models"]
    assert (only["name"], only["licence"], only["ap"]) == ("yolox-nano", "apache-2.0", 25.8)
    assert only["ms"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_dfine_overfits_eight_photos_from_random_weights_and_its_export_agrees(shared: Path, awkward: Path) -> None:
    torch = pytest.importorskip("torch")
    import lince
    from lince.export import parity
    from lince.export.torch_to_onnx import export_detector
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
    from lince.models import weights_source
    from lince.models.detection import builders as detection_builders
    from lince.training.detection.loader import DetectionLoader
    from lince.training.detection.network_outputs import predict_with_backend
    from lince.training.detection.objective import (
        compute_validation_metrics,
        move_targets,
        predict_detections,
        sum_losses,
    )
    from lince.training.detection.samples import DetectionSamples

    dataset = lince.open(shared / "data/raccoon", format="voc")
    spec = weights_source.make_preprocess_spec(
        weights_source.resolve_weights(detection_registry.get_detector_entry("dfine-n"), "none"), 128
    )
    photos = DetectionLoader(DetectionSamples.from_dataset(dataset), np.arange(8), spec, 8)
    network = detection_builders.build_detector(detection_registry.get_detector_entry("dfine-n"), 1, spec, 0)
    (batch,) = photos.iter_batches()
    images, targets = torch.from_numpy(batch.inputs), move_targets(batch.targets, torch.device("cpu"))
    optimiser = torch.optim.AdamW(network.parameters(), 6e-4, weight_decay=1e-4, fused=True)
    torch.manual_seed(0)
    sums, learnt, step = [], 0.0, 0
    while learnt < 0.95 and step < 200:  # 100 steps sufficed when this was written
        network.train()
        for group in optimiser.param_groups:
            group["lr"] = 6e-4 * min((step + 1) / 20, 1.02 - step / 400)
        loss, _parts = sum_losses(network.compute_losses(images, targets))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        sums.append(loss.item())
        step += 1
        if step >= 80 and step % 10 == 0:
            learnt = compute_validation_metrics(photos, predict_detections(network, photos))["val_map50"]
    assert learnt >= 0.95
    assert np.mean(sums[-5:]) < 0.6 * np.mean(sums[:5])
    found = predict_detections(network, photos)
    export_detector(network.eval(), spec, awkward / "network.onnx")
    parity.require_detection_parity(
        predict_with_backend(OnnxRuntimeBackend(awkward / "network.onnx"), network.decoder_name, photos), found
    )
