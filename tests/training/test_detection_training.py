"""Detector training: boxes follow their images, runs resume, missing images are named."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.support.box_photos import NAMES, yolo  # noqa: E402

import lince  # noqa: E402
from lince.annotations import Detections  # noqa: E402
from lince.augmentation import Policy  # noqa: E402
from lince.cli.main import main  # noqa: E402
from lince.config import TrainConfig  # noqa: E402
from lince.datasets import compute_content_keys, open_dataset  # noqa: E402
from lince.errors import DataError, ModelError, TrainingError, UsageError  # noqa: E402
from lince.export import parity  # noqa: E402
from lince.export.torch_to_onnx import export_feature_maps  # noqa: E402
from lince.models.detection import builders  # noqa: E402
from lince.models.detection import registry as detection_registry  # noqa: E402
from lince.preprocess import PreprocessSpec, normalise_images  # noqa: E402
from lince.progress import SILENT  # noqa: E402
from lince.splits import TRAIN  # noqa: E402
from lince.training import checkpoint, feature_maps  # noqa: E402
from lince.training.augmented_loader import TrainingAugmentation, fit_labelled_image  # noqa: E402
from lince.training.detection import defaults, finalise  # noqa: E402
from lince.training.detection.loader import DetectionLoader  # noqa: E402
from lince.training.detection.recipes.transfer import DetectionViews  # noqa: E402
from lince.training.detection.samples import DetectionSamples, repeat_rare_classes  # noqa: E402

SPEC = PreprocessSpec(64, 64, "corner", "bgr", (0.0,) * 3, (1.0,) * 3)
CONFIG = TrainConfig(
    recipe="scratch", model="yolox-nano", weights="none", size=64, epochs=3, batch=4, workers=2, seed=3
)
POLICY = Policy.parse("flip_x 0.5, zoom 0.2, brightness 0.2")
TRAIN_CODE = """
import sys, lince
from dataclasses import replace
from lince.training.detection import defaults
plan = defaults.plan_from_scratch
defaults.plan_from_scratch = lambda *a: replace(plan(*a), checkpoint_seconds=0.0)
what, folder = sys.argv[1:3]
lince.resume(folder) if what == "resume" else lince.train(what, lince.TrainConfig.load(sys.argv[3]), out=folder)
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("Área de Trabalho") / "niño ç"
    return yolo(root, {"train": 20, "val": 6, "test": 8})


@pytest.fixture
def samples(photos: Path) -> DetectionSamples:
    return DetectionSamples.from_dataset(open_dataset(photos))


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> lince.Run:
    return lince.train(photos, CONFIG, out=tmp_path_factory.mktemp("runs") / "run")


class Listener(type(SILENT)):
    def __init__(self) -> None:
        self.said: list[str] = []

    def show_message(self, text: str) -> None:
        self.said.append(text)


def same(one, two) -> bool:
    pairs = zip(one.targets, two.targets, strict=True)
    return np.array_equal(one.inputs, two.inputs) and all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in pairs
    )


def test_batches_do_not_depend_on_the_number_of_threads_or_on_where_one_starts(samples):
    mixing = TrainingAugmentation(
        POLICY, mosaic_probability=0.5, mixup_probability=0.5, mixing_off_epoch=9, scale_range=0.5
    )
    loaders = [DetectionLoader(samples, np.arange(20), SPEC, 4, 5, mixing, workers=n) for n in (1, 4)]
    one, four = (list(loader.iter_batches(epoch=2)) for loader in loaders)
    assert len(one) == len(loaders[0]) == 5
    assert all(same(a, b) for a, b in zip(one, four, strict=True))
    late = list(loaders[0].iter_batches(epoch=2, first_batch=3))
    assert all(same(a, b) for a, b in zip(one[3:], late, strict=True))
    assert not same(one[0], next(iter(loaders[0].iter_batches(epoch=3))))
    sides = {batch.inputs.shape[2] for epoch in range(6) for batch in loaders[0].iter_batches(epoch)}
    assert sides == {32, 64, 96}


def test_boxes_frame_what_the_batches_show(samples):
    mixing, colours = (
        TrainingAugmentation(POLICY, mosaic_probability=0.5, mixing_off_epoch=9),
        {0: (40, 60, 230), 1: (230, 200, 40)},
    )
    framed = 0
    for batch in DetectionLoader(samples, np.arange(20), SPEC, 4, 1, mixing).iter_batches():
        for image, (boxes, ids) in zip(batch.inputs, batch.targets, strict=True):
            for box, class_id in zip(boxes, ids, strict=True):
                left, top, right, bottom = np.clip(box, 0, 63).astype(int)
                middle = image[:, (top + bottom) // 2, (left + right) // 2]
                assert np.abs(middle - colours[class_id]).max() < 90
                framed += 1
    assert framed > 25


def test_the_last_epochs_are_not_mixed_and_validation_never_is(samples):
    grey = np.array([114.0, 114.0, 114.0])
    mixing = TrainingAugmentation(Policy(), mosaic_probability=1.0, mixing_off_epoch=2)
    mixed, plain = (
        sum((batch.inputs.transpose(0, 2, 3, 1) == grey).all(-1).mean() for batch in loader.iter_batches(epoch))
        for loader, epoch in ((DetectionLoader(samples, np.arange(20), SPEC, 4, 0, mixing), at) for at in (1, 2))
    )
    assert mixed > 0.05 > plain
    (first,) = (one for one in [next(iter(DetectionLoader(samples, np.arange(3), SPEC, 1).iter_batches()))])
    expected = fit_labelled_image(samples.read(0, (64, 64)), SPEC)
    assert np.array_equal(first.inputs, normalise_images([expected.image], SPEC))
    np.testing.assert_allclose(
        first.targets[0][0], samples.objects.boxes[samples.objects.slice_of_image(0)] * 64 / 96, rtol=1e-6
    )


def test_images_with_rare_classes_are_seen_more_often(samples):
    rare = replace(samples, objects=replace(samples.objects, class_ids=np.zeros_like(samples.objects.class_ids)))
    rare.objects.class_ids[rare.objects.slice_of_image(4).start] = 1
    rows = repeat_rare_classes(rare, np.arange(20), seed=0, min_fraction=0.5)
    counts = np.bincount(rows, minlength=20)
    assert counts[4] in (3, 4)  # the root of 0.5 / 0.05 is 3.16
    assert (np.delete(counts, 4) == 1).all()
    assert len(repeat_rare_classes(samples, np.arange(20), seed=0)) == 20


def test_an_image_that_vanishes_is_named_and_the_rest_goes_on(photos, tmp_path):
    root = yolo(tmp_path / "fotos", {"train": 20, "val": 2, "test": 2}, seed=9)
    listener, there = Listener(), DetectionSamples.from_dataset(open_dataset(root))
    (root / "images" / "train" / "train foto 03.png").unlink()
    loader = DetectionLoader(
        there, np.arange(20), SPEC, 4, 0, TrainingAugmentation(POLICY, mixing_off_epoch=0), progress=listener
    )
    assert sum(len(batch) for batch in loader.iter_batches()) == 19
    assert len(listener.said) == 1
    assert "train foto 03.png" in listener.said[0]
    (root / "images" / "train" / "train foto 07.png").unlink()
    with pytest.raises(DataError, match="2 images can no longer be read"):
        list(loader.iter_batches(epoch=1))


def test_a_run_explains_itself_and_is_evaluated_and_asked_as_it_was_trained(finished, photos, capsys, tmp_path):
    report, card = finished.report, json.loads((finished.model_folder / "card.json").read_text("utf-8"))
    assert (card["task"], card["decoder"], card["classes"]) == ("detect", "yolox", list(NAMES))
    assert len(card["detection_filter"]["score_threshold"]) == 2
    assert report["task"] == "detect"
    assert report["data"]["splits"] == {"train": 20, "val": 6, "test": 8}
    assert any(finding["code"] == "few_boxes" for finding in report["diagnosis"])
    assert card["parity"]["agreement"] == 1.0
    assert len(report["history"]) == 3
    found = lince.evaluate(finished.folder, photos)
    assert found.metrics.to_dict()["map50"] == report["test"]["map50"]
    assert found.metrics.confusion.tolist() == report["test"]["confusion"]["counts"]
    assert main(["evaluate", str(finished.folder), str(photos), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Metrics per class" in page
    assert not any(part in page for part in ("training boxes", "Training details", "Diagnosis"))
    assert "mAP50" in capsys.readouterr().out
    assert (tmp_path / "predictions.csv").read_bytes() == (finished.folder / "predictions.csv").read_bytes()
    answers = list(lince.load(finished.folder).predict_many(photos / "images" / "test"))
    assert [answer.size for answer in answers] == [(96, 96)] * 8
    assert "caja" in (finished.folder / "report.md").read_text("utf-8")


def test_every_epoch_has_a_loss_precision_and_recall_on_validation(finished):
    rows = figures(Path(str(finished)))
    assert rows
    for row in rows:
        assert float(row["val_loss"]) > 0
        assert 0 <= float(row["val_recall"]) <= 1
        assert not float(row["val_precision"]) > 1  # undefined where nothing is found yet


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_small_detector_overfits_eight_photos(photos, tmp_path):
    root = yolo(tmp_path / "ocho", {"train": 8}, side=96, seed=5)
    for kind in ("images", "labels"):
        for split in ("val", "test"):
            (root / kind / split).mkdir()
            for path in (root / kind / "train").iterdir():
                (root / kind / split / path.name).write_bytes(path.read_bytes())
    (root / "data.yaml").write_text((root / "data.yaml").read_text() + "val: images/val\ntest: images/test\n")
    config = CONFIG.with_changes(size=96, epochs=140, batch=4, augment="none", mosaic=0.0, rate=3e-3)
    run = lince.train(root, config, out=tmp_path / "run")
    assert run.report["test"]["map50"]["value"] > 0.9


def start(what: str, folder: Path, config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", TRAIN_CODE, what, str(folder), str(config)])


def figures(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_killed_and_resumed_the_run_has_the_bits_of_one_that_ran_through(photos, tmp_path, chance):
    config = tmp_path / "config.toml"
    CONFIG.with_changes(mosaic=0.5).save(config)
    assert start(str(photos), tmp_path / "a", config).wait(120) == 0
    what, last = str(photos), tmp_path / "b" / "checkpoints" / "last.safetensors"
    for _ in range(1 + chance.randrange(2)):
        process = start(what, tmp_path / "b", config)
        before = last.stat().st_mtime_ns if last.exists() else 0
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if last.exists() and last.stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.wait()
        what = "resume"
    assert start("resume", tmp_path / "b", config).wait(120) == 0
    weights = [checkpoint.read_tensor_file(tmp_path / run / "checkpoints" / "best.safetensors")[0] for run in "ab"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert figures(tmp_path / "a") == figures(tmp_path / "b")
    for name in ("predictions.csv", "split.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_resuming_with_changed_labels_is_refused(tmp_path):
    root = yolo(tmp_path / "fotos", {"train": 6, "val": 2, "test": 2}, seed=4)
    run = lince.train(root, CONFIG.with_changes(epochs=1), out=tmp_path / "run")
    (run.folder / "report.json").unlink()
    label = root / "labels" / "train" / "train foto 01.txt"
    label.write_text("1 0.5 0.5 0.25 0.25")
    with pytest.raises(TrainingError, match="have changed"):
        lince.resume(run.folder)


def test_a_label_that_is_no_number_and_a_box_of_no_area_are_named_and_counted(tmp_path):
    root = yolo(tmp_path / "fotos", {"train": 8, "val": 2, "test": 2}, seed=6)
    (root / "labels" / "train" / "train foto 01.txt").write_text(
        "0 nan 0.5 0.2 0.2\n1 0.5 0.5 0 0.2\n0 0.3 0.3 0.2 0.2"
    )
    with pytest.raises(DataError) as caught:
        lince.train(root, CONFIG.with_changes(epochs=1), out=tmp_path / "run")
    assert "train foto 01.txt:1" in str(caught.value)
    assert "train foto 01.txt:2" in str(caught.value)
    run = lince.train(root, CONFIG.with_changes(epochs=1), out=tmp_path / "run2", allow_unusable=True)
    assert len(run.report["data"]["rejected"]) == 2


def test_photos_without_objects_are_learnt_from_too(tmp_path):
    root = yolo(tmp_path / "fotos", {"train": 8, "val": 2, "test": 2}, seed=7)
    for number in range(4):
        (root / "labels" / "train" / f"train foto {number:02}.txt").write_text("")
    run = lince.train(root, CONFIG.with_changes(epochs=1, batch=2, mosaic=0.0), out=tmp_path / "run")
    assert run.report["data"]["splits"]["train"] == 8


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    network = builders.build_detector(detection_registry.get_detector_entry("yolox-nano"), 2, SPEC).eval()
    path = tmp_path_factory.mktemp("maps") / "maps.onnx"
    export_feature_maps(network, SPEC, path)
    return network, path


def test_maps_are_what_the_network_sees_and_are_computed_once(samples, frozen, tmp_path, monkeypatch):
    network, path = frozen
    found, items = compute_content_keys(samples.dataset), [(row, view) for row in range(3) for view in range(2)]
    store = feature_maps.FeatureMapStore(path, SPEC, POLICY, 0, tmp_path)
    seen = feature_maps.compute_feature_maps(path, samples.dataset.images, found, store, items, SILENT)
    image = fit_labelled_image(samples.read(1, (64, 64)), SPEC).image
    with torch.no_grad():
        expected = network.extract_features(torch.from_numpy(normalise_images([image], SPEC)))
    for got, want in zip(seen.read_maps(1, 0), expected, strict=True):
        np.testing.assert_allclose(got.astype(np.float32), want[0].numpy(), rtol=2e-3, atol=2e-3)
    monkeypatch.setattr(feature_maps, "augment", None)  # no image is read again
    again = feature_maps.compute_feature_maps(path, samples.dataset.images, found, store, items, SILENT)
    assert all(np.array_equal(a, b) for a, b in zip(again.read_maps(2, 1), seen.read_maps(2, 1), strict=True))
    next(tmp_path.rglob(f"{found[2]}-1.npy")).write_bytes(b"\x93NUMPY")
    with pytest.raises(TrainingError, match="Train again"):
        again.read_maps(2, 1)


def test_the_boxes_of_a_view_are_those_that_its_image_was_altered_with(samples, frozen, tmp_path):
    from lince.augmentation import augment

    _network, path = frozen
    found = compute_content_keys(samples.dataset)
    store = feature_maps.FeatureMapStore(path, SPEC, POLICY, 0, tmp_path)
    seen = feature_maps.compute_feature_maps(path, samples.dataset.images, found, store, [(0, 0)], SILENT)
    for view in range(4):
        photo = samples.read(0, (64, 64))
        altered = augment(photo.image, store.get_view_policy(view), store.make_rng(found[0], view), SPEC, photo.boxes)
        boxes, ids = DetectionViews(samples, seen).make_target(0, view)
        np.testing.assert_allclose(boxes, altered.boxes, atol=1e-3)
        assert ids.tolist() == photo.class_ids[altered.kept].tolist()


def test_transfer_moves_the_head_alone(photos, tmp_path):
    run = lince.train(photos, CONFIG.with_changes(recipe="transfer", epochs=2), out=tmp_path / "run")
    weights, _record = checkpoint.read_tensor_file(run.folder / "checkpoints" / "best.safetensors")
    start = builders.build_detector(
        detection_registry.get_detector_entry("yolox-nano"), 2, SPEC, CONFIG.seed
    ).state_dict()
    moved = {name for name, value in weights.items() if not torch.equal(value, start[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)
    again = lince.train(photos, CONFIG.with_changes(recipe="transfer", epochs=2), out=tmp_path / "again")
    assert (run.folder / "predictions.csv").read_bytes() == (again.folder / "predictions.csv").read_bytes()


def test_a_budget_affords_epochs_and_then_smaller_images():
    assert defaults.choose_epochs_and_side(20.0, 300, [416, 384, 352]) == (20, 0)
    assert defaults.choose_epochs_and_side(6.0, 300, [416, 384, 352]) == (8, 352)
    assert defaults.choose_epochs_and_side(6.0, 300, [416]) == (6, 0)
    assert defaults.choose_epochs_and_side(0.1, 300, [416, 384]) == (1, 384)


def test_an_export_that_finds_other_objects_is_refused(samples):
    found = []
    for row in range(8):
        span = samples.objects.slice_of_image(row)
        scores = np.linspace(0.9, 0.5, span.stop - span.start, dtype=np.float32)
        found.append(Detections(samples.objects.boxes[span], samples.objects.class_ids[span], scores))
    assert parity.require_detection_parity(found, found, 0.0).agreement == 1.0
    swapped = [replace(one, class_ids=1 - one.class_ids) for one in found]
    with pytest.raises(ModelError, match="differs on"):
        parity.require_detection_parity(swapped, found, 0.0)
    moved = [replace(one, boxes=one.boxes + 2) for one in found]
    with pytest.raises(ModelError, match="differs on"):
        parity.require_detection_parity(moved, found, 0.0)
    nothing = [one.select(slice(0)) for one in found]
    with pytest.raises(ModelError, match="differs on"):
        parity.require_detection_parity(nothing, found, 0.0)


def test_rounding_differences_do_not_fail_an_export(samples):
    spread = [np.array([[0.0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [60, 0, 69, 9]]) + 9 * row for row in range(5)]
    ids, scores, last = np.zeros(4, np.int32), np.full(4, 0.2, np.float32), np.array([[0.0], [0], [0], [2]])
    found = [Detections(boxes, ids, scores) for boxes in spread]
    other = [replace(one, boxes=one.boxes + last) for one in found]
    unlike = [replace(one, boxes=one.boxes + 2 - last) for one in found]
    assert parity.require_detection_parity(other, found, run_in_double=lambda: other).agreement == 0.75
    with pytest.raises(ModelError, match="5 of 20"):
        parity.require_detection_parity(other, found, run_in_double=lambda: found)
    with pytest.raises(ModelError, match="15 of 20"):
        parity.require_detection_parity(unlike, found, run_in_double=lambda: other)


@pytest.mark.parametrize("name", ["dfine-n", "deimv2-atto", "rtdetrv2-r18", "rfdetr-nano"])
def test_a_detector_with_queries_answers_alike_in_double_precision(name):
    pytest.importorskip("transformers")
    spec = PreprocessSpec(64, 64)
    network = builders.build_detector(detection_registry.get_detector_entry(name), 2, spec, 0).eval()
    with torch.no_grad():
        images = torch.rand(1, 3, 64, 64)
        ours, exact = network(images), finalise.Float64Detector(network).eval()(images)
    assert all(one.dtype == torch.float64 for one in exact[:1])
    sums = [(one.double().mean().item(), other.double().mean().item()) for one, other in zip(ours, exact, strict=True)]
    assert all(one == pytest.approx(other, rel=0.02, abs=0.02) for one, other in sums)


def test_options_that_boxes_cannot_follow_are_refused(photos, tmp_path):
    for choice in ({"mix": "cutmix"}, {"resize": "crop"}, {"standardise": "samplewise"}):
        with pytest.raises(UsageError, match="object detection"):
            lince.train(photos, CONFIG.with_changes(**choice), out=tmp_path / "run")


def test_a_classifier_is_not_asked_about_boxes(finished, tmp_path):
    from tests.support.class_photos import folders

    plain = folders(tmp_path / "fotos", each=3)
    with pytest.raises(UsageError, match="has no labels for object detection"):
        lince.evaluate(finished.folder, plain)


def test_multi_class_rows_are_split_with_their_boxes(tmp_path):
    root = yolo(tmp_path / "fotos", {"train": 30}, seed=8)
    run = lince.train(root, CONFIG.with_changes(epochs=1), out=tmp_path / "run")
    sizes = run.report["data"]["splits"]
    assert sum(sizes.values()) == 30
    assert min(sizes.values()) >= 2
    assert sum(1 for _ in open_dataset(root).get_split_indices(TRAIN)) == 30
