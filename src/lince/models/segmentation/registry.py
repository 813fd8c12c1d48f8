"""The registry of segmentation networks: a head on the feature pyramid of any timm backbone; does not load torch."""

from __future__ import annotations

from dataclasses import replace

from lince.errors import UsageError
from lince.i18n import _
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ModelEntry
from lince.preprocess import PreprocessSpec

DEFAULT_MODEL = "lite"
SIDE_STEP = 32  # pixels; the maps of a side that is no multiple of it do not fit onto each other
# Parameters and multiply-accumulates of the whole network at the size of its weights, for ten classes.
_COSTS = {
    "nano": (1_442_294, 219_094_528),
    "small": (3_151_558, 247_069_568),
    "lite": (3_039_894, 394_763_680),
    "medium": (15_106_182, 2_496_715_584),
    "large": (49_634_934, 8_740_803_648),
}


def list_segmenters() -> dict[str, ModelEntry]:
    """Return the presets by name, cheapest first; all have permissive licences."""
    return {name: get_segmenter_entry(name) for name in classification_registry.PRESETS}


def get_segmenter_entry(name: str) -> ModelEntry:
    """Return the network with the backbone ``name``, a preset or a timm backbone (``classification.registry``).

    Its published accuracy is that of the backbone as a classifier, so it is left out. Raises ``UsageError`` with
    similar names for an unknown one, and for a CNN declared layer by layer.
    """
    entry = classification_registry.get_model_entry(name)
    if entry.architecture == classification_registry.CNN:
        raise UsageError(
            _("{model} cannot be the backbone of a feature pyramid.").format(model=classification_registry.CNN),
            _("Expected a timm backbone, such as {examples}.").format(examples="resnet50, mobilenetv3_large_100"),
        )
    params, macs = _COSTS.get(name, (None, None))
    return replace(entry, params=params, macs=macs, top1=None)


def require_input_sides(entry: ModelEntry, spec: PreprocessSpec) -> None:
    """Raise ``UsageError`` unless both sides of ``spec`` are multiples of ``SIDE_STEP``."""
    if spec.height % SIDE_STEP or spec.width % SIDE_STEP:
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=spec.height, w=spec.width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(step=SIDE_STEP, size=entry.size),
        )
