"""Describes the machine and the installed libraries for the report, without anything that identifies a person."""

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
    """Return the versions of lince, Python and the main libraries, the system, the processor and its cores.

    The result is a JSON object. Packages that are not installed are left out.
    """
    return {
        "lince": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": read_cpuinfo("model name") or platform.processor(),
        "cores": count_cores(),
        "packages": {name: version for name in _RECORDED_PACKAGES if (version := _package_version(name))},
    }


def get_total_memory() -> int | None:
    """Return the physical memory of this machine in bytes; ``None`` where the system does not report it (Windows)."""
    sysconf_names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if not all(name in getattr(os, "sysconf_names", ()) for name in sysconf_names):
        return None
    return os.sysconf(sysconf_names[0]) * os.sysconf(sysconf_names[1])


def read_cpuinfo(field: str) -> str:
    """Return the value of ``field`` for the first processor in ``/proc/cpuinfo``.

    Returns an empty string on systems other than Linux and when there is no such field.
    """
    path = Path("/proc/cpuinfo")
    if not sys.platform.startswith("linux") or not path.exists():
        return ""
    lines = path.read_text("utf-8", "replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def _package_version(name: str) -> str:
    """Return the installed version of a distribution; an empty string when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
