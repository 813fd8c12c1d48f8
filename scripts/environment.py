"""Makes a virtual environment with lince in it, once; run again it checks a stamp and returns at once.

``python scripts/environment.py .venv train dev`` uses nothing but the standard library. The stamp inside the
environment holds a key of everything that decides its content; an environment without a stamp was interrupted
half-way and is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "constraints.txt", "scripts/environment.py")
STAMP = "lince-ready.json"


def main(arguments: list[str]) -> int:
    """Bring the environment named first to hold lince with the extras named after it; return the exit code."""
    if not arguments:
        print("usage: environment.py FOLDER [EXTRA ...]", file=sys.stderr)
        return 2
    folder, extras = ROOT / arguments[0], set(arguments[1:])
    ready = _stamp(folder)
    if ready and ready["key"] == _key() and extras <= set(ready["extras"]):
        return 0
    if ready:
        extras |= set(ready["extras"])
    else:
        _make(folder)
    return _install(folder, sorted(extras))


def _key() -> str:
    """Return a digest of what decides the content: declared dependencies, their pins, the place, the Python."""
    state = hashlib.sha256(f"{sys.version}\n{ROOT}\n".encode())
    for name in SOURCES:
        state.update((ROOT / name).read_bytes())
    return state.hexdigest()


def _stamp(folder: Path) -> dict[str, list[str] | str] | None:
    """Return the stamp of a whole environment whose Python still runs; None when it has to be made anew."""
    try:
        stamp = json.loads((folder / STAMP).read_text("utf-8"))
        subprocess.run([_python(folder), "-c", "import pip"], check=True, capture_output=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return stamp if isinstance(stamp, dict) and {"key", "extras"} <= set(stamp) else None


def _python(folder: Path) -> str:
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def _make(folder: Path) -> None:
    print(f"Making {folder.name} with Python {sys.version.split()[0]} ...", flush=True)
    venv.create(folder, clear=True, with_pip=True)


def _install(folder: Path, extras: list[str]) -> int:
    what = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    size = "about 5 GB on Linux, with PyTorch" if "train" in extras else "about 400 MB"
    print(f"Installing lince and what it needs into {folder.name} ({size}; only the first time) ...", flush=True)
    (folder / STAMP).unlink(missing_ok=True)
    constraints = str(ROOT / "constraints.txt")
    command = [_python(folder), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-c", constraints]
    result = subprocess.run([*command, "--editable", what], check=False)
    if result.returncode:
        print("The installation stopped; the lines above say why.", file=sys.stderr)
        print("When that is mended, run the same command again: it starts afresh.", file=sys.stderr)
        return 1
    stamp = json.dumps({"key": _key(), "extras": extras})
    aside = folder / f"{STAMP}.part"
    aside.write_text(stamp, "utf-8")
    aside.replace(folder / STAMP)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
