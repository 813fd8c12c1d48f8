"""Renames the tensors of an EfficientNet-Lite0 of the package efficientnet_pytorch to timm's names; without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

_STAGE_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
_BLOCK_PLACES = [(stage, block) for stage, count in enumerate(_STAGE_BLOCKS) for block in range(count)]
_OUTER_NAMES = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_BLOCK_NAMES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# The first block widens nothing, so that its convolutions and norms have other numbers.
_FIRST_BLOCK_NAMES = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK_TENSOR = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")


def map_timm_names(names: Iterable[str]) -> dict[str, str]:
    """Return timm's name of each of ``names``; a name that is none of such a network is left as it is."""
    return {name: _get_timm_name(name) for name in names}


def _get_timm_name(name: str) -> str:
    """Return timm's name of the tensor ``name``, ``name`` itself where there is none."""
    match = _BLOCK_TENSOR.fullmatch(name)
    if match is None:
        layer, _dot, kind = name.partition(".")
        return f"{_OUTER_NAMES[layer]}.{kind}" if layer in _OUTER_NAMES else name
    number, layer, kind = int(match[1]), match[2], match[3]
    layer_names = _BLOCK_NAMES if number else _FIRST_BLOCK_NAMES
    if number >= len(_BLOCK_PLACES) or layer not in layer_names:
        return name
    stage, block = _BLOCK_PLACES[number]
    return f"blocks.{stage}.{block}.{layer_names[layer]}.{kind}"
