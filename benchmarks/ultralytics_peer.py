"""Peer process: trains YOLOv8n for some steps and exports it; started by benchmarks/detectors.py."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
from ultralytics import YOLO
from ultralytics.cfg import get_cfg


def main(file: str, steps: int, folder: str) -> None:
    """Print the seconds of each training step as JSON, and export the network for the size of the images in ``file``.

    ``file`` holds ``images`` (N, 3, H, W) float32 in [0, 1], ``boxes`` (M, 4) as shares of the sides (middle, sides),
    ``rows`` (M,) the image of each, and ``class_ids`` (M,).
    """
    data = {name: torch.from_numpy(value) for name, value in np.load(file).items()}
    model = YOLO("yolov8n.yaml")
    network = model.model.train()
    network.args = get_cfg()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4)
    batch = {"img": data["images"], "cls": data["class_ids"][:, None].float(), "bboxes": data["boxes"]}
    batch["batch_idx"] = data["rows"].float()
    taken = []
    for _step in range(steps):
        start = time.perf_counter()
        optimiser.zero_grad()
        network(batch)[0].sum().backward()
        optimiser.step()
        taken.append(time.perf_counter() - start)
    fresh = YOLO("yolov8n.yaml")
    path = fresh.export(format="onnx", imgsz=data["images"].shape[-1], simplify=False, verbose=False)
    print(json.dumps({"seconds": taken, "onnx": str(path), "folder": folder}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
