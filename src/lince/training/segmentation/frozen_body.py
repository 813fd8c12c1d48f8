"""The frozen body of a segmentation network as an ONNX file, written without torch where lince has its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lince import fileio
from lince.export import efficientnet_lite
from lince.models import torch_file
from lince.models.classification.efficientnet_names import map_timm_names
from lince.models.weights_source import WeightsSource
from lince.training.feature_maps import prepare_frozen_body
from lince.training.recipe import RecipeContext


@dataclass(frozen=True)
class FrozenBody:
    """The ONNX file ``path`` of a frozen body, its parameters, and its multiply-accumulates for one image."""

    path: Path
    params: int
    macs: int


def prepare_pyramid_body(context: RecipeContext, source: WeightsSource) -> FrozenBody:
    """Return the network of ``source`` with the outputs ``map0`` to ``map3`` at strides 4 to 32.

    Its file is from the cache, or written now. Raises ``UsageError`` for a network without such maps, and
    ``WeightsError`` when the weights do not fit it.
    """

    def write(path: Path) -> None:
        if source.kind == "package" and source.path is not None:
            tensors = torch_file.read_tensors(source.path)
            names = map_timm_names(tensors)
            renamed = {names[name]: tensor for name, tensor in tensors.items()}
            cost = efficientnet_lite.write_pyramid(renamed, context.spec, path)
            figures = {"params": cost.params, "macs": cost.macs}
        else:
            figures = _export_with_torch(context, source, path)
        fileio.write_json(_locate_cost(path), figures)

    path = prepare_frozen_body(context, source, write)
    if not _locate_cost(path).is_file():  # the file is older than what is told of it, or was written by another task
        write(path)
    return FrozenBody(path, **json.loads(_locate_cost(path).read_text("utf-8")))


def _locate_cost(path: Path) -> Path:
    """Return the JSON file with the cost of the body at ``path``."""
    return path.with_suffix(".json")


def _export_with_torch(context: RecipeContext, source: WeightsSource, path: Path) -> dict[str, int]:
    """Build the network of ``source`` with torch, write it without its head to ``path``, and return its cost."""
    # Only a network whose weights are not lince's own needs torch for this.
    from lince.export.torch_to_onnx import export_feature_maps  # noqa: PLC0415
    from lince.models import weights  # noqa: PLC0415
    from lince.models.layer_summary import summarise_network  # noqa: PLC0415
    from lince.models.segmentation.segmenter import build_segmenter  # noqa: PLC0415

    network = build_segmenter(source.entry, len(context.dataset.classes), context.spec, context.config.seed)
    weights.load_network_weights(network, source)
    export_feature_maps(network, context.spec, path)
    *body, _head = summarise_network(network, context.spec).rows
    return {"params": sum(row.params for row in body), "macs": sum(row.macs for row in body)}
