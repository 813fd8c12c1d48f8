"""The one place that knows ONNX Runtime's quantisation library: graphs made ready, ranges measured, files written."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import quantization as ort

from lince.export import graph_rewrites, onnx_graph

BatchSource = Callable[[], Iterable[NDArray[np.float32]]]
_LOG_ERRORS_ONLY = 3
_CALIBRATION_METHODS = {
    "minmax": ort.CalibrationMethod.MinMax,
    "percentile": ort.CalibrationMethod.Percentile,
    "entropy": ort.CalibrationMethod.Entropy,
}


@dataclass(frozen=True)
class QuantisationSettings:
    """How numbers become eight bits: the ``method`` by which activations get their ranges, the weights' ``bits``.

    Processors without VNNI add pairs of products in 16 bits, which weights of eight bits may overflow; with seven they
    cannot.
    """

    method: str
    bits: int = 8


CANDIDATE_SETTINGS = (
    QuantisationSettings("minmax"),
    QuantisationSettings("percentile"),
    QuantisationSettings("entropy"),
    QuantisationSettings("minmax", 7),
)  # in the order in which they are tried


def preprocess_graph(network: Path, path: Path) -> None:
    """Write ``network`` to ``path`` as the library reads it best: shapes inferred, constants and norms folded in.

    Average pools become parts of convolutions where they can, every node has a name and constants of its own. The
    answers stay the same but for rounding.
    """
    onnxruntime.set_default_logger_severity(_LOG_ERRORS_ONLY)
    ort.quant_pre_process(str(network), str(path), skip_symbolic_shape=True)
    model = onnx_graph.read_onnx(path)
    graph_rewrites.name_nodes(model.graph)
    graph_rewrites.unshare_constants(model.graph)
    graph_rewrites.fold_average_pools(model.graph)
    onnx_graph.write_onnx(model, path)


class _CalibrationReader(ort.CalibrationDataReader):  # type: ignore[misc]
    """Batches as the library asks for them, once over."""

    def __init__(self, name: str, batches: Iterable[NDArray[np.float32]], count: int) -> None:
        self._name, self._batches, self._count = name, iter(batches), count
        self._left = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        return self

    def set_range(self, start_index: int, end_index: int) -> None:
        """Let the next batches through: the library asks for them in order."""
        self._left = end_index - start_index

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next batch under the network's input, or ``None`` at the end of the range."""
        if not self._left:
            return None
        self._left -= 1
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


@dataclass(frozen=True)
class OrtQuantiser:
    """Writes a ``network`` that ``prepare`` wrote with some of its nodes in eight bits.

    Activations are uint8, weights int8 with a scale for each output channel: the pair that ONNX Runtime's kernels for
    x86 take. ``batches`` are the inputs (N, C, H, W) whose activations give the ranges; ``folder`` keeps the ranges, so
    that each method measures them once.
    """

    network: Path
    batches: BatchSource
    folder: Path

    def write(self, nodes: Collection[str], path: Path, settings: QuantisationSettings = CANDIDATE_SETTINGS[0]) -> None:
        """Write to ``path`` the network in which the ``nodes`` of these names work in eight bits."""
        with contextlib.redirect_stdout(io.StringIO()):  # the library tells of its work there
            self._quantise_nodes(onnx_graph.read_onnx(self.network).graph, nodes, path, settings)

    def _quantise_nodes(self, whole: Any, nodes: Collection[str], path: Path, way: QuantisationSettings) -> None:
        ranges = self.folder / f"{way.method}.json"
        known = ranges.is_file()
        count = 0 if known else sum(1 for _batch in self.batches())
        ort.quantize_static(
            str(self.network),
            str(path),
            _CalibrationReader(whole.input[0].name, () if known else self.batches(), count),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=sorted({node.op_type for node in whole.node}),
            per_channel=True,
            reduce_range=way.bits < 8,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            nodes_to_quantize=sorted(nodes),
            calibrate_method=_CALIBRATION_METHODS[way.method],
            # One batch at a time: the library otherwise holds the activations of all.
            extra_options={"CalibStridedMinMax": 1, "CalibTensorRangeSymmetric": False},
            calibration_cache_path=str(ranges),
        )


def restore_metadata(small: Path, network: Path, out: Path) -> None:
    """Write the network in the file ``small`` to ``out``, with the metadata of ``network`` in place of the notes."""
    model, own = onnx_graph.read_onnx(small), onnx_graph.read_onnx(network)
    del model.metadata_props[:]
    model.metadata_props.extend(own.metadata_props)
    onnx_graph.write_onnx(model, out)
