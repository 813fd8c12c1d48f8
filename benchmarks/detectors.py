"""Training and inference speed: yolox-nano against YOLOv8n of Ultralytics, same size and photos, in one run.

Training is measured twice. A step alone is the network's part: forward, loss, backward and optimiser on one batch that
is ready. The real loop is what a person waits for: each program's own training with its defaults, which reads, decodes
and augments photos (mosaics among them), clips gradients and averages weights; without start-up and evaluation.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import lince
import lince.training  # before torch is imported: waiting threads sleep, here and in the peer
from benchmarks import peers
from benchmarks.decode import measure
from lince import geometry, preprocess
from lince.annotations import Classes
from lince.export.torch_to_onnx import export_detector
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, count_cores
from lince.inference.detection.predictor import DetectionPredictor
from lince.model_card import NETWORK_FILE, ModelCard
from lince.models.detection import builders
from lince.models.detection import registry as detection_registry
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, ProgressStage
from lince.splits import SPLITS
from lince.training import malloc, optim
from lince.training.plan import TrainingPlan

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "hardhat"
SIZES, BATCH, STEPS, ROUNDS = (416, 640), 8, 5, 3
FASTER, AT_MOST = 1.5, 0.5
CLASSES = 80
PHOTOS, WHOLE = 96, 2  # training photos and epochs of the real loop; the first epoch warms up
PLANNED = 30  # epochs of the schedule, of which only the first are run: the last ones go without mosaics


def run() -> None:
    """Print training images per second and ms per photo for each size, of both detectors, with the ratio."""
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            _size(size, Path(folder))
            _real_loop(size, Path(folder))


def _size(size: int, folder: Path) -> None:
    spec = PreprocessSpec(size, size, "letterbox", "bgr", (0.0,) * 3, (1.0,) * 3)
    dataset = lince.open(DATA, format="yolo")
    pictures, targets = [], []
    for row in range(BATCH):
        image, here = dataset.images.read_image(row), dataset.objects.slice_of_image(row)
        matrix = preprocess.compute_input_matrix(*image.shape[:2], spec)
        boxes = geometry.transform_boxes(dataset.objects.boxes[here], matrix)
        targets.append((boxes.astype(np.float32), dataset.objects.class_ids[here].astype(np.int64)))
        pictures.append(preprocess.resize_to_input(image, spec))
    ours: list[float] = []
    theirs: list[float] = []
    for _round in range(ROUNDS):  # alternating, best of each: other programs on the cores slow single steps
        told = _theirs(pictures, targets, size, folder)
        theirs += told["seconds"]
        ours += _trained(preprocess.normalise_images(pictures, spec), targets, spec, folder)
    rates = [BATCH / min(one) for one in (ours, theirs)]
    print(f"{size} x {size}, batches of {BATCH}, {count_cores()} cores")
    print(f"  a step alone: yolox-nano {rates[0]:.2f} images/s, YOLOv8n {rates[1]:.2f}, "
          f"ratio {rates[0] / rates[1]:.2f} (at least {FASTER})")  # fmt: skip
    _asked(folder, Path(told["onnx"]), spec, pictures[0])


def _trained(
    batch: np.ndarray, targets: list[tuple[np.ndarray, np.ndarray]], spec: PreprocessSpec, folder: Path
) -> list[float]:
    """Return the seconds of each training step, with the loop's memory layout and optimiser; write the network."""
    import torch

    network = (
        builders.build_detector(detection_registry.get_detector_entry("yolox-nano"), CLASSES, spec)
        .train()
        .to(memory_format=torch.channels_last)
    )
    optimiser = optim.build_optimizer(network, TrainingPlan(epochs=1, batch=BATCH, rate=1e-4, seed=0))
    inputs = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
    truth = [(torch.from_numpy(boxes), torch.from_numpy(ids)) for boxes, ids in targets]
    malloc.keep_freed_memory()
    taken = []
    for _step in range(STEPS):
        start = time.perf_counter()
        optimiser.zero_grad()
        torch.stack(list(network.compute_losses(inputs, truth).values())).sum().backward()
        optimiser.step()
        taken.append(time.perf_counter() - start)
    export_detector(network.eval(), spec, folder / NETWORK_FILE)
    return taken


def _theirs(
    pictures: list[np.ndarray], targets: list[tuple[np.ndarray, np.ndarray]], size: int, folder: Path
) -> dict[str, object]:
    boxes = np.concatenate([one for one, _ids in targets]) / np.float32(size)
    np.savez(
        folder / "batch.npz",
        images=np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255),
        boxes=np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1),
        class_ids=np.concatenate([ids for _boxes, ids in targets]),
        rows=np.repeat(np.arange(len(targets)), [len(ids) for _boxes, ids in targets]),
    )
    told = _run_peer("ultralytics_peer.py", folder, str(folder / "batch.npz"), str(STEPS), str(folder))
    return {**told, "onnx": str(folder / told["onnx"])}


class _Over(Exception):  # noqa: N818
    """Ends the training after the epochs that are measured."""


@dataclass
class _EpochWatch:
    """Progress listener that times the training part of each epoch, in seconds a photo."""

    seconds: list[float] = field(default_factory=list)

    def show_message(self, _text: str) -> None:
        """Ignore it."""

    @contextmanager
    def open_stage(self, name: str, total: int) -> Iterator[ProgressStage]:
        """Time a stage of training; end after ``WHOLE`` of them."""
        if len(self.seconds) == WHOLE:
            raise _Over
        start = time.perf_counter()
        with SILENT.open_stage(name, total) as silent:
            yield silent
        if name == _("Epoch {number} of {count}").format(number=len(self.seconds) + 1, count=PLANNED):
            self.seconds.append((time.perf_counter() - start) / (total * BATCH))


def _real_loop(size: int, folder: Path) -> None:
    """Print the images per second of each program's own training, after its first epoch."""
    data = folder / "data"
    dataset = lince.open(DATA, format="yolo")
    rows = {name: dataset.get_split_indices(number) for name, number in SPLITS.items()}
    few = np.concatenate([rows["train"][:PHOTOS], rows["val"][:BATCH], rows["test"][:BATCH]])  # none is drawn then
    lince.convert(dataset.select(few), data, "yolo", lossy=True)
    watch = _EpochWatch()
    with suppress(_Over):
        lince.train(data, format="yolo", recipe="scratch", model="yolox-nano", size=size, batch=BATCH, epochs=PLANNED,
                    seed=0, out=folder / "run", progress=watch)  # fmt: skip
    parts = {part: f"images/{part}" for part in ("train", "val")}
    config = {"path": str(data), **parts, "names": dict(enumerate(dataset.classes.names))}
    (folder / "data.yaml").write_text(json.dumps(config), "utf-8")  # JSON is valid YAML
    training = {"imgsz": size, "batch": BATCH, "epochs": PLANNED, "seed": 0, "project": str(folder)}
    asked = {"data": str(folder / "data.yaml"), "train": training, "epochs": WHOLE}
    (folder / "asked.json").write_text(json.dumps(asked), "utf-8")
    theirs = _run_peer("ultralytics_loop_peer.py", folder, str(folder / "asked.json"))["seconds"]
    rates = [1 / min(watch.seconds[1:]), PHOTOS / min(theirs[1:])]
    print(
        f"  the real loop: yolox-nano {rates[0]:.2f} images/s, YOLOv8n {rates[1]:.2f}, ratio {rates[0] / rates[1]:.2f}"
    )


def _run_peer(script: str, folder: Path, *words: str) -> dict[str, Any]:
    """Run a script in the environment of Ultralytics and return the JSON of its last line."""
    done = subprocess.run(
        [peers.ultralytics(), str(Path(__file__).parent / script), *words],
        check=True, stdout=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": str(folder)},
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


def _asked(folder: Path, theirs: Path, spec: PreprocessSpec, picture: np.ndarray) -> None:
    card = ModelCard(
        "detect", Classes(tuple(map(str, range(CLASSES)))), spec, "yolox-nano", "", "", decoder="yolox"
    )  # fmt: skip
    ours = DetectionPredictor(card, OnnxRuntimeBackend(folder / NETWORK_FILE))
    other = lince.load(theirs)
    rates = measure({"ours": lambda: ours.predict(picture), "theirs": lambda: other.predict(picture)}, 10, 2)
    one, two = (1000 / rates[name] for name in ("ours", "theirs"))
    print(f"  a photo, decoding and suppression included: yolox-nano {one:.1f} ms, YOLOv8n {two:.1f} ms, "
          f"ratio {one / two:.2f} (at most {AT_MOST})")  # fmt: skip
