"""Training time to a given mAP50 from random weights: yolox-nano against YOLOv8n, on the same photos.

Both see the same training photos at the same size and in the same batches for the same number of epochs, with all else
at each tool's defaults, and each evaluates its own validation photos after every epoch. The averaged weights after
each epoch are evaluated on the test photos outside the measured time, with the same metric code for both. The time
starts with the first epoch; start-up is reported separately.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import lince
import lince.training  # before torch is imported: waiting threads sleep, here and in the peer
from benchmarks import peers
from lince.annotations import Detections
from lince.evaluation.detection.metrics import compute_mean_ap
from lince.inference.backends.onnxruntime import count_cores
from lince.models import weights_source
from lince.models.detection import builders
from lince.models.detection import registry as detection_registry
from lince.postprocess import MIN_SCORE
from lince.progress import SILENT, ProgressStage
from lince.splits import TEST
from lince.training import checkpoint, loop, plan_runner
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.network_outputs import select_ground_truth
from lince.training.detection.objective import predict_detections
from lince.training.detection.samples import DetectionSamples

DATA = Path(os.environ.get("LINCE_RACCOON", Path(__file__).resolve().parents[2] / "shared" / "data" / "raccoon"))
MODEL = "yolox-nano"
SIZE, BATCH, EPOCHS, SEED = 224, 8, 30, 0
TARGETS, CAP = (0.4, 0.5, 0.6), 600.0  # mAP50 on the test photos; seconds
MOST = 300  # detections per photo


@dataclass(frozen=True)
class Course:
    """The course of a training: seconds before the first epoch and at each epoch's end, with mAP50 on the test photos.

    ``work`` is the processor time until then, on all cores, which other programs on the machine change little.
    """

    startup: float
    seconds: tuple[float, ...]
    work: tuple[float, ...]
    map50: tuple[float, ...]

    def reached(self, target: float) -> int | None:
        """Return the epoch (from 0) after which ``target`` was first reached, or ``None``."""
        return next((number for number, value in enumerate(self.map50) if value >= target), None)

    def told(self, target: float) -> str:
        """Return a text of when ``target`` was reached, or of the best value."""
        at = self.reached(target)
        if at is not None:
            return f"{self.seconds[at]:.0f} s ({at + 1} epochs)"
        return f"not within {self.seconds[-1]:.0f} s ({len(self.seconds)} epochs): {max(self.map50):.3f}"


def run() -> None:
    """Print the curve of each detector, the seconds to the targets, and their ratio."""
    if not DATA.is_dir():
        print(f"Needs the raccoons in {DATA} (LINCE_RACCOON).")
        raise SystemExit(1)
    peer_python = peers.ultralytics()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        divided = lince.split(DATA, folder / "split.csv", format="voc", seed=SEED)
        lince.convert(divided.dataset, folder / "data", "yolo", lossy=True)  # flags such as difficult are ignored
        sizes = ", ".join(f"{count} {part}" for part, count in divided.split_sizes.items() if count)
        print(f"{MODEL} and YOLOv8n from random weights, {sizes} photos at {SIZE} x {SIZE}, batches of {BATCH}, "
              f"{EPOCHS} epochs, at most {CAP:.0f} s, {count_cores()} cores", flush=True)  # fmt: skip
        print(f"a box around every whole photo has mAP50 {_whole(_held(folder)):.3f}", flush=True)
        courses = {MODEL: ours(folder), "YOLOv8n": theirs(folder, peer_python)}
    for name, course in courses.items():
        print(f"{name}: {course.startup:.1f} s before the first epoch; {course.work[-1]:.0f} s of processor time; "
              "seconds and mAP50 on the test photos after each epoch")  # fmt: skip
        print("  " + "\n  ".join(_lines(course)))
    for target in TARGETS:
        _compare(courses, target)


def _lines(course: Course, each: int = 6) -> Iterator[str]:
    points = [f"{at:6.0f} s {value:.3f}" for at, value in zip(course.seconds, course.map50, strict=True)]
    for first in range(0, len(points), each):
        yield "  ".join(points[first : first + each])


def _compare(courses: dict[str, Course], target: float) -> None:
    told = ", ".join(f"{name} {course.told(target)}" for name, course in courses.items())
    first, second = (course.reached(target) for course in courses.values())
    print(f"mAP50 of {target}: {told}")
    if first is not None and second is not None:
        ours, theirs = courses.values()
        print(f"  ratio {ours.seconds[first] / theirs.seconds[second]:.2f}, of processor time "
              f"{ours.work[first] / theirs.work[second]:.2f}")  # fmt: skip


class _Over(Exception):  # noqa: N818
    """Ends the training once its epochs or its time are used up."""


@dataclass
class _Watch:
    """Progress listener that copies the weights after each epoch, and ends the training at its limit."""

    run: Path
    called: float = field(default_factory=time.perf_counter)
    began: float = 0.0
    worked: float = 0.0
    seconds: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)

    def show_message(self, _text: str) -> None:
        """Check whether an epoch has ended."""
        self._look()

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        """Check whether an epoch has ended or the first one begins."""
        self._look()
        if not self.began and (self.run / plan_runner.PLAN_FILE).exists():
            self.began, self.worked = time.perf_counter(), time.process_time()
        with SILENT.open_stage(name, total) as silent:
            yield silent

    def copy(self, number: int) -> Path:
        """Return the path of the weights after epoch ``number`` (from 0)."""
        return self.run.parent / f"{number}.safetensors"

    def _look(self) -> None:
        now, last = time.perf_counter(), self.run / "checkpoints" / loop.LAST_CHECKPOINT
        if not last.exists() or checkpoint.read_tensor_file(last)[1]["epoch"] <= len(self.seconds):
            return
        shutil.copy2(last, self.copy(len(self.seconds)))
        self.seconds.append(now - self.began)
        self.work.append(time.process_time() - self.worked)
        if self.seconds[-1] > CAP or len(self.seconds) == EPOCHS:
            raise _Over


def ours(folder: Path) -> Course:
    """Train ``MODEL`` on ``folder/data`` and evaluate the averaged weights of every epoch."""
    watch = _Watch(folder / "run")
    with suppress(_Over):
        lince.train(folder / "data", format="yolo", recipe="scratch", model=MODEL, size=SIZE, batch=BATCH,
                    epochs=EPOCHS, seed=SEED, out=watch.run, progress=watch)  # fmt: skip
    held = _held(folder)
    network = builders.build_detector(
        detection_registry.get_detector_entry(MODEL), len(held.samples.classes), held.spec
    )
    map50 = []
    for number in range(len(watch.seconds)):
        tensors, _state = checkpoint.read_tensor_file(watch.copy(number))
        mine = {key.removeprefix("average."): value for key, value in tensors.items() if key.startswith("average.")}
        network.load_state_dict(mine)
        map50.append(_map50(held, predict_detections(network, held)))
    return Course(watch.began - watch.called, tuple(watch.seconds), tuple(watch.work), tuple(map50))


def theirs(folder: Path, python: str) -> Course:
    """Train YOLOv8n on ``folder/data`` in its own environment and evaluate the averaged weights of every epoch."""
    held, out = _held(folder), folder / "peer"
    out.mkdir()
    names = dict(enumerate(held.samples.classes.names))
    parts = {part: f"images/{part}" for part in ("train", "val", "test")}
    # JSON is valid YAML.
    (out / "data.yaml").write_text(json.dumps({"path": str(folder / "data"), **parts, "names": names}), "utf-8")
    test = [str(folder / "data" / held.samples.dataset.images.get_name(row)) for row in held.rows.tolist()]
    training = {"imgsz": SIZE, "batch": BATCH, "epochs": EPOCHS, "seed": SEED, "project": str(out)}
    keeping = {"imgsz": SIZE, "conf": MIN_SCORE, "max_det": MOST, "iou": 0.7}  # the IoU threshold of its own validation
    asked = {"data": str(out / "data.yaml"), "train": training, "cap": CAP, "photos": test,
             "keeping": keeping, "out": str(out)}  # fmt: skip
    (out / "asked.json").write_text(json.dumps(asked), "utf-8")
    done = subprocess.run(
        [python, Path(__file__).with_name("yolov8_epochs_peer.py"), out / "asked.json"],
        check=True, stdout=subprocess.PIPE, text=True, cwd=out,
        env={**os.environ, "YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": str(out)},
    )  # fmt: skip
    told = json.loads(done.stdout.strip().splitlines()[-1])
    map50 = [_map50(held, _read(out / f"{number}.npz", len(test))) for number in range(len(told["seconds"]))]
    return Course(told["startup"], tuple(told["seconds"]), tuple(told["work"]), tuple(map50))


def _held(folder: Path) -> DetectionLoader:
    dataset = lince.open(folder / "data", format="yolo")
    spec = weights_source.make_preprocess_spec(
        weights_source.resolve_weights(detection_registry.get_detector_entry(MODEL), "none"), SIZE
    )
    return DetectionLoader(
        DetectionSamples.from_dataset(dataset), dataset.get_split_indices(TEST), spec, BATCH, workers=count_cores()
    )


def _map50(held: DetectionLoader, found: Sequence[Detections]) -> float:
    value = compute_mean_ap(select_ground_truth(held), found, held.samples.classes)[0]
    return 0.0 if math.isnan(value) else value


def _whole(held: DetectionLoader) -> float:
    boxes = [np.array([[0.0, 0.0, width, height]]) for height, width in held.samples.image_sizes[held.rows]]
    return _map50(held, [Detections(box, np.zeros(1, np.int32), np.ones(1, np.float32)) for box in boxes])


def _read(path: Path, count: int) -> list[Detections]:
    with np.load(path) as data:
        photos, ids = data["photos"], data["class_ids"].astype(np.int32)
        boxes, scores = data["boxes"].astype(np.float64), data["scores"].astype(np.float32)
    return [Detections(boxes[at], ids[at], scores[at]) for at in (photos == number for number in range(count))]
