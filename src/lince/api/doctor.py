"""Describes the hardware of this machine and which parts of lince are installed: ``lince.doctor``."""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any

from lince import fileio
from lince.training.environment import collect_environment, get_total_memory

_EXTRA_MODULES = {"train": ("torch", "timm", "lightning_fabric", "onnx"), "scale": ("ray",)}


def doctor() -> dict[str, Any]:
    """Return the versions, hardware, installed extras and cache folder of this machine as a JSON object.

    Sizes are in bytes; ``free_disk_bytes`` is that of the disk with the cache folder. ``extras`` says of each optional
    part whether all of its libraries are installed. ``gpu`` is the name of the accelerator, empty where there is none,
    and ``None`` where PyTorch is not installed to look for one.
    """
    cache = fileio.get_cache_folder()
    existing_folder = next(path for path in (cache, *cache.parents) if path.exists())
    extras = {extra: all(map(importlib.util.find_spec, names)) for extra, names in _EXTRA_MODULES.items()}
    return {
        **collect_environment(),
        "memory_bytes": get_total_memory(),
        "gpu": _describe_gpu() if extras["train"] else None,
        "extras": extras,
        "cache": str(cache),
        "free_disk_bytes": shutil.disk_usage(existing_folder).free,
    }


def _describe_gpu() -> str:
    """Return the name of the accelerator that PyTorch finds; an empty string where there is none."""
    from lince.training.hardware import get_accelerator_name  # noqa: PLC0415

    return get_accelerator_name()
