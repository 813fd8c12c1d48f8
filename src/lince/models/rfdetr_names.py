"""How the authors of RF-DETR name its tensors in the files that they publish, told in the names of ``transformers``.

The facts are those of the table by which transformers reads such files, and writes them unless told otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lince.models.renaming import Joined, pieces, renamed, rules

_MARK = "transformer."  # begins the decoder's names in the authors' files alone
_NAMES = rules(
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
_JOINED = Joined(
    re.compile(r"(.*\.self_attn\.)in_proj_(weight|bias)"), (r"\1q_proj.\2", r"\1k_proj.\2", r"\1v_proj.\2")
)


def translated(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors of ``state`` under the names of transformers; as they are where they bear these already."""
    if not any(name.startswith(_MARK) for name in state):
        return state
    return {renamed(name, _NAMES): one for name, one in pieces(state, (_JOINED,))}
