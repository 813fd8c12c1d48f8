"""The command line in a process of its own, and what it reads: runs of an earlier version, photos, tables.

The tests of ``tests/commands`` use nothing else of lince, so that they run against any version of it. That version is
the one that this Python imports; ``LINCE_SOURCE=/other/checkout/src`` names another one, for comparing two:
``LINCE_SOURCE=... pytest tests/commands`` shows what was wrong there.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import class_photos

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(os.environ.get("LINCE_SOURCE") or ROOT / "src")
FIXTURES = ROOT / "tests" / "fixtures" / "format2"  # of version 0.1.0, so that earlier and later versions open them
SECONDS = 280.0
if not (SOURCE / "lince").is_dir():  # else an installed lince would answer in its place
    raise FileNotFoundError(f"LINCE_SOURCE={SOURCE} holds no package lince")


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code, what it printed, and what it told beside."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def prepare_environment(folder: Path, **environment: str) -> dict[str, str]:
    """Return the variables of a command that runs in ``folder``: ``SOURCE``, a cache of its own, English."""
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    path = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(SOURCE), *others]).strip(os.pathsep)
    own = {"PYTHONPATH": path, "LINCE_CACHE": str(folder / "cache"), "LINCE_LANG": "en", "NO_COLOR": "1"}
    tiny = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}  # networks so small that threads only wait for each other
    return {**os.environ, **own, **tiny, **environment}


def run_lince(folder: Path, *words: str | Path, **environment: str) -> Finished:
    """Run ``lince`` with ``words`` in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "lince", *map(str, words)], cwd=folder, env=prepare_environment(folder, **environment),
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    return Finished(done.returncode, done.stdout, done.stderr)


def bring_run(folder: Path, name: str = "run") -> Path:
    """Copy the run of a classifier into ``folder``, with the 36 photos ``shapes`` of which it was made."""
    data = folder / "shapes"
    if not data.exists():
        class_photos.folders(data, each=12, side=24)
    run = Path(shutil.copytree(FIXTURES / "classification-run", folder / name))
    record = json.loads((run / "data.json").read_text("utf-8"))
    (run / "data.json").write_text(json.dumps(record | {"path": str(data)}), "utf-8")
    return run


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by the names of its columns."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def read_files(folder: Path, *besides: str) -> dict[str, str]:
    """Return the digest of each file below ``folder``, but for the cache and ``besides``, by its path."""
    skipped = {"cache", ".lince", *besides}
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not skipped & set(path.relative_to(folder).parts)
    }
