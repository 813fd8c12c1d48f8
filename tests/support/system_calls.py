"""Runs a program where it can reach no network; lists from its system calls what it asked for and what it wrote.

The namespace of ``unshare`` has no way out, so nothing leaves even where a switch is taken out on purpose. ``strace``
sees what Python's own hooks do not: threads and libraries written in C++, and processes that the program starts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tests.support.command import ROOT, SOURCE

CALLS = "connect,sendto,sendmsg,sendmmsg,?open,openat,?openat2,?creat,?mkdir,mkdirat,?rename,?renameat,renameat2,"
CALLS += "?link,linkat,?symlink,symlinkat,?mknod,mknodat"
TRACE = ("strace", "-f", "-ff", "-y", "-qq", "-s", "4096", "-e", f"trace={CALLS}", "-e", "signal=none")
ALONE = ("unshare", "--user", "--map-root-user", "--net")
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?"([0-9a-fA-F:.]+)"')
QUOTED = re.compile(r'(?:AT_FDCWD|\d+)?<?([^<>"]*)>?, "([^"]*)"|"([^"]*)"')
DNS_PORT = 53
# Undone in the program before anything else, so that the same run shows what the switches keep from happening.
WITHOUT_SWITCHES = """
import os, sys
from lince import telemetry
for name in telemetry.SWITCHES:
    os.environ.pop(name, None)
for name in telemetry.BLOCKED_MODULES:
    sys.modules.pop(name, None)
"""
COMMAND = "import sys\nfrom lince.cli.main import main\nraise SystemExit(main(sys.argv[1:]))\n"


@dataclass(frozen=True)
class Observed:
    """What a program did: its exit code and output, addresses beyond this machine, paths that it made or wrote."""

    code: int
    output: str
    addresses: frozenset[str]
    written: frozenset[Path]

    def written_outside(self, *folders: Path) -> list[Path]:
        """Return what was written neither in ``folders`` nor to a device; a folder above one of them had to be made."""
        allowed = (*folders, Path("/dev"), Path("/proc"))
        outside = (path for path in self.written if not any(path.is_relative_to(folder) for folder in allowed))
        return sorted(path for path in outside if not any(folder.is_relative_to(path) for folder in folders))


@cache
def _is_available() -> bool:
    if not (shutil.which("strace") and shutil.which("unshare")):
        return False
    tried = subprocess.run([*ALONE, "strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    return tried.returncode == 0


def observe(program: str, *words: str | Path, home: Path, switches: bool = True, path: Sequence[Path] = ()) -> Observed:
    """Run Python on ``program`` with ``home`` as home and working folder; skip where the tools for it are missing.

    ``path`` holds folders with further modules. ``switches`` is whether ``lince.telemetry`` has its effect.
    """
    if not _is_available():
        pytest.skip("no strace, or no unshare that may make a network namespace")
    trace = home.parent / f"{home.name}-calls"
    trace.mkdir(parents=True)
    (home / "tmp").mkdir(parents=True)
    # None of the variables by which ONNX Runtime knows the machines of a build and says nothing there.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "LINCE_LANG": "en",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (SOURCE, ROOT, *path))),
    }
    source = program if switches else WITHOUT_SWITCHES + program
    command = [*ALONE, *TRACE, "-o", str(trace / "calls"), sys.executable, "-c", source, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=home, timeout=280)
    lines = [line for file in trace.iterdir() for line in file.read_text("utf-8", "replace").splitlines()]
    return Observed(done.returncode, done.stdout + done.stderr, _list_addresses(lines), _list_written(lines, home))


def _list_addresses(lines: Sequence[str]) -> frozenset[str]:
    """Return the addresses beyond this machine, and of name servers anywhere, that the calls name."""
    found = set()
    for port, address in (match.groups() for line in lines for match in ADDRESS.finditer(line)):
        if int(port) == DNS_PORT or not (address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1")):
            found.add(f"{address}:{port}")
    return frozenset(found)


def _list_written(lines: Sequence[str], folder: Path) -> frozenset[Path]:
    """Return the paths that successful calls made in ``folder`` created, opened for writing, or renamed to."""
    found = set()
    for line in lines:
        call, _bracket, rest = line.partition("(")
        arguments, _equals, result = rest.rpartition(" = ")
        is_read = call.startswith("open") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", arguments)
        if result.startswith("-") or not result or is_read or call in ("connect", "sendto", "sendmsg", "sendmmsg"):
            continue
        *_others, (opened, relative, plain) = QUOTED.findall(arguments)
        found.add(Path(os.path.normpath(folder / opened / (relative or plain))))
    return frozenset(found)
