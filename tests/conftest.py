"""Shared fixtures: the photos beside the checkout, and a folder name with spaces and accents."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

import lince  # noqa: F401  # before any test imports ONNX Runtime, which would report this run to its maker

# Machines are shared and noisy, so no example has a deadline. The examples are the same every time, so that a
# failure comes from a change. For other and more examples: pytest --hypothesis-profile explore
settings.register_profile("lince", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, derandomize=False, max_examples=1000)
settings.load_profile("lince")
AWKWARD = Path("Área de Trabalho") / "niño ç"

NO_SHARED = "need real photos and weights in a folder ../shared beside this checkout: see Tests in CONTRIBUTING.md"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of all tests that miss ``../shared`` as of one place, so that the summary says once what they need."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and "../shared" in report.longrepr[2]:
        report.longrepr = (__file__, 1, NO_SHARED)
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real photos and weights beside the checkout; skip the test where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(NO_SHARED)
    return folder


@pytest.fixture
def awkward(tmp_path: Path) -> Path:
    """Return a working folder with spaces and accents in its path."""
    folder = tmp_path / AWKWARD
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def chance() -> random.Random:
    """Return a generator that differs from run to run; pytest shows its seed when the test fails."""
    seed = int(os.environ.get("LINCE_TEST_SEED", "") or secrets.randbelow(1_000_000))
    print(f"The same choices again: LINCE_TEST_SEED={seed}")  # noqa: T201
    return random.Random(seed)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a cache folder of the tests' own, and English messages."""
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path_factory.getbasetemp() / "lince-cache"))
    monkeypatch.setenv("LINCE_LANG", "en")
