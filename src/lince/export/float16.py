"""Stores the weights of an ONNX network as float16, cast to float32 when the file is loaded.

The computation stays in float32, which every runtime and processor supports at full speed. Few processors compute in
float16, and on the others ONNX Runtime would insert casts around every node.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from lince.errors import ModelError
from lince.export import onnx_graph
from lince.i18n import _

_MIN_VALUES = 64  # constants of fewer values stay as they are
_MAX_FLOAT16 = float(np.finfo(np.float16).max)


def convert_to_float16_weights(network: Path, out: Path) -> None:
    """Write to ``out`` the ONNX ``network`` with its weights in float16; inputs and outputs stay float32.

    Constants of fewer than ``_MIN_VALUES`` values keep their type. Raises ``ModelError`` when a weight exceeds the
    range of float16 or is not a number.
    """
    model = onnx_graph.read_onnx(network)
    cast_nodes = []
    for initializer in model.graph.initializer:
        if initializer.data_type != TensorProto.FLOAT or np.prod(initializer.dims) < _MIN_VALUES:
            continue
        values = numpy_helper.to_array(initializer)
        if not np.abs(values).max() <= _MAX_FLOAT16:
            raise ModelError(
                _("A weight of {path} is {value:.3g}.").format(path=network, value=float(np.abs(values).max())),
                _("Expected at most {most:.0f}, the FP16 limit.").format(most=_MAX_FLOAT16),
                _("Export it without --fp16."),
            )
        name, half_name = initializer.name, f"{initializer.name}.half"
        initializer.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half_name))
        cast_nodes.append(helper.make_node("Cast", [half_name], [name], f"{name}.widened", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*cast_nodes, *nodes])
    onnx_graph.write_onnx(model, out)
