"""The recipe ``transfer`` of segmentation: trains a head on the feature maps of a frozen body, computed once.

Where PyTorch is installed the head is a light feature pyramid. Elsewhere it is linear, and needs numpy alone.
"""

from __future__ import annotations

from importlib.util import find_spec

from lince.i18n import _
from lince.models.weights_source import WeightsSource
from lince.training.recipe import RecipeContext
from lince.training.segmentation.trained_segmenter import TrainedSegmenter


def train_transfer_head(context: RecipeContext, source: WeightsSource) -> TrainedSegmenter:
    """Train the head that can be trained here on cached feature maps, and return the result."""
    if has_torch():
        # torch takes seconds to load, and the other head does without it.
        from lince.training.segmentation.recipes.pyramid_transfer import train_pyramid_head  # noqa: PLC0415

        context.progress.show_message(_("Head: a feature pyramid on the frozen network, trained by PyTorch"))
        return train_pyramid_head(context, source)
    from lince.training.segmentation.recipes.linear_transfer import fit_linear_head  # noqa: PLC0415

    context.progress.show_message(
        _("Head: linear on the frozen network (PyTorch is not installed; with it, a more accurate one is trained)")
    )
    return fit_linear_head(context, source)


def has_torch() -> bool:
    """Return whether networks can be trained here."""
    return all(find_spec(name) is not None for name in ("torch", "torchvision", "timm", "lightning_fabric"))
