"""Make a virtual environment with lince in it; a later run checks a stamp and returns at once.

``python scripts/environment.py .venv train dev`` uses nothing but the standard library. The stamp inside the
environment holds a digest of everything that decides its content; an environment without a stamp is incomplete
and is made again.

The folder of the clone may have any name, under any locale: make starts this script, and so all that it starts, in
Python's UTF-8 mode, and the file that leads Python to lince is ASCII, since Python reads it as the locale says.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "constraints.txt", "scripts/environment.py")
STAMP = "lince-ready.json"
HOME = f"{ROOT} {sys.version}"
# Used by tests; installed without its dependencies, one of which is a telemetry package.
ALONE = {"dev": ("openvino",)}


def main(arguments: list[str]) -> int:
    """Install lince with the extras into the environment named first; return the exit code."""
    if not arguments:
        print("usage: environment.py FOLDER [EXTRA ...]", file=sys.stderr)
        return 2
    folder, extras = ROOT / arguments[0], set(arguments[1:])
    ready = _stamp(folder)
    if ready and ready["key"] == _key() and extras <= set(ready["extras"]):
        return 0
    if ready:
        extras |= set(ready["extras"])
        print(f"Bringing {folder.name} up to date ...", flush=True)
    else:
        _make(folder, "about 6 GB on Linux, with PyTorch" if "train" in extras else "about 500 MB")
    return _install(folder, sorted(extras))


def _key() -> str:
    """Return a digest of the declared dependencies and their pins, which decide the content."""
    state = hashlib.sha256()
    for name in SOURCES:
        state.update((ROOT / name).read_bytes())
    return state.hexdigest()


def _stamp(folder: Path) -> dict[str, list[str] | str] | None:
    """Return the environment's stamp; None when it must be made again: incomplete, moved, or of another Python."""
    try:
        stamp = json.loads((folder / STAMP).read_text("utf-8"))
        subprocess.run([_python(folder), "-c", "import pip"], check=True, capture_output=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return stamp if isinstance(stamp, dict) and stamp.get("home") == HOME else None


def _python(folder: Path) -> str:
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def _make(folder: Path, size: str) -> None:
    print(f"Making {folder.name} with Python {sys.version.split()[0]} ...", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    print(f"Installing lince and what it needs into {folder.name} ({size}) ...", flush=True)


def _install(folder: Path, extras: list[str]) -> int:
    what = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    (folder / STAMP).unlink(missing_ok=True)
    pip = [_python(folder), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    pip += ["-c", str(ROOT / "constraints.txt")]
    alone = [name for extra in extras for name in ALONE.get(extra, ())]
    if not (_followed([*pip, "--editable", what]) and (not alone or _followed([*pip, "--no-deps", *alone]))):
        print("The installation failed; see the lines above.", file=sys.stderr)
        print("Fix the cause and run the same command again: it starts over.", file=sys.stderr)
        return 1
    _escape_path_files(folder)
    stamp = json.dumps({"home": HOME, "key": _key(), "extras": extras})
    aside = folder / f"{STAMP}.part"
    aside.write_text(stamp, "utf-8")
    aside.replace(folder / STAMP)
    return 0


def _escape_path_files(folder: Path) -> None:
    """Write the ``.pth`` file of lince in ASCII where it names a folder that is not, so that any locale can read it."""
    for path in (*folder.glob("lib/python*/site-packages/*lince.pth"), *folder.glob("Lib/site-packages/*lince.pth")):
        line = path.read_bytes().strip()
        if not line.isascii():
            path.write_text(f"import os, sys; sys.path.append(os.fsdecode({line!r}))\n", "ascii")


def _followed(command: list[str]) -> bool:
    """Run pip; show its downloads as they start, and its last lines when it fails. Return whether it succeeded."""
    last: deque[str] = deque(maxlen=15)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        for line in pip.stdout or ():
            last.append(line)
            if line.lstrip().startswith("Installing collected packages:"):
                print(f"  installing {line.count(',') + 1} packages", flush=True)
            elif line.lstrip().startswith(("Downloading", "Using cached")) and " MB)" in line:
                print(f"  {line.strip()}", flush=True)
    if pip.returncode:
        print("".join(last), end="", file=sys.stderr)
    return pip.returncode == 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again: it starts over.", file=sys.stderr)
        code = 130
    raise SystemExit(code)
