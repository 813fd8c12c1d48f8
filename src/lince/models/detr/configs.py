"""What the detectors with queries are made of, size by size, as their papers publish them. No torch is loaded here.

D-FINE: Peng et al. 2024. RT-DETRv2: Lv et al. 2024. DEIMv2: Huang et al. 2025. Names are those of the settings of
``transformers``.
"""

from __future__ import annotations

from typing import Any

ConfigDict = dict[str, Any]

# HGNetV2: channels of the stem; of each stage the channels in, inside and out, and its blocks; layers of a block.
_HGNET_STAGES: dict[str, tuple[list[int], list[tuple[int, int, int, int]], int]] = {
    "b0": ([3, 16, 16], [(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 2), (512, 128, 1024, 1)], 3),
    "b2": ([3, 24, 32], [(32, 32, 96, 1), (96, 64, 384, 1), (384, 128, 768, 3), (768, 256, 1536, 1)], 4),
    "b4": ([3, 32, 48], [(48, 48, 128, 1), (128, 96, 512, 1), (512, 192, 1024, 3), (1024, 384, 2048, 1)], 6),
    "b5": ([3, 32, 64], [(64, 64, 128, 1), (128, 128, 512, 2), (512, 256, 1024, 5), (1024, 512, 2048, 2)], 6),
}
# Of these three, cut down from the first, there are three stages, and the last has its own size of kernel.
_SMALL_HGNET_STAGES: dict[str, tuple[list[tuple[int, int, int, int]], int]] = {
    "atto": ([(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 256, 1)], 3),
    "femto": ([(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 1)], 5),
    "pico": ([(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 2)], 5),
}
# ResNet-D: blocks of each stage, their kind, and the channels that the stages give.
_RESNET_STAGES: dict[str, tuple[list[int], str, list[int]]] = {
    "r18": ([2, 2, 2, 2], "basic", [64, 128, 256, 512]),
    "r34": ([3, 4, 6, 3], "basic", [64, 128, 256, 512]),
    "r50": ([3, 4, 6, 3], "bottleneck", [256, 512, 1024, 2048]),
    "r101": ([3, 4, 23, 3], "bottleneck", [256, 512, 1024, 2048]),
}
# D-FINE: body, scaling layers after each convolution, depth and width of the neck, layers of the decoder.
_DFINE_SIZES: dict[str, tuple[str, bool, float, float, int]] = {
    "dfine-n": ("b0", True, 0.5, 0.34, 3),
    "dfine-s": ("b0", True, 0.34, 0.5, 3),
    "dfine-m": ("b2", True, 0.67, 1.0, 4),
    "dfine-l": ("b4", False, 1.0, 1.0, 6),
    "dfine-x": ("b5", False, 1.0, 1.0, 6),
}
# The smallest does without the finest map; the largest has a wider neck, and finer steps at the edges.
_DFINE_OVERRIDES: dict[str, ConfigDict] = {
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
_RTDETR_SIZES: dict[str, tuple[str, float, int]] = {
    "rtdetrv2-r18": ("r18", 0.5, 3),
    "rtdetrv2-r34": ("r34", 0.5, 4),
    "rtdetrv2-r50": ("r50", 1.0, 6),
    "rtdetrv2-r101": ("r101", 1.0, 6),
}
_RTDETR_OVERRIDES: dict[str, ConfigDict] = {
    "rtdetrv2-r101": {
        "encoder_hidden_dim": 384,
        "encoder_ffn_dim": 2048,
        "decoder_in_channels": [384, 384, 384],
    },
}
# DEIMv2 in its lightest sizes: width of neck and decoder, channels within the decoder, queries.
_DEIM_SIZES: dict[str, tuple[int, int, int]] = {
    "deimv2-atto": (64, 160, 100),
    "deimv2-femto": (96, 256, 150),
    "deimv2-pico": (112, 320, 200),
}
_DEIM_COMMON: ConfigDict = {
    "feat_strides": [16, 32],
    "num_feature_levels": 2,
    "depth_mult": 0.5,
    "hidden_expansion": 0.34,
    "decoder_layers": 3,
    "decoder_activation_function": "silu",
    "focal_loss_gamma": 1.5,
}
# They learn boxes without the distributions of their edges, and look around with few points.
_DEIM_LIGHT: ConfigDict = {
    "encoder_type": "lite",
    "encoder_layers": 0,
    "decoder_n_points": [4, 2],
    "share_bbox_head": True,
    "use_gateway": False,
    "weight_loss_fgl": 0.0,
    "weight_loss_ddf": 0.0,
}
_DEIM_N = "deimv2-n"  # on the body of dfine-n, with the same neck but for sums in place of joints


def get_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    """Return the settings of the detector ``name`` and those of its body; ``KeyError`` for a name without any."""
    if name in _DEIM_SIZES or name == _DEIM_N:
        return _deim_configs(name)
    return _dfine_configs(name) if name in _DFINE_SIZES else _rtdetr_configs(name)


def _deim_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    if name == _DEIM_N:
        theirs, same = _dfine_configs("dfine-n")
        return {**theirs, **_DEIM_COMMON}, same
    width, inner, queries = _DEIM_SIZES[name]
    stages, kernel = _SMALL_HGNET_STAGES[name.removeprefix("deimv2-")]
    outs = [stage[2] for stage in stages]
    body: ConfigDict = {
        **_stage_config(stages, 3),
        "stem_channels": _HGNET_STAGES["b0"][0],
        "stage_downsample": [False, True, True],
        "stage_light_block": [False, False, True],
        "stage_kernel_size": [3, 3, kernel],
        "use_learnable_affine_block": True,
        "out_indices": [3],
    }
    whole = {
        "encoder_hidden_dim": width,
        "encoder_in_channels": outs[-1:],
        "d_model": width,
        "decoder_ffn_dim": inner,
        "decoder_in_channels": [width, width],
        "num_queries": queries,
    }
    return {**whole, **_DEIM_COMMON, **_DEIM_LIGHT}, body


def _stage_config(stages: list[tuple[int, int, int, int]], layers: int) -> ConfigDict:
    outs, blocks = [stage[2] for stage in stages], [stage[3] for stage in stages]
    return {
        "stage_in_channels": [stage[0] for stage in stages],
        "stage_mid_channels": [stage[1] for stage in stages],
        "stage_out_channels": outs,
        "stage_num_blocks": blocks,
        "stage_numb_of_layers": [layers] * len(stages),
        "hidden_sizes": outs,
        "depths": blocks,
    }


def _dfine_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    kind, scaled, depth, width, layers = _DFINE_SIZES[name]
    stem, stages, inner = _HGNET_STAGES[kind]
    own = _DFINE_OVERRIDES.get(name, {})
    levels = own.get("num_feature_levels", 3)
    outs = [stage[2] for stage in stages]
    body: ConfigDict = {
        **_stage_config(stages, inner),
        "stem_channels": stem,
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


def _rtdetr_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    kind, width, layers = _RTDETR_SIZES[name]
    depths, block, outs = _RESNET_STAGES[kind]
    body: ConfigDict = {"depths": depths, "layer_type": block, "hidden_sizes": outs, "out_indices": [2, 3, 4]}
    whole = {"encoder_in_channels": outs[1:], "hidden_expansion": width, "decoder_layers": layers}
    return {**whole, **_RTDETR_OVERRIDES.get(name, {})}, body
