"""Wraps ONNX Runtime's quantisation library: prepares graphs, measures ranges, writes quantised files."""

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
    """How values become int8: the calibration ``method`` of the activations and the ``bits`` of the weights, 8 or 7.

    Processors without VNNI add pairs of products in 16 bits, which 8-bit weights may overflow and 7-bit weights cannot.
    """

    method: str
    bits: int = 8


CANDIDATE_SETTINGS = (
    QuantisationSettings("minmax"),
    QuantisationSettings("percentile"),
    QuantisationSettings("entropy"),
    QuantisationSettings("minmax", 7),
)  # in the order in which they are evaluated


def preprocess_graph(network: Path, path: Path) -> None:
    """Write ``network`` to ``path`` prepared for quantisation: shapes inferred, constants and batch norms folded.

    Average pools are merged into convolutions where possible, and every node gets a name and constants of its own. The
    outputs stay the same up to rounding.
    """
    onnxruntime.set_default_logger_severity(_LOG_ERRORS_ONLY)
    ort.quant_pre_process(str(network), str(path), skip_symbolic_shape=True)
    model = onnx_graph.read_onnx(path)
    graph_rewrites.name_nodes(model.graph)
    graph_rewrites.unshare_constants(model.graph)
    graph_rewrites.fold_average_pools(model.graph)
    onnx_graph.write_onnx(model, path)


class _CalibrationReader(ort.CalibrationDataReader):  # type: ignore[misc]
    """Iterates once over ``count`` batches in the form that the library's calibration reads."""

    def __init__(self, name: str, batches: Iterable[NDArray[np.float32]], count: int) -> None:
        self._name, self._batches, self._count = name, iter(batches), count
        self._remaining = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        return self

    def set_range(self, start_index: int, end_index: int) -> None:
        """Allow the next ``end_index`` - ``start_index`` batches; the library requests ranges in order."""
        self._remaining = end_index - start_index

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next batch by the network's input name, or ``None`` at the end of the range."""
        if not self._remaining:
            return None
        self._remaining -= 1
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


@dataclass(frozen=True)
class OrtQuantiser:
    """Writes versions of ``network``, a file from ``preprocess_graph``, with some of its nodes in int8.

    Activations are uint8, weights int8 with one scale per output channel: the combination for which ONNX Runtime has
    fast x86 kernels. ``batches`` returns the inputs (N, C, H, W) from which the ranges are measured; they are cached in
    ``folder``, so that each method measures them once.
    """

    network: Path
    batches: BatchSource
    folder: Path

    def write(self, nodes: Collection[str], path: Path, settings: QuantisationSettings = CANDIDATE_SETTINGS[0]) -> None:
        """Write to ``path`` the network with the nodes named ``nodes`` in int8."""
        with contextlib.redirect_stdout(io.StringIO()):  # the library prints its progress there
            self._quantise_nodes(onnx_graph.read_onnx(self.network).graph, nodes, path, settings)

    def _quantise_nodes(self, graph: Any, nodes: Collection[str], path: Path, settings: QuantisationSettings) -> None:
        """Run the library's static quantisation in QDQ format, with the cached ranges where there are any."""
        ranges = self.folder / f"{settings.method}.json"
        is_cached = ranges.is_file()
        count = 0 if is_cached else sum(1 for _batch in self.batches())
        ort.quantize_static(
            str(self.network),
            str(path),
            _CalibrationReader(graph.input[0].name, () if is_cached else self.batches(), count),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=sorted({node.op_type for node in graph.node}),
            per_channel=True,
            reduce_range=settings.bits < 8,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            nodes_to_quantize=sorted(nodes),
            calibrate_method=_CALIBRATION_METHODS[settings.method],
            # One batch at a time: otherwise the library keeps the activations of all batches in memory.
            extra_options={"CalibStridedMinMax": 1, "CalibTensorRangeSymmetric": False},
            calibration_cache_path=str(ranges),
        )


def restore_metadata(quantised: Path, network: Path, out: Path) -> None:
    """Write ``quantised`` to ``out`` with the metadata of ``network`` instead of the library's own."""
    model, original = onnx_graph.read_onnx(quantised), onnx_graph.read_onnx(network)
    del model.metadata_props[:]
    model.metadata_props.extend(original.metadata_props)
    onnx_graph.write_onnx(model, out)
