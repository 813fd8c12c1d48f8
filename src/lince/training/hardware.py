"""Chooses the device, the numeric precision and the number of data-loading threads, each with its reason.

Reasons are translated phrases, shown in brackets after the choice.
"""

from __future__ import annotations

import torch

from lince.errors import UsageError
from lince.i18n import _
from lince.inference.backends.onnxruntime import count_cores
from lince.training.environment import read_cpuinfo


def choose_device(requested: str) -> tuple[str, str]:
    """Return (device, reason) for ``auto``, ``cpu``, ``cuda`` or ``mps``.

    ``auto`` takes the first available of cuda, mps and cpu. Raises ``UsageError`` when the requested device is not
    available here.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if requested == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
        return device, _("fastest available")
    if not available[requested]:
        raise UsageError(
            _("This machine has no device '{device}' that torch can use.").format(device=requested),
            _("Expected one of: {names}.").format(names=", ".join(name for name in available if available[name])),
        )
    return requested, _("as requested")


def get_accelerator_name() -> str:
    """Return the name of the GPU that torch can use here; an empty string when there is none."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "Apple GPU" if torch.backends.mps.is_available() else ""


def choose_precision(requested: str, device: str) -> tuple[str, str]:
    """Return (precision, reason), where precision is ``bf16`` or ``fp32``.

    ``auto`` takes bf16 on GPUs with native bf16 and on CPUs with AMX matrix units; elsewhere bf16 is slower than fp32.
    """
    if requested != "auto":
        return requested, _("as requested")
    if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", _("this GPU computes bf16 faster")
    if device == "cpu" and "amx_bf16" in read_cpuinfo("flags").split():
        return "bf16", _("this CPU has matrix units for bf16")
    return "fp32", _("bf16 is slower on this CPU")


def choose_workers(requested: int | None) -> tuple[int, str]:
    """Return (number of data-loading threads, reason): ``requested``, at least 1, or one per core and at most 8."""
    if requested is not None:
        return max(1, requested), _("as requested")
    return max(1, min(8, count_cores())), _("one per core, at most 8")
