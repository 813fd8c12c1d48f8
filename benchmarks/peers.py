"""Environments of the peers, apart from lince's: made on first use from requirements-*.txt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def python() -> str:
    """Return the Python of the peers' environment; create or update it when needed."""
    return _python("peers")


def ultralytics() -> str:
    """Return the Python of the environment of Ultralytics (AGPL-3.0, used for measurement only)."""
    return _python("ultralytics")


def litserve() -> str:
    """Return the Python of the environment of LitServe, a server for models."""
    return _python("litserve")


def _python(name: str) -> str:
    folder, wanted = HERE / f".venv-{name}", (HERE / f"requirements-{name}.txt").read_text("utf-8")
    interpreter, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not (interpreter.exists() and stamp.is_file() and stamp.read_text("utf-8") == wanted):
        print(f"Installing into {folder.name} (only the first time) ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        requirements = HERE / f"requirements-{name}.txt"
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        stamp.write_text(wanted, "utf-8")
    return str(interpreter)
