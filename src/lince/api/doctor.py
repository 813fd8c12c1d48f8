"""The verbs that show: augment, models, summary, doctor."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lince import fileio, images
from lince.api.extras import require_training_extra
from lince.augmentation import Policy, preview
from lince.datasets import Dataset, open_dataset
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.models import weights_source
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ModelEntry
from lince.models.detection import registry as detection_registry
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, Progress
from lince.training.classification.defaults import measure_native_side
from lince.training.environment import collect_environment, get_total_memory
from lince.validation import require_choice

if TYPE_CHECKING:
    from lince.models.classification.classifier import Classifier
    from lince.models.layer_summary import ModelSummary

MAX_PREVIEW_SIDE = 224
TASK_NAMES = ("classify", "detect")
_EXTRA_MODULES = {"train": ("torch", "timm", "lightning_fabric", "onnx"), "scale": ("ray",)}


def augment(  # noqa: PLR0913
    data: str | Path | Dataset,
    policy: str = "medium",
    *,
    out: str | Path = "sheet.png",
    size: int | None = None,
    count: int = 6,
    copies: int = 6,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Path:
    """Write a picture of ``count`` images beside ``copies`` altered ones each, and return its path.

    ``size`` is the side of the pictures in pixels: that of the images, 224 at most, unless given.
    The ending of ``out`` says whether it is a PNG or a JPEG.
    """
    parsed = Policy.parse(policy)
    dataset = data if isinstance(data, Dataset) else open_dataset(data, progress=progress)
    rows = np.random.default_rng(seed).permutation(len(dataset))[:count]
    side = size or min(MAX_PREVIEW_SIDE, measure_native_side(dataset))
    originals = [dataset.images.read_image(int(row), (side, side)) for row in rows]
    sheet = preview.render_preview_sheet(originals, parsed, seed, copies, PreprocessSpec(side, side))
    encode = images.encode_jpeg if Path(out).suffix.lower() in (".jpg", ".jpeg") else images.encode_png
    fileio.write_bytes(Path(out), encode(sheet))
    return Path(out)


def models(task: str = "classify") -> dict[str, ModelEntry]:
    """Return networks by name, with cost, published accuracy and licence, the cheapest first.

    For ``classify`` they are the presets; for ``detect`` all detectors, as ``DetectorEntry``, family by family.
    """
    if require_choice("task", task, TASK_NAMES) == "detect":
        return {**detection_registry.list_detectors()}
    return classification_registry.list_presets()


def summary(model: str, *, size: int | None = None, classes: int = 10, grey: bool = False) -> ModelSummary:
    """Return the layers of ``model`` with shapes, parameters and multiply-accumulates, at random weights."""
    classification_registry.get_model_entry(model)  # a wrong name is told as such, where training is not installed too
    with require_training_extra():
        # torch takes seconds to load; listing the models does without.
        from lince.models.layer_summary import summarise_network as summarise  # noqa: PLC0415

        return summarise(*_build_classifier(model, size, classes, grey))


def measure(
    model: str, *, size: int | None = None, classes: int = 10, grey: bool = False, task: str = "classify"
) -> float:
    """Return the milliseconds that ``model`` takes for one image on this machine, as ``model.onnx``.

    For ``detect``, those of the network alone: without reading the photo, and without what follows the network.
    """
    chosen = require_choice("task", task, TASK_NAMES)
    with require_training_extra(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NETWORK_FILE
        if chosen == "detect":
            return _measure_detector(model, size, classes, path)
        from lince.export.torch_to_onnx import export_classifier  # noqa: PLC0415

        network, spec = _build_classifier(model, size, classes, grey)
        export_classifier(network, spec, path)
        return OnnxRuntimeBackend(path).measure((1, *spec.shape))


def _measure_detector(model: str, size: int | None, classes: int, path: Path) -> float:
    from lince.export.torch_to_onnx import export_detector  # noqa: PLC0415
    from lince.models.detection import builders  # noqa: PLC0415

    entry = detection_registry.get_detector_entry(model)
    spec = weights_source.make_preprocess(weights_source.resolve_weights(entry, "none"), size)
    export_detector(builders.build_detector(entry, classes, spec), spec, path)
    return OnnxRuntimeBackend(path).measure((1, *spec.shape))


def doctor() -> dict[str, Any]:
    """Return what this machine is, what of lince is installed, and where its caches lie (JSON)."""
    cache = fileio.get_cache_folder()
    folder = next(path for path in (cache, *cache.parents) if path.exists())
    extras = {extra: all(map(importlib.util.find_spec, names)) for extra, names in _EXTRA_MODULES.items()}
    return {
        **collect_environment(),
        "memory_bytes": get_total_memory(),
        "gpu": _describe_gpu() if extras["train"] else None,
        "extras": extras,
        "cache": str(cache),
        "free_disk_bytes": shutil.disk_usage(folder).free,
    }


def _describe_gpu() -> str:
    from lince.training.hardware import get_accelerator_name  # noqa: PLC0415

    return get_accelerator_name()


def _build_classifier(model: str, size: int | None, classes: int, grey: bool) -> tuple[Classifier, PreprocessSpec]:
    from lince.models.classification.classifier import build_classifier  # noqa: PLC0415

    entry = classification_registry.get_model_entry(model)
    spec = weights_source.make_preprocess(weights_source.resolve_weights(entry, "none"), size, grey=grey)
    return build_classifier(entry, classes, spec), spec
