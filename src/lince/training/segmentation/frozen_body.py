"""The frozen body of a segmentation network as an ONNX file, written without torch where lince has its weights."""

from __future__ import annotations

from pathlib import Path

from lince.export import efficientnet_lite
from lince.models import torch_file
from lince.models.classification.efficientnet_names import map_timm_names
from lince.models.weights_source import WeightsSource
from lince.training.feature_maps import prepare_frozen_body
from lince.training.recipe import RecipeContext


def prepare_pyramid_body(context: RecipeContext, source: WeightsSource) -> Path:
    """Return the ONNX file of the network of ``source`` with the outputs ``map0`` to ``map3`` at strides 4 to 32.

    From the cache, or written now. Raises ``UsageError`` for a network without such maps, and ``WeightsError`` when the
    weights do not fit it.
    """

    def write(path: Path) -> None:
        if source.kind == "package" and source.path is not None:
            tensors = torch_file.read_tensors(source.path)
            names = map_timm_names(tensors)
            renamed = {names[name]: tensor for name, tensor in tensors.items()}
            efficientnet_lite.write_pyramid(renamed, context.spec, path)
        else:
            _export_with_torch(context, source, path)

    return prepare_frozen_body(context, source, write)


def _export_with_torch(context: RecipeContext, source: WeightsSource, path: Path) -> None:
    """Build the network of ``source`` with torch, and write it without its head to ``path``."""
    # Only a network whose weights are not lince's own needs torch for this.
    from lince.export.torch_to_onnx import export_feature_maps  # noqa: PLC0415
    from lince.models import weights  # noqa: PLC0415
    from lince.models.segmentation.segmenter import build_segmenter  # noqa: PLC0415

    network = build_segmenter(source.entry, len(context.dataset.classes), context.spec, context.config.seed)
    weights.load_network_weights(network, source)
    export_feature_maps(network, context.spec, path)
