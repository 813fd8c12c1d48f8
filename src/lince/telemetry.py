"""Switches off the reports that libraries make of their use; ``import lince`` does so before any of them is loaded.

The values are set whatever the environment says: lince promises that nothing leaves the machine, and a value that was
left behind elsewhere must not break that. Programs that lince starts inherit them. PyTorch, timm, Lightning Fabric,
ONNX, OpenCV, and FastAPI without an SDK of OpenTelemetry report nothing, as their sources and system calls show.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SWITCHES = {
    # ONNX Runtime 1.29 and later, but not on Windows: a file with an identifier, a store of events, an uploader. Read
    # when the library is loaded; ``disable_telemetry_events`` comes after the first event and leaves the uploader.
    "ORT_DISABLE_TELEMETRY": "1",
    # Hugging Face: what its requests tell of the machine, and the reports of its transfers.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_XET_TELEMETRY_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",  # the common one, https://donottrack.sh
}
# Packages that do nothing but report, and that the libraries do without. OpenVINO's has no switch, and reports that
# OpenVINO was imported.
BLOCKED_MODULES = ("openvino_telemetry",)


def switch_off_reports() -> None:
    """Set ``SWITCHES`` in the environment, and make ``BLOCKED_MODULES`` look as if they were not installed."""
    os.environ.update(SWITCHES)
    for name in BLOCKED_MODULES:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # Python then raises ``ModuleNotFoundError``


def switch_off_ultralytics(settings_folder: Path) -> None:
    """Do the same for the package of Ultralytics, before it is imported; its settings go to ``settings_folder``.

    It has no switch for its reports alone, only one that refuses its downloads too: so this is not done for those who
    use that package beside lince. ``YOLO_CONFIG_DIR`` keeps a value that it has.
    """
    os.environ.update({"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"})
    os.environ.setdefault("YOLO_CONFIG_DIR", str(settings_folder))
