"""Ultralytics plug-in, where its package is installed: the package's networks under lince's trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("ultralytics", reason="Ultralytics (AGPL-3.0) is not here: lince never installs it")

from tests.support.box_photos import yolo  # noqa: E402

import lince  # noqa: E402
from lince.cli.main import main  # noqa: E402
from lince.errors import UsageError, WeightsError  # noqa: E402
from lince.models import weights, weights_source  # noqa: E402
from lince.models.detection import builders  # noqa: E402
from lince.models.detection import registry as detection_registry  # noqa: E402
from lince.models.ultralytics_model import UltralyticsDetector  # noqa: E402

SIDE = 64
NAMES = ("yolov5n", "yolov8n", "yolo11n", "yolo12n", "yolo26n")
every = pytest.mark.parametrize("name", NAMES)


def _ours(name: str, classes: int = 3) -> UltralyticsDetector:
    entry = detection_registry.get_detector_entry(name)
    network = builders.build_detector(
        entry, classes, weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), SIDE)
    )
    assert isinstance(network, UltralyticsDetector)
    return network


def _theirs(name: str, ours: UltralyticsDetector) -> Any:
    """Return the package's network with the weights of ``ours``."""
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    network = DetectionModel(f"{name}.yaml", nc=ours.num_classes, verbose=False)
    network.load_state_dict(ours.state_dict())
    network.end2end = False
    network.args = get_cfg()
    return network


def _images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, 2 * SIDE, generator=torch.Generator().manual_seed(0))


@every
def test_answers_are_those_of_the_package(name: str) -> None:
    ours = _ours(name).eval()
    with torch.no_grad():
        (found,) = ours(_images())
        expected, _raw = _theirs(name, ours).eval()(_images())
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@every
def test_losses_are_those_of_the_package(name: str) -> None:
    ours = _ours(name).train()
    boxes = torch.tensor([[8.0, 12.0, 40.0, 44.0], [50.0, 4.0, 120.0, 60.0]])
    targets = [(boxes, torch.tensor([1, 2])), (boxes[:1], torch.tensor([0]))]
    shares = torch.tensor([[0.1875, 0.4375, 0.25, 0.5], [0.6640625, 0.5, 0.546875, 0.875], [0.1875, 0.4375, 0.25, 0.5]])
    batch = {"img": _images(), "bboxes": shares, "cls": torch.tensor([[1.0], [2.0], [0.0]])}
    batch["batch_idx"] = torch.tensor([0.0, 0.0, 1.0])
    theirs = _theirs(name, ours).train()
    parts = ours.compute_losses(_images(), targets)
    expected = theirs(batch)[0] / 2
    torch.testing.assert_close(torch.stack(list(parts.values())), expected, atol=1e-4, rtol=1e-5)


@every
def test_files_of_the_package_are_read_without_running_what_is_in_them(name: str, tmp_path: Path) -> None:
    donor, entry = _ours(name, classes=80), detection_registry.get_detector_entry(name)
    path = tmp_path / f"{name}.pt"
    torch.save({"epoch": -1, "ema": None, "model": _theirs(name, donor).half(), "train_args": {"imgsz": 640}}, path)
    source = weights_source.resolve_weights(entry, str(path))
    same, other = _ours(name, classes=80), _ours(name, classes=2)
    report = weights.load_network_weights(same, source)
    assert (report.fitted_count, report.missing, report.unexpected) == (report.total_count, (), ())
    halves = {key: value.half() for key, value in donor.state_dict().items()}
    torch.testing.assert_close({key: value.half() for key, value in same.state_dict().items()}, halves)
    report = weights.load_network_weights(other, source)
    assert report.class_layers
    assert all("cv3" in key for key in report.class_layers)
    assert not report.wrong_shape
    with pytest.raises(WeightsError, match="fills"):
        weights.load_network_weights(_ours("yolov8s"), source)


def test_the_package_is_kept_from_the_network() -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}; import lince.models.ultralytics_model; "
    code += "from ultralytics import utils; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(utils.ONLINE, utils.AUTOINSTALL)"],
        capture_output=True, text=True, check=True, timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("YOLO_")},
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False"]


def test_sides_that_do_not_fit_are_refused() -> None:
    entry = detection_registry.get_detector_entry("yolov8n")
    with pytest.raises(UsageError, match="multiples of 32"):
        builders.build_detector(
            entry, 2, weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), 100)
        )


@pytest.mark.timeout(600)
def test_it_trains_says_its_licence_and_predicts(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = yolo(awkward / "data", {"train": 12, "val": 4, "test": 4})
    out, found = awkward / "run", awkward / "found"
    chosen = ["--model", "yolov8n", "--recipe", "scratch", "--size", "64", "--epochs", "2", "--batch", "4"]
    assert main(["train", str(data), *chosen, "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "must publish that program's source" in told.out + told.err
    assert lince.load(out).card.licence == "AGPL-3.0"
    assert main(["predict", str(out), str(data / "images" / "test"), "--save", str(found)]) == 0
    assert main(["export", str(out), "--to", "onnx", "--out", str(awkward / "exported")]) == 0
