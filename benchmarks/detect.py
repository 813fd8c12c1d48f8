"""Detection of one photo through the API against bare ONNX Runtime plus decoding; drawing on a video frame."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.decode import measure, photo
from lince import images
from lince.annotations import Classes, Detections
from lince.inference import drawing
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, count_cores
from lince.inference.detection.predictor import DetectionPredictor
from lince.model_card import NETWORK_FILE, ModelCard
from lince.postprocess import DetectionFilter, yolox
from lince.preprocess import PreprocessSpec, preprocess_images

MODEL, OTHERS = "yolox-nano", 80
LIMIT, DRAWN_IN = 1.15, 3.0
CANDIDATES = 60  # candidates above the threshold, as on a photo with about six objects
MANY = 32


def run() -> None:
    """Print ms per photo of lince and of the bare calls, photos per second for many, and ms for drawing a frame."""
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder))
        data = photo()
        _one(model, data)
        _many(model, data, Path(folder) / "photos")
    _decode()
    _draw()


def _one(model: DetectionPredictor, data: bytes) -> None:
    spec = model.card.preprocess
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count_cores()
    bare = onnxruntime.InferenceSession(str(model.backend.path), options, providers=["CPUExecutionProvider"])
    batch = preprocess_images([images.decode_image(data)], spec)
    rates = measure(
        {
            "lince": lambda: model.predict(data),
            "network": lambda: bare.run(["raw"], {"images": batch}),
            "decode": lambda: images.decode_image(data),
            "prepare": lambda: preprocess_images([images.decode_image(data)], spec),
        },
        rounds=30,
        calls=2,
    )
    ours, network, decoding, prepared = (1000 / rates[name] for name in ("lince", "network", "decode", "prepare"))
    floor = network + decoding
    kept = len(model.predict(data).detections)
    print(f"one 500 x 375 JPEG, {MODEL} at {spec.height}, {kept} boxes, {count_cores()} cores")
    print(f"  lince.load(run).predict      {ours:7.2f} ms")
    print(f"  bare network + decoding      {floor:7.2f} ms   ({network:.2f} + {decoding:.2f})")
    print(f"  ratio                        {ours / floor:7.2f}      at most {LIMIT}")
    print(f"  of it: preparing             {prepared - decoding:7.2f} ms")
    print(f"         boxes and the rest    {ours - network - prepared:7.2f} ms")


def _many(model: DetectionPredictor, data: bytes, folder: Path) -> None:
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(MANY)]
    for path in paths:
        path.write_bytes(data)
    ways = {f"in {batch}s": (lambda batch=batch: list(model.predict_many(folder, batch))) for batch in (1, 4, 16)}
    rates = measure({**ways, "one by one": lambda: [model.predict(path) for path in paths]}, rounds=2, calls=1)
    print(f"{MANY} photos")
    for name, rate in rates.items():
        print(f"  {name:<28} {rate * MANY:7.1f} photos/s")


def _decode() -> None:
    raw = np.random.default_rng(0).uniform(0, 0.3, (3549, 85)).astype(np.float32)
    raw[::60, 4:] = 0.9
    spec = PreprocessSpec(416, 416, "corner")
    spent = 1000 / measure({"decode": lambda: yolox.decode([raw], (416, 416), spec)})["decode"]
    print(f"decoding YOLOX's outputs at 416 px, {CANDIDATES} candidates   {spent:.2f} ms")


def _draw() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (720, 1280, 3)).astype(np.uint8)
    corners = rng.random((10, 2)) * [1000, 500]
    boxes = np.concatenate([corners, corners + rng.random((10, 2)) * 200 + 20], axis=1)
    found = Detections(boxes, np.arange(10, dtype=np.int32), np.linspace(1, 0.3, 10, dtype=np.float32))
    names = Classes(tuple(f"objeto {number}" for number in range(10)))
    spent = 1000 / measure({"draw": lambda: drawing.draw_detections(frame, found, names)})["draw"]
    print(f"10 boxes on a frame of 1280 x 720   {spent:.2f} ms   at most {DRAWN_IN}")


def _model(folder: Path) -> DetectionPredictor:
    import torch

    from lince.export.torch_to_onnx import export_detector
    from lince.models import weights_source
    from lince.models.detection import builders
    from lince.models.detection import registry as detection_registry

    entry = detection_registry.get_detector_entry(MODEL)
    spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"))
    network = builders.build_detector(entry, OTHERS, spec, 0)
    with torch.no_grad():  # random weights give equal outputs everywhere; these differ
        for name, values in network.named_parameters():
            if "cls_preds" in name or "obj_preds" in name:
                values.normal_(0.0, 1.0, generator=torch.Generator().manual_seed(len(name)))
    export_detector(network, spec, folder / NETWORK_FILE)
    names = Classes(tuple(map(str, range(OTHERS))))
    card = ModelCard("detect", names, spec, entry.name, entry.licence, "random", decoder="yolox")
    session = OnnxRuntimeBackend(folder / NETWORK_FILE)
    # This threshold gives box decoding and suppression a realistic number of candidates.
    raw = session.run(preprocess_images([images.decode_image(photo())], spec), ["raw"])[0][0]
    scores = np.sort(raw[:, 4] * raw[:, 5:].max(axis=1))
    return DetectionPredictor(replace(card, detection_filter=DetectionFilter(float(scores[-CANDIDATES]))), session)
