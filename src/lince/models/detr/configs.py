"""Configurations of the DETR detectors by size, as their papers publish them; does not load torch.

D-FINE: Peng et al. 2024. RT-DETRv2: Lv et al. 2024. DEIMv2: Huang et al. 2025. Keys are those of the configuration
classes of ``transformers``.
"""

from __future__ import annotations

from typing import Any

ConfigDict = dict[str, Any]

# HGNetV2: channels of the stem; input, inner and output channels and blocks of each stage; layers per block.
_HGNET_STAGES: dict[str, tuple[list[int], list[tuple[int, int, int, int]], int]] = {
    "b0": ([3, 16, 16], [(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 2), (512, 128, 1024, 1)], 3),
    "b2": ([3, 24, 32], [(32, 32, 96, 1), (96, 64, 384, 1), (384, 128, 768, 3), (768, 256, 1536, 1)], 4),
    "b4": ([3, 32, 48], [(48, 48, 128, 1), (128, 96, 512, 1), (512, 192, 1024, 3), (1024, 384, 2048, 1)], 6),
    "b5": ([3, 32, 64], [(64, 64, 128, 1), (128, 128, 512, 2), (512, 256, 1024, 5), (1024, 512, 2048, 2)], 6),
}
# Three reduced variants of b0 with three stages, and the kernel size of the last.
_SMALL_HGNET_STAGES: dict[str, tuple[list[tuple[int, int, int, int]], int]] = {
    "atto": ([(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 256, 1)], 3),
    "femto": ([(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 1)], 5),
    "pico": ([(16, 16, 64, 1), (64, 32, 256, 1), (256, 64, 512, 2)], 5),
}
# ResNet-D: blocks per stage, their type, and the output channels of the stages.
_RESNET_STAGES: dict[str, tuple[list[int], str, list[int]]] = {
    "r18": ([2, 2, 2, 2], "basic", [64, 128, 256, 512]),
    "r34": ([3, 4, 6, 3], "basic", [64, 128, 256, 512]),
    "r50": ([3, 4, 6, 3], "bottleneck", [256, 512, 1024, 2048]),
    "r101": ([3, 4, 23, 3], "bottleneck", [256, 512, 1024, 2048]),
}
# D-FINE: backbone, learnable affine layers after each convolution, depth and width of the neck, decoder layers.
_DFINE_SIZES: dict[str, tuple[str, bool, float, float, int]] = {
    "dfine-n": ("b0", True, 0.5, 0.34, 3),
    "dfine-s": ("b0", True, 0.34, 0.5, 3),
    "dfine-m": ("b2", True, 0.67, 1.0, 4),
    "dfine-l": ("b4", False, 1.0, 1.0, 6),
    "dfine-x": ("b5", False, 1.0, 1.0, 6),
}
# The smallest has no map at stride 8; the largest has a wider neck and finer bins for box edges.
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
# RT-DETRv2: backbone, width of the neck, decoder layers.
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
# DEIMv2's smallest sizes: width of neck and decoder, channels of the decoder's feed-forward layers, queries.
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
# The smallest sizes have no losses on the distributions of box edges, and fewer sampling points.
_DEIM_LIGHT: ConfigDict = {
    "encoder_type": "lite",
    "encoder_layers": 0,
    "decoder_n_points": [4, 2],
    "share_bbox_head": True,
    "use_gateway": False,
    "weight_loss_fgl": 0.0,
    "weight_loss_ddf": 0.0,
}
_DEIM_N = "deimv2-n"  # backbone and neck of dfine-n, with feature maps added instead of concatenated


def get_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    """Return the configuration of the detector ``name`` and that of its backbone; ``KeyError`` for an unknown name."""
    if name in _DEIM_SIZES or name == _DEIM_N:
        return _deim_configs(name)
    return _dfine_configs(name) if name in _DFINE_SIZES else _rtdetr_configs(name)


def _deim_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    """Return the configurations of a DEIMv2 size and its backbone."""
    if name == _DEIM_N:
        detector, backbone = _dfine_configs("dfine-n")
        return {**detector, **_DEIM_COMMON}, backbone
    hidden_dim, ffn_dim, num_queries = _DEIM_SIZES[name]
    stages, kernel = _SMALL_HGNET_STAGES[name.removeprefix("deimv2-")]
    out_channels = [stage[2] for stage in stages]
    backbone = {
        **_stage_config(stages, 3),
        "stem_channels": _HGNET_STAGES["b0"][0],
        "stage_downsample": [False, True, True],
        "stage_light_block": [False, False, True],
        "stage_kernel_size": [3, 3, kernel],
        "use_learnable_affine_block": True,
        "out_indices": [3],
    }
    detector = {
        "encoder_hidden_dim": hidden_dim,
        "encoder_in_channels": out_channels[-1:],
        "d_model": hidden_dim,
        "decoder_ffn_dim": ffn_dim,
        "decoder_in_channels": [hidden_dim, hidden_dim],
        "num_queries": num_queries,
    }
    return {**detector, **_DEIM_COMMON, **_DEIM_LIGHT}, backbone


def _stage_config(stages: list[tuple[int, int, int, int]], layers_per_block: int) -> ConfigDict:
    """Return the part of an HGNetV2 configuration that follows from its stages."""
    out_channels, blocks = [stage[2] for stage in stages], [stage[3] for stage in stages]
    return {
        "stage_in_channels": [stage[0] for stage in stages],
        "stage_mid_channels": [stage[1] for stage in stages],
        "stage_out_channels": out_channels,
        "stage_num_blocks": blocks,
        "stage_numb_of_layers": [layers_per_block] * len(stages),
        "hidden_sizes": out_channels,
        "depths": blocks,
    }


def _dfine_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    """Return the configurations of a D-FINE size and its backbone."""
    backbone_name, has_affine, depth, width, layers = _DFINE_SIZES[name]
    stem, stages, layers_per_block = _HGNET_STAGES[backbone_name]
    overrides = _DFINE_OVERRIDES.get(name, {})
    levels = overrides.get("num_feature_levels", 3)
    out_channels = [stage[2] for stage in stages]
    backbone: ConfigDict = {
        **_stage_config(stages, layers_per_block),
        "stem_channels": stem,
        "use_learnable_affine_block": has_affine,
        "out_indices": [2, 3, 4][-levels:],
    }
    detector = {
        "encoder_in_channels": out_channels[-levels:],
        "depth_mult": depth,
        "hidden_expansion": width,
        "decoder_layers": layers,
        "decoder_n_points": [3, 6, 3],
    }
    return {**detector, **overrides}, backbone


def _rtdetr_configs(name: str) -> tuple[ConfigDict, ConfigDict]:
    """Return the configurations of an RT-DETRv2 size and its backbone."""
    backbone_name, width, layers = _RTDETR_SIZES[name]
    depths, block_type, out_channels = _RESNET_STAGES[backbone_name]
    backbone: ConfigDict = {
        "depths": depths,
        "layer_type": block_type,
        "hidden_sizes": out_channels,
        "out_indices": [2, 3, 4],
    }
    detector = {"encoder_in_channels": out_channels[1:], "hidden_expansion": width, "decoder_layers": layers}
    return {**detector, **_RTDETR_OVERRIDES.get(name, {})}, backbone
