"""Peer process: the first epochs of YOLOv8n's own training, with its defaults (benchmarks/detectors.py)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from ultralytics import YOLO, settings


def main(file: str) -> None:
    """Train as the JSON ``file`` specifies and print the seconds of the training part of each epoch, as JSON.

    ``file`` holds ``data`` (its YAML), ``train`` (arguments of the training), and ``epochs``, after how many it ends.
    """
    settings.update({"sync": False})
    asked = json.loads(Path(file).read_text("utf-8"))
    model, begun, seconds = YOLO("yolov8n.yaml"), [], []

    def epoch_ends(trainer: object) -> None:
        seconds.append(time.perf_counter() - begun[-1])
        trainer.stop = trainer.stop or len(seconds) >= asked["epochs"]

    model.add_callback("on_train_epoch_start", lambda _trainer: begun.append(time.perf_counter()))
    model.add_callback("on_train_epoch_end", epoch_ends)
    model.train(data=asked["data"], pretrained=False, plots=False, verbose=False, **asked["train"])
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
