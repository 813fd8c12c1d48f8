"""Renames the tensors of the DEIMv2 authors' files to the names of ``transformers``.

The rules are those of the conversion script in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from lince.models.state_dict import FusedTensor, compile_rules, rename_key, split_fused_tensors

_KEY_RULES = compile_rules(
    (r"^backbone\.stem\.", "conv_encoder.model.embedder."),
    (r"^backbone\.", "conv_encoder.model.encoder."),
    (r"^encoder\.encoder\.(\d+)\.", r"encoder.aifi.\1."),
    (r"^encoder\.bi_fusion\.cv\.", "encoder.bi_fusion_conv."),
    (r"^encoder\.down_sample(\d)\.1\.", r"encoder.down_conv\1.conv."),
    (r"^encoder\.down_sample(\d)\.2\.", r"encoder.down_conv\1.norm."),
    (r"^encoder\.downsample_convs\.(\d+)\.0\.cv", r"encoder.downsample_convs.\1.conv"),
    (r"^decoder\.input_proj\.(\d+)\.0\.", r"decoder_input_proj.\1.conv."),
    (r"^decoder\.input_proj\.(\d+)\.1\.", r"decoder_input_proj.\1.norm."),
    (r"^decoder\.enc_output\.proj\.", "enc_output.0."),
    (r"^decoder\.enc_output\.norm\.", "enc_output.1."),
    (r"^decoder\.(?=enc_|denoising_)", ""),
    (r"^decoder\.dec_score_head\.", "decoder.class_embed."),
    (r"^decoder\.dec_bbox_head\.", "decoder.bbox_embed."),
    (r"^decoder\.decoder\.", "decoder."),
    (r"^(conv_encoder\.model\..*)\.conv\.weight$", r"\1.convolution.weight"),
    (r"\.bn\.", ".normalization."),
    # Blocks of the neck, with two branches each.
    (r"\.cv1\.", ".conv1."),
    (r"\.cv4\.", ".conv2."),
    (r"\.cv2\.0\.", ".csp_rep1."),
    (r"\.cv3\.0\.", ".csp_rep2."),
    (r"\.cv2\.1\.", ".csp_rep1.conv2."),
    (r"\.cv3\.1\.", ".csp_rep2.conv2."),
    # Attention layers.
    (r"\.self_attn\.out_proj\.", ".self_attn.o_proj."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.linear1\.", ".mlp.layers.0."),
    (r"\.linear2\.", ".mlp.layers.1."),
    (r"\.swish_ffn\.w3\.", ".mlp.down_proj."),
    (r"\.gateway\.norm\.scale$", ".gateway.norm.weight"),
    (r"\.norm1\.(scale|weight|bias)$", r".self_attn_layer_norm.\1"),
    (r"aifi\.(\d+)\.layers\.(\d+)\.norm2\.", r"aifi.\1.layers.\2.final_layer_norm."),
    (r"\.norm2\.scale$", ".encoder_attn_layer_norm.scale"),
    (r"\.norm3\.scale$", ".final_layer_norm.scale"),
    (r"_norm\.scale$", "_norm.weight"),
)
# With the hybrid neck, the projections to the neck's width belong to the backbone.
_PROJECTION_RULES = compile_rules((r"^encoder\.input_proj\.", "conv_encoder.encoder_input_proj."))
_FUSED_TENSORS = (
    FusedTensor(
        re.compile(r"(.*\.self_attn\.)in_proj_(weight|bias)"), (r"\1q_proj.\2", r"\1k_proj.\2", r"\1v_proj.\2")
    ),
    FusedTensor(re.compile(r"(.*\.)swish_ffn\.w12\.(weight|bias)"), (r"\1mlp.gate_proj.\2", r"\1mlp.up_proj.\2")),
)
_COMPUTED_KEYS = ("decoder.anchors", "decoder.valid_mask")  # computed from the input size


def to_transformers_keys(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors of ``state`` with the names of transformers; ``state`` itself if it has these already.

    Some files have no query-selection layers, where the selection normalises its input only; transformers expects them,
    so they are added as identity.
    """
    if not any(name.startswith("decoder.decoder.") for name in state):
        return state
    is_lite = any(name.startswith("encoder.bi_fusion.") for name in state)
    rules = _KEY_RULES if is_lite else (*_PROJECTION_RULES, *_KEY_RULES)
    renamed = {
        rename_key(name, rules): value
        for name, value in split_fused_tensors(state, _FUSED_TENSORS)
        if name not in _COMPUTED_KEYS
    }
    score_weight = renamed.get("enc_score_head.weight")
    if score_weight is not None and score_weight.ndim == 2 and "enc_output.0.weight" not in renamed:
        width = score_weight.shape[1]
        renamed["enc_output.0.weight"], renamed["enc_output.0.bias"] = torch.eye(width), torch.zeros(width)
        renamed["enc_output.1.weight"], renamed["enc_output.1.bias"] = torch.ones(width), torch.zeros(width)
    return renamed
