"""Peer process: LitServe with the network of a lince model folder, written as its users would.

``python litserve_peer.py MODEL PORT WORKERS BATCH`` runs apart from lince, in an environment of its own, and reads the
card for the input's size, mean and deviation. Each worker uses its share of the cores.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import cv2
import litserve
import numpy as np
import onnxruntime

HOLD = 0.002  # seconds that a batch waits for more requests


class Classify(litserve.LitAPI):
    def __init__(self, folder: Path, threads: int, batch: int) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=HOLD if batch > 1 else 0.0)
        self.folder, self.threads = folder, threads

    def setup(self, device: str) -> None:
        card = json.loads((self.folder / "card.json").read_text("utf-8"))
        spec, self.classes = card["preprocess"], card["classes"]
        self.side = spec["width"], spec["height"]
        self.mean = np.array(spec["mean"], np.float32)[:, None, None]
        self.scale = 1 / np.array(spec["std"], np.float32)[:, None, None]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        self.session = onnxruntime.InferenceSession(str(self.folder / "model.onnx"), options)

    def decode_request(self, request: dict[str, str]) -> np.ndarray:
        data = np.frombuffer(base64.b64decode(request["image"]), np.uint8)
        image = cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), self.side, interpolation=cv2.INTER_LINEAR)
        return (image.transpose(2, 0, 1).astype(np.float32) - self.mean) * self.scale

    def predict(self, batch: np.ndarray) -> np.ndarray:
        images = batch if batch.ndim == 4 else batch[None]
        (logits,) = self.session.run(["logits"], {"images": images})
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers = raised / raised.sum(axis=1, keepdims=True)
        return answers if batch.ndim == 4 else answers[0]

    def encode_response(self, output: np.ndarray) -> dict[str, float]:
        return dict(zip(self.classes, output.tolist(), strict=True))


def main(folder: str, port: int, workers: int, batch: int) -> None:
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    api = Classify(Path(folder), threads, batch)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="error")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
