"""The detectors that also learn masks, by prototypes and coefficients; does not load torch."""

from __future__ import annotations

from dataclasses import replace

from lince.errors import UsageError
from lince.i18n import _
from lince.models.detection.registry import DetectorEntry, get_detector_entry, list_detectors, list_presets
from lince.postprocess.prototypes import COUNT, STRIDE
from lince.postprocess.yolox import STRIDES

FAMILIES = ("yolox",)  # of ``DetectorEntry``
DEFAULT_MODEL = "nano"


def list_models() -> dict[str, DetectorEntry]:
    """Return every such network by its name, the cheapest first."""
    return {name: _add_masks(entry) for name, entry in list_detectors().items() if entry.family in FAMILIES}


def list_model_presets() -> dict[str, DetectorEntry]:
    """Return the presets that learn masks by name, cheapest first."""
    return {name: _add_masks(entry) for name, entry in list_presets().items() if entry.family in FAMILIES}


def get_model_entry(name: str) -> DetectorEntry:
    """Return the network called ``name``, with its masks.

    Raises ``UsageError`` for an unknown name, and for a detector that learns boxes alone.
    """
    entry = get_detector_entry(name)
    if entry.family not in FAMILIES:
        raise UsageError(
            _("{model} learns boxes, and no masks.").format(model=entry.name),
            _("Expected one of: {names}.").format(names=", ".join(list_models())),
        )
    return _add_masks(entry)


def _add_masks(entry: DetectorEntry) -> DetectorEntry:
    """Return ``entry`` with prototypes, and their cost added to its own."""
    width = 4 * int(64 * entry.width)
    kernel, per_place = (9 * width + width**2, 4) if entry.separable else (9 * width**2, 2)
    params = 2 * (kernel + per_place * width) + (1 + len(STRIDES)) * (width + 1) * COUNT
    fine, middle = (entry.size // STRIDE) ** 2, (entry.size // STRIDES[0]) ** 2
    cells = sum((entry.size // stride) ** 2 for stride in STRIDES)
    macs = (fine + middle) * kernel + (fine + cells) * width * COUNT
    total, operations = (entry.params or 0) + params, (entry.macs or 0) + macs
    return replace(entry, prototypes=COUNT, ap=None, params=total, macs=operations)
