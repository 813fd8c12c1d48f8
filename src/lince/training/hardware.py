"""Which device, precision and number of threads suit this machine, each with its reason."""

from __future__ import annotations

import torch

from lince.errors import UsageError
from lince.i18n import _
from lince.inference.backends.onnxruntime import count_cores
from lince.training.environment import read_cpuinfo


def choose_device(requested: str) -> tuple[str, str]:
    """Return (device, reason) for ``auto``, ``cpu``, ``cuda`` or ``mps``; raise ``UsageError`` when it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if requested == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if there[name])
        return device, _("the fastest here")
    if not there[requested]:
        raise UsageError(
            _("This machine has no device '{device}' that torch can use.").format(device=requested),
            _("Expected one of: {names}.").format(names=", ".join(name for name in there if there[name])),
        )
    return requested, _("as asked")


def get_accelerator_name() -> str:
    """Return the name of the GPU that torch can use here; empty when there is none."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "Apple GPU" if torch.backends.mps.is_available() else ""


def choose_precision(requested: str, device: str) -> tuple[str, str]:
    """Return (precision, reason): bf16 on GPUs and on CPUs with AMX, fp32 elsewhere, where bf16 is slower."""
    if requested != "auto":
        return requested, _("as asked")
    if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", _("this GPU computes bf16 faster")
    if device == "cpu" and "amx_bf16" in read_cpuinfo("flags").split():
        return "bf16", _("this processor has matrix units for bf16")
    return "fp32", _("bf16 is slower on this processor")


def choose_workers(requested: int | None) -> tuple[int, str]:
    """Return (threads that prepare images, reason)."""
    if requested is not None:
        return max(1, requested), _("as asked")
    return max(1, min(8, count_cores())), _("one for each core, eight at most")
