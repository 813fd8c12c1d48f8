"""Memory allocator: freed memory is kept where the C library allows it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CHILD = """
import resource
import numpy as np
{first}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(8_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""
KEEP = "from lince.training import malloc; assert malloc.keep_freed_memory()"


def faults(first: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(first=first)], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_freed_memory_is_reused_between_steps():
    assert faults(KEEP) < 0.1 * faults("")
