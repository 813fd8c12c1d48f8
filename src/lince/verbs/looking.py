"""The verbs that show: augment, models, summary, doctor."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lince import files, images
from lince.augmentation import Policy, preview
from lince.card import NETWORK_FILE
from lince.choices import one_of
from lince.data import Dataset, open_dataset
from lince.models import detectors, registry, sources
from lince.models.registry import ModelEntry
from lince.preprocess import Preprocess
from lince.progress import SILENT, Progress
from lince.runtime.session import Session
from lince.training.defaults import native_side
from lince.training.environment import environment, memory
from lince.verbs.parts import training_part

if TYPE_CHECKING:
    from lince.models.classifier import Classifier
    from lince.models.summary import Summary

LARGEST = 224
TASKS = ("classify", "detect")
_EXTRAS = {"train": ("torch", "timm", "lightning_fabric", "onnx"), "scale": ("ray",)}


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
    side = size or min(LARGEST, native_side(dataset))
    originals = [dataset.images.read(int(row), (side, side)) for row in rows]
    sheet = preview.sheet(originals, parsed, seed, copies, Preprocess(side, side))
    encode = images.encode_jpeg if Path(out).suffix.lower() in (".jpg", ".jpeg") else images.encode_png
    files.write_bytes(Path(out), encode(sheet))
    return Path(out)


def models(task: str = "classify") -> dict[str, ModelEntry]:
    """Return networks by name, with cost, published accuracy and licence, the cheapest first.

    For ``classify`` they are the presets; for ``detect`` all detectors, as ``DetectorEntry``, family by family.
    """
    if one_of("task", task, TASKS) == "detect":
        return {**detectors.detectors()}
    return registry.presets()


def summary(model: str, *, size: int | None = None, classes: int = 10, grey: bool = False) -> Summary:
    """Return the layers of ``model`` with shapes, parameters and multiply-accumulates, at random weights."""
    registry.find(model)  # a wrong name is told as such, where training is not installed too
    with training_part():
        # torch takes seconds to load; listing the models does without.
        from lince.models.summary import summary as summarise  # noqa: PLC0415

        return summarise(*_built(model, size, classes, grey))


def measure(
    model: str, *, size: int | None = None, classes: int = 10, grey: bool = False, task: str = "classify"
) -> float:
    """Return the milliseconds that ``model`` takes for one image on this machine, as ``model.onnx``.

    For ``detect``, those of the network alone: without reading the photo, and without what follows the network.
    """
    chosen = one_of("task", task, TASKS)
    with training_part(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NETWORK_FILE
        if chosen == "detect":
            return _measured(model, size, classes, path)
        from lince.exporting.onnx import export_classifier  # noqa: PLC0415

        network, spec = _built(model, size, classes, grey)
        export_classifier(network, spec, path)
        return Session(path).measure((1, *spec.shape))


def _measured(model: str, size: int | None, classes: int, path: Path) -> float:
    from lince.exporting.onnx import export_detector  # noqa: PLC0415
    from lince.models import families  # noqa: PLC0415

    entry = detectors.find(model)
    spec = sources.preprocess_for(sources.locate(entry, "none"), size)
    export_detector(families.build(entry, classes, spec), spec, path)
    return Session(path).measure((1, *spec.shape))


def doctor() -> dict[str, Any]:
    """Return what this machine is, what of lince is installed, and where its caches lie (JSON)."""
    cache = files.cache_folder()
    folder = next(path for path in (cache, *cache.parents) if path.exists())
    extras = {extra: all(map(importlib.util.find_spec, names)) for extra, names in _EXTRAS.items()}
    return {
        **environment(),
        "memory_bytes": memory(),
        "gpu": _gpu() if extras["train"] else None,
        "extras": extras,
        "cache": str(cache),
        "free_disk_bytes": shutil.disk_usage(folder).free,
    }


def _gpu() -> str:
    from lince.training.hardware import accelerator  # noqa: PLC0415

    return accelerator()


def _built(model: str, size: int | None, classes: int, grey: bool) -> tuple[Classifier, Preprocess]:
    from lince.models.classifier import build  # noqa: PLC0415

    entry = registry.find(model)
    spec = sources.preprocess_for(sources.locate(entry, "none"), size, grey=grey)
    return build(entry, classes, spec), spec
