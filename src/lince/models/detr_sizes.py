"""What the detectors with queries are made of, size by size, as their papers publish them. No torch is loaded here.

D-FINE: Peng et al. 2024. RT-DETRv2: Lv et al. 2024. Names are those of the settings of ``transformers``.
"""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]

# HGNetV2: channels of the stem; of each stage the channels in, inside and out, and its blocks; layers of a block.
_HGNET: dict[str, tuple[list[int], list[tuple[int, int, int, int]], int]] = {
    "b0": ([3, 16, 16], [(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 2), (512, 128, 1024, 1)], 3),
    "b2": ([3, 24, 32], [(32, 32, 96, 1), (96, 64, 384, 1), (384, 128, 768, 3), (768, 256, 1536, 1)], 4),
    "b4": ([3, 32, 48], [(48, 48, 128, 1), (128, 96, 512, 1), (512, 192, 1024, 3), (1024, 384, 2048, 1)], 6),
    "b5": ([3, 32, 64], [(64, 64, 128, 1), (128, 128, 512, 2), (512, 256, 1024, 5), (1024, 512, 2048, 2)], 6),
}
# ResNet-D: blocks of each stage, their kind, and the channels that the stages give.
_RESNET: dict[str, tuple[list[int], str, list[int]]] = {
    "r18": ([2, 2, 2, 2], "basic", [64, 128, 256, 512]),
    "r34": ([3, 4, 6, 3], "basic", [64, 128, 256, 512]),
    "r50": ([3, 4, 6, 3], "bottleneck", [256, 512, 1024, 2048]),
    "r101": ([3, 4, 23, 3], "bottleneck", [256, 512, 1024, 2048]),
}
# D-FINE: body, scaling layers after each convolution, depth and width of the neck, layers of the decoder.
_DFINE: dict[str, tuple[str, bool, float, float, int]] = {
    "dfine-n": ("b0", True, 0.5, 0.34, 3),
    "dfine-s": ("b0", True, 0.34, 0.5, 3),
    "dfine-m": ("b2", True, 0.67, 1.0, 4),
    "dfine-l": ("b4", False, 1.0, 1.0, 6),
    "dfine-x": ("b5", False, 1.0, 1.0, 6),
}
# The smallest does without the finest map; the largest has a wider neck, and finer steps at the edges.
_DFINE_OWN: dict[str, Settings] = {
    "dfine-n": {
        "feat_strides": [16, 32],
        "encode_proj_layers": [1],
        "num_feature_levels": 2,
        "encoder_hidden_dim": 128,
        "encoder_ffn_dim": 512,
        "d_model": 128,
        "decoder_ffn_dim": 512,
        "decoder_in_channels": [128, 128],
        "decoder_n_points": [6, 6],
    },
    "dfine-x": {
        "encoder_hidden_dim": 384,
        "encoder_ffn_dim": 2048,
        "decoder_in_channels": [384, 384, 384],
        "reg_scale": 8.0,
    },
}
# RT-DETRv2: body, width of the neck, layers of the decoder.
_RTDETR: dict[str, tuple[str, float, int]] = {
    "rtdetrv2-r18": ("r18", 0.5, 3),
    "rtdetrv2-r34": ("r34", 0.5, 4),
    "rtdetrv2-r50": ("r50", 1.0, 6),
    "rtdetrv2-r101": ("r101", 1.0, 6),
}
_RTDETR_OWN: dict[str, Settings] = {
    "rtdetrv2-r101": {
        "encoder_hidden_dim": 384,
        "encoder_ffn_dim": 2048,
        "decoder_in_channels": [384, 384, 384],
    },
}


def settings(name: str) -> tuple[Settings, Settings]:
    """Return the settings of the detector ``name`` and those of its body; ``KeyError`` for a name without any."""
    return _dfine(name) if name in _DFINE else _rtdetr(name)


def _dfine(name: str) -> tuple[Settings, Settings]:
    kind, scaled, depth, width, layers = _DFINE[name]
    stem, stages, inner = _HGNET[kind]
    own = _DFINE_OWN.get(name, {})
    levels = own.get("num_feature_levels", 3)
    outs = [stage[2] for stage in stages]
    body: Settings = {
        "stem_channels": stem,
        "stage_in_channels": [stage[0] for stage in stages],
        "stage_mid_channels": [stage[1] for stage in stages],
        "stage_out_channels": outs,
        "stage_num_blocks": [stage[3] for stage in stages],
        "stage_numb_of_layers": [inner] * 4,
        "hidden_sizes": outs,
        "depths": [stage[3] for stage in stages],
        "use_learnable_affine_block": scaled,
        "out_indices": [2, 3, 4][-levels:],
    }
    whole = {
        "encoder_in_channels": outs[-levels:],
        "depth_mult": depth,
        "hidden_expansion": width,
        "decoder_layers": layers,
        "decoder_n_points": [3, 6, 3],
    }
    return {**whole, **own}, body


def _rtdetr(name: str) -> tuple[Settings, Settings]:
    kind, width, layers = _RTDETR[name]
    depths, block, outs = _RESNET[kind]
    body: Settings = {"depths": depths, "layer_type": block, "hidden_sizes": outs, "out_indices": [2, 3, 4]}
    whole = {"encoder_in_channels": outs[1:], "hidden_expansion": width, "decoder_layers": layers}
    return {**whole, **_RTDETR_OWN.get(name, {})}, body
