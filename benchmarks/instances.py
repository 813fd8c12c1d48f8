"""Objects with masks: a training step and a photo, YOLOX-nano with prototypes beside torchvision's Mask R-CNN."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decode import measure, photo
from lince import images
from lince.annotations import Classes
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.instances.predictor import InstancesPredictor
from lince.model_card import NETWORK_FILE, ModelCard
from lince.models.instances.registry import get_model_entry
from lince.postprocess import DetectionFilter
from lince.preprocess import PreprocessSpec, preprocess_images

MODEL, SIDE, CLASSES = "yolox-nano", 320, 3
IMAGES, OBJECTS = 4, 3  # of a training step, and of an image
STEPS, AT_LEAST = 3, 1.3
FOUND = 5  # objects on the photo


def run() -> None:
    """Print seconds of a training step and milliseconds of a photo of both, and their ratios."""
    print(f"{MODEL} with prototypes against Mask R-CNN (resnet50), {SIDE} px")
    ours, theirs = _time_steps(_make_own_step()), _time_steps(_make_torchvision_step())
    print(f"  step of {IMAGES} images: lince {ours:6.2f} s   torchvision {theirs:6.2f} s   {theirs / ours:5.1f} x")
    with tempfile.TemporaryDirectory() as folder:
        model, data = _make_model(Path(folder)), photo()
        rates = measure({"lince": lambda: model.predict(data), "torchvision": _make_torchvision_photo(data)}, 5, 1)
    ours, theirs = (1000 / rates[name] for name in ("lince", "torchvision"))
    found = len(model.predict(data).detections)
    print(f"  photo, {found} masks: lince {ours:6.1f} ms   torchvision {theirs:6.1f} ms   {theirs / ours:5.1f} x")
    print(f"  at least {AT_LEAST} x")


def _time_steps(step: Callable[[], object]) -> float:
    """Return the median seconds of a step after one that is not counted."""
    step()
    seconds = []
    for _i in range(STEPS):
        started_at = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started_at)
    return float(np.median(seconds))


def _draw_targets() -> list[tuple[np.ndarray[Any, Any], ...]]:
    """Return boxes (K, 4), class ids and masks (K, SIDE, SIDE) of each image, the same for both."""
    rng = np.random.default_rng(0)
    targets = []
    for _image in range(IMAGES):
        corners, sides = rng.uniform(0, SIDE / 2, (OBJECTS, 2)), rng.uniform(40, SIDE / 2, (OBJECTS, 2))
        boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
        masks = np.zeros((OBJECTS, SIDE, SIDE), np.uint8)
        for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int), strict=True):
            mask[top:bottom, left:right] = 1
        targets.append((boxes, rng.integers(0, CLASSES, OBJECTS), masks))
    return targets


def _make_own_step() -> Callable[[], object]:
    import torch

    from lince.models.detection.builders import build_detector

    network = build_detector(get_model_entry(MODEL), CLASSES, PreprocessSpec(SIDE, SIDE)).train()
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    batch = torch.rand(IMAGES, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    targets = [
        (
            torch.from_numpy(boxes),
            torch.from_numpy(ids),
            torch.from_numpy(255 * masks[:, 2::4, 2::4]),
            torch.ones(OBJECTS, dtype=torch.bool),
        )
        for boxes, ids, masks in _draw_targets()
    ]

    def step() -> None:
        optimizer.zero_grad()
        sum(network.compute_losses(batch, targets).values()).backward()  # type: ignore[union-attr]
        optimizer.step()

    return step


def _make_mask_rcnn() -> Any:
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    return maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=CLASSES + 1,
        min_size=SIDE,
        max_size=SIDE,
        box_score_thresh=0.0,
        box_detections_per_img=FOUND,
    )


def _make_torchvision_step() -> Callable[[], object]:
    import torch

    network = _make_mask_rcnn().train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    batch = list(torch.rand(IMAGES, 3, SIDE, SIDE))
    targets = [
        {"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(ids) + 1, "masks": torch.from_numpy(masks)}
        for boxes, ids, masks in _draw_targets()
    ]

    def step() -> None:
        optimizer.zero_grad()
        sum(network(batch, targets).values()).backward()
        optimizer.step()

    return step


def _make_torchvision_photo(data: bytes) -> Callable[[], object]:
    import torch

    network = _make_mask_rcnn().eval()

    def predict() -> object:
        pixels = images.decode_image(data)
        with torch.inference_mode():
            (found,) = network([torch.from_numpy(pixels).permute(2, 0, 1).float() / 255])
        return found["masks"].numpy() > 0.5

    return predict


def _make_model(folder: Path) -> InstancesPredictor:
    """Return a model at random weights whose threshold gives about ``FOUND`` objects on the photo."""
    import torch

    from lince.export.torch_to_onnx import export_detector
    from lince.models.detection.builders import build_detector

    entry = get_model_entry(MODEL)
    spec = PreprocessSpec(SIDE, SIDE, "corner", "bgr", (0.0,) * 3, (1.0,) * 3)
    network = build_detector(entry, CLASSES, spec)
    with torch.no_grad():  # random weights give equal outputs everywhere; these differ
        for name, values in network.named_parameters():
            if "cls_preds" in name or "obj_preds" in name:
                values.normal_(0.0, 1.0, generator=torch.Generator().manual_seed(len(name)))
    export_detector(network, spec, folder / NETWORK_FILE)
    names = Classes(tuple(map(str, range(CLASSES))))
    card = ModelCard("instances", names, spec, entry.name, entry.licence, "random", decoder="yolox-prototypes")
    session = OnnxRuntimeBackend(folder / NETWORK_FILE)
    raw = session.run(preprocess_images([images.decode_image(photo())], spec), ["raw"])[0][0]
    scores = np.sort(raw[:, 4] * raw[:, 5:].max(axis=1))
    limited = DetectionFilter(float(scores[-20 * FOUND]), 0.3, FOUND)
    return InstancesPredictor(replace(card, detection_filter=limited), session)
