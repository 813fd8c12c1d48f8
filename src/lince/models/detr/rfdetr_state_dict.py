"""Renames the tensors of the RF-DETR authors' files to the names of ``transformers``.

The rules are those of the conversion table in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lince.models.state_dict import FusedTensor, compile_rules, rename_key, split_fused_tensors

_ORIGINAL_PREFIX = "transformer."  # of the decoder's tensors, in the authors' files only
_KEY_RULES = compile_rules(
    (r"^backbone\.0\.encoder\.encoder\.", "backbone.backbone."),
    (r"^backbone\.0\.projector\.stages\.0\.0\.m\.", "backbone.projector.projector_layer.bottlenecks."),
    (r"^backbone\.0\.projector\.stages\.0\.0\.", "backbone.projector.projector_layer."),
    (r"^backbone\.0\.projector\.stages\.0\.1\.", "backbone.projector.layer_norm."),
    (r"^(backbone\.projector\..*)\.cv([12])\.conv\.", r"\1.conv\2.conv."),
    (r"^(backbone\.projector\..*)\.cv([12])\.bn\.", r"\1.conv\2.norm."),
    (r"\.attention\.attention\.([qkv])\w+\.", r".attention.\1_proj."),  # query, key, value
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"^transformer\.", ""),
    (r"^decoder\.norm\.", "decoder.layernorm."),
    (r"^(decoder\.layers\.\d+)\.norm1\.", r"\1.self_attn_layer_norm."),
    (r"^(decoder\.layers\.\d+)\.norm2\.", r"\1.cross_attn_layer_norm."),
    (r"^(decoder\.layers\.\d+)\.norm3\.", r"\1.layer_norm."),
    (r"^(decoder\.layers\.\d+)\.linear([12])\.", r"\1.mlp.fc\2."),
    (r"\.self_attn\.out_proj\.", ".self_attn.o_proj."),
    (r"^refpoint_embed\.", "reference_point_embed."),
)
_FUSED_TENSOR = FusedTensor(
    re.compile(r"(.*\.self_attn\.)in_proj_(weight|bias)"), (r"\1q_proj.\2", r"\1k_proj.\2", r"\1v_proj.\2")
)


def to_transformers_keys(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors of ``state`` with the names of transformers; ``state`` itself if it has these already."""
    if not any(name.startswith(_ORIGINAL_PREFIX) for name in state):
        return state
    return {rename_key(name, _KEY_RULES): value for name, value in split_fused_tensors(state, (_FUSED_TENSOR,))}
