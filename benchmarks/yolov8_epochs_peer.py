"""Peer process: trains YOLOv8n from random weights and saves each epoch's detections (benchmarks/time_to_map.py)."""

from __future__ import annotations

import json
import sys
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import psutil
from ultralytics import YOLO, settings

YAML = "yolov8n.yaml"
START = time.perf_counter()
SELF = psutil.Process()


def main(file: str) -> None:
    """Train as the JSON ``file`` specifies; print start-up seconds, and seconds and CPU time per epoch, as JSON.

    ``file`` holds ``data`` (its YAML), ``train`` (arguments of the training), ``cap`` in seconds, ``photos`` to
    predict, ``keeping`` (arguments of the prediction), and the folder ``out`` for ``0.npz``, ``1.npz`` ...: the
    detections of the averaged weights after each epoch on all photos, as ``photos`` (M,), ``boxes`` (M, 4) in pixels,
    ``class_ids`` and ``scores`` (M,).
    """
    settings.update({"sync": False})
    asked = json.loads(Path(file).read_text("utf-8"))
    model, began, seconds, work, weights = YOLO(YAML), [], [], [], []

    def epoch_ends(trainer: object) -> None:
        seconds.append(time.perf_counter() - began[0])
        work.append(processor() - began[1])
        weights.append(deepcopy(trainer.ema.ema))
        trainer.stop = trainer.stop or seconds[-1] > asked["cap"]
        print(f"epoch {len(seconds)}: {seconds[-1]:.0f} s", file=sys.stderr, flush=True)

    model.add_callback("on_train_start", lambda _trainer: began.extend((time.perf_counter(), processor())))
    model.add_callback("on_model_save", epoch_ends)  # after training, its own evaluation and its files
    model.train(data=asked["data"], pretrained=False, plots=False, verbose=False, **asked["train"])
    for number, one in enumerate(weights):
        np.savez(Path(asked["out"]) / f"{number}.npz", **found(one, asked["photos"], asked["keeping"]))
    print(json.dumps({"startup": began[0] - START, "seconds": seconds, "work": work}))


def processor() -> float:
    """Return the CPU time of this process and of its data loaders."""
    return sum(sum(one.cpu_times()[:4]) for one in (SELF, *SELF.children(recursive=True)))


def found(network: object, photos: list[str], keeping: dict[str, float]) -> dict[str, np.ndarray]:
    """Return the detections of ``network`` on ``photos``, best first on each."""
    asker = YOLO(YAML)
    asker.model = network.float().eval()
    answers = [one.boxes for one in asker.predict(photos, verbose=False, **keeping)]
    return {
        "photos": np.repeat(np.arange(len(photos)), [len(one) for one in answers]),
        "boxes": np.concatenate([one.xyxy.numpy() for one in answers]),
        "class_ids": np.concatenate([one.cls.numpy() for one in answers]),
        "scores": np.concatenate([one.conf.numpy() for one in answers]),
    }


if __name__ == "__main__":
    main(sys.argv[1])
