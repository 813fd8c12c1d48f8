"""Half the size: the weights of a network kept in sixteen bits, and widened when it is loaded.

The arithmetic stays float32, so that every runtime and processor can do it, at full speed: few processors compute in
sixteen bits, and ONNX Runtime would widen and narrow around every node.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from lince.errors import ModelError
from lince.export import onnx_graph
from lince.i18n import _

_MIN_VALUES = 64  # values: smaller constants stay as they are
_MAX_FLOAT16 = float(np.finfo(np.float16).max)


def convert_to_float16_weights(network: Path, out: Path) -> None:
    """Write to ``out`` the ONNX ``network`` with its weights in float16; inputs and outputs stay float32.

    Raises ``ModelError`` when a weight is too large for float16.
    """
    model = onnx_graph.read_onnx(network)
    casts = []
    for item in model.graph.initializer:
        if item.data_type != TensorProto.FLOAT or np.prod(item.dims) < _MIN_VALUES:
            continue
        values = numpy_helper.to_array(item)
        if not np.abs(values).max() <= _MAX_FLOAT16:
            raise ModelError(
                _("A weight of {path} is {value:.3g}.").format(path=network, value=float(np.abs(values).max())),
                _("Expected at most {most:.0f}, which sixteen bits hold.").format(most=_MAX_FLOAT16),
                _("Export it without --fp16."),
            )
        name, half = item.name, f"{item.name}.half"
        item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], f"{name}.widened", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    onnx_graph.write_onnx(model, out)
