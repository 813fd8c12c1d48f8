"""Keeps the memory of one training step for the next, instead of giving it back and asking for it again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)
_MAX_INT, _TOP_PAD_BYTES = 2**31 - 1, 64 * 2**20


def keep_freed_memory() -> bool:
    """Tell the C library to keep what is freed for the next request; return whether it did (glibc only).

    A step of training on a processor frees and takes hundreds of megabytes, and glibc hands each large piece back to
    the system, which clears it anew: a third of the time of fine-tuning MobileNetV2. The process keeps its peak.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _MAX_INT), (_TOP_PAD, _TOP_PAD_BYTES))
    accepted = [library.mallopt(option, value) for option, value in wanted]
    return all(accepted)
