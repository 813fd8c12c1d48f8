"""Deployment files: unit, image and proxy name what exists; the base install is small."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from lince.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
LIMIT_MB = 460
FILES = ("Dockerfile", "lince.service", "nginx.conf", "Caddyfile")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("page", ["docs/deploy.md", "docs/es/deploy.md", "docs/pt/deploy.md"])
def test_the_pages_show_the_files_as_they_are(page: str, name: str) -> None:
    assert (DEPLOY / name).read_text("utf-8") in (ROOT / page).read_text("utf-8")


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "lince.service").read_text("utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def accepted(words: list[str]) -> None:
    """Parse ``words`` with lince's own parser, which exits on an unknown option."""
    build_parser(words).parse_args(words)


def test_the_unit_starts_a_command_that_exists() -> None:
    program, *words = shlex.split(unit()["ExecStart"][0])
    assert Path(program).name == "lince"
    accepted(words)


def test_the_image_starts_a_command_that_exists() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    entry, default = (re.search(rf"^{word} \[(.*)\]$", text, re.MULTILINE) for word in ("ENTRYPOINT", "CMD"))
    assert entry
    assert default
    _program, *words = [word.strip('" ') for part in (entry, default) for word in part[1].split(",")]
    accepted(words)


def test_what_the_image_copies_is_all_that_an_install_needs() -> None:
    kept = re.findall(r"^!(.+)$", (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE)
    assert {"src", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= set(kept)
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.parametrize("name", ["deploy.md", "serve.md"])
@pytest.mark.parametrize("folder", ["docs", "docs/es", "docs/pt"])
def test_every_command_of_the_pages_exists(folder: str, name: str) -> None:
    commands = re.findall(
        r"^(?:lince|LINCE_TOKEN=\S+ lince) (serve .*?)(?: &)?$", read_shell(f"{folder}/{name}"), re.MULTILINE
    )
    assert commands
    for command in commands:
        accepted(shlex.split(command))


def read_shell(page: str) -> str:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    return "\n".join(blocks).replace("\\\n", " ")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here to read the unit")
def test_systemd_understands_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    program = tmp_path / "lince"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    text = (DEPLOY / "lince.service").read_text("utf-8").replace("/opt/lince/bin/lince", str(program))
    path = tmp_path / "lince.service"
    path.write_text(text, "utf-8")
    checked = analyse("verify", "--man=no", str(path))
    assert checked.returncode == 0
    assert "lince.service" not in checked.stderr, checked.stderr
    exposed = analyse("security", "--offline=yes", "--threshold=20", str(path))
    assert exposed.returncode == 0, exposed.stdout[-500:]


def analyse(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=30, env=environment
    )


def test_the_base_install_stays_small() -> None:
    sizes = {name: size_mb(name) for name in needed("lince")}
    assert sizes["onnxruntime"] > 10  # otherwise the sizes are not those of what is installed
    assert sum(sizes.values()) < LIMIT_MB, sorted(sizes.items(), key=lambda item: -item[1])[:8]


def needed(name: str) -> set[str]:
    """Return the packages of the base install of ``name``, itself included."""
    requirement = pytest.importorskip("packaging.requirements").Requirement
    found: set[str] = set()
    waiting = [requirement(name)]
    while waiting:
        one = waiting.pop()
        key = re.sub(r"[-_.]+", "-", one.name).lower()
        if key in found:
            continue
        found.add(key)
        for text in metadata.requires(one.name) or ():
            child = requirement(text)
            extras = one.extras or {""}
            if not child.marker or any(child.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(child)
    return found


def size_mb(name: str) -> float:
    """Return the size on disk of the package ``name``, compiled modules included."""
    files = [Path(str(entry.locate())) for entry in metadata.files(name) or ()]
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6
