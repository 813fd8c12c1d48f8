"""What this machine is, for the report: enough to judge timings and to repeat the run, nothing that names a person."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from lince.inference.backends.onnxruntime import count_cores
from lince.version import __version__

_RECORDED_PACKAGES = ("torch", "timm", "lightning-fabric", "numpy", "onnxruntime", "opencv-python-headless", "pillow")


def collect_environment() -> dict[str, Any]:
    """Return the versions of lince, Python and the libraries, the system, the processor and its cores."""
    return {
        "lince": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": read_cpuinfo("model name") or platform.processor(),
        "cores": count_cores(),
        "packages": {name: found for name in _RECORDED_PACKAGES if (found := _package_version(name))},
    }


def get_total_memory() -> int | None:
    """Return the bytes of memory of this machine; ``None`` where the system does not tell."""
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if not all(name in getattr(os, "sysconf_names", ()) for name in names):
        return None
    return os.sysconf(names[0]) * os.sysconf(names[1])


def read_cpuinfo(field: str) -> str:
    """Return a field of the first processor in /proc/cpuinfo; empty where there is none."""
    path = Path("/proc/cpuinfo")
    if not sys.platform.startswith("linux") or not path.exists():
        return ""
    lines = path.read_text("utf-8", "replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def _package_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
