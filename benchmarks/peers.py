"""The environment of the peers, apart from ours: made on first use from requirements-peers.txt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / ".venv-peers"
REQUIREMENTS = HERE / "requirements-peers.txt"


def python() -> str:
    """Return the Python of the peers' environment; make or bring it up to date when needed."""
    interpreter, stamp = FOLDER / "bin" / "python", FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text("utf-8")
    if not (interpreter.exists() and stamp.is_file() and stamp.read_text("utf-8") == wanted):
        print("Installing the peers into benchmarks/.venv-peers (only the first time) ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
        stamp.write_text(wanted, "utf-8")
    return str(interpreter)
