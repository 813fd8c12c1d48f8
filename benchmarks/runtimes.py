"""One image on one core, in turns in one process: ONNX Runtime in float and in int8, and OpenVINO in float.

The weights are random; they cost the same time. In int8 are all layers that gain by it, as ``export --int8`` tries them
first, whether or not it would refuse the result. Both the least wall time and the least processor time are printed:
other programs add to every wall time, and to few processor times.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lince.export import onnx_graph, ort_quantizer
from lince.export.int8_layers import LayerSelection
from lince.export.ort_quantizer import CANDIDATE_SETTINGS, OrtQuantiser
from lince.export.torch_to_onnx import export_classifier, export_detector
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.models import weights_source
from lince.models.classification import registry as classification_registry
from lince.models.classification.classifier import build_classifier
from lince.models.detection import builders
from lince.models.detection import registry as detection_registry
from lince.preprocess import PreprocessSpec

CLASSIFIERS, DETECTORS = {"mobilenetv2_100": 224, "small": 224}, {"yolox-nano": 416}
TURNS, WARM = 200, 3


def run() -> None:
    """Print a table: for each network the milliseconds of each way, and how many times as fast as float it is."""
    for name, size in {**CLASSIFIERS, **DETECTORS}.items():
        with tempfile.TemporaryDirectory() as folder:
            network, spec = _write_network(name, size, Path(folder))
            wall, processor = _measure(_list_ways(network, spec, Path(folder)))
        print(f"{name}, {size} x {size}, one image, one core, least of {TURNS} turns")
        for way, seconds in wall.items():
            print(f"  {way:<24}{1000 * seconds:8.2f} ms {wall['float'] / seconds:6.2f} x    of processor time "
                  f"{1000 * processor[way]:8.2f} ms {processor['float'] / processor[way]:6.2f} x")  # fmt: skip


def _write_network(name: str, size: int, folder: Path) -> tuple[Path, PreprocessSpec]:
    """Write the network with random weights as an ONNX file."""
    path = folder / "float.onnx"
    if name in DETECTORS:
        detector = detection_registry.get_detector_entry(name)
        spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(detector, "none"), size)
        export_detector(builders.build_detector(detector, 80, spec).eval(), spec, path)
    else:
        entry = classification_registry.get_model_entry(name)
        spec = weights_source.make_preprocess_spec(weights_source.resolve_weights(entry, "none"), size)
        export_classifier(build_classifier(entry, 5, spec).eval(), spec, path)
    return path, spec


def _list_ways(network: Path, spec: PreprocessSpec, folder: Path) -> dict[str, Callable[[], object]]:
    """Return a call for one image of each runtime."""
    batch = np.random.default_rng(0).normal(0, 1, (8, *spec.shape)).astype(np.float32)
    prepared, int8 = folder / "prepared.onnx", folder / "int8.onnx"
    ort_quantizer.preprocess_graph(network, prepared)
    layers = LayerSelection.from_graph(onnx_graph.read_onnx(prepared).graph)
    quantiser = OrtQuantiser(prepared, lambda: iter([batch]), folder)
    quantiser.write(layers.add_light_nodes(layers.layer_names), int8, CANDIDATE_SETTINGS[0])
    backends = {"float": OnnxRuntimeBackend(network, 1), "int8": OnnxRuntimeBackend(int8, 1)}
    ways: dict[str, Callable[[], object]] = {
        name: lambda backend=backend: backend.run(batch[:1], list(backend.outputs))
        for name, backend in backends.items()
    }
    return {**ways, **_openvino(network, batch[:1])}


def _openvino(network: Path, batch: np.ndarray) -> dict[str, Callable[[], object]]:
    try:
        import openvino
    except ImportError:
        print("openvino is not installed: left out (pip install --no-deps openvino)")
        return {}
    core = openvino.Core()
    model = core.read_model(network)
    model.reshape({model.inputs[0].any_name: list(batch.shape)})
    config = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", config).create_infer_request()
    return {"OpenVINO, float": lambda: request.infer([batch])}


def _measure(ways: dict[str, Callable[[], object]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the least wall and processor seconds of a call of each way, measured in turns."""
    wall, processor = (dict.fromkeys(ways, float("inf")) for _clock in range(2))
    for turn in range(TURNS + WARM):
        for name, way in ways.items():
            start, worked = time.perf_counter(), time.process_time()
            way()
            spent, work = time.perf_counter() - start, time.process_time() - worked
            if turn >= WARM:
                wall[name], processor[name] = min(wall[name], spent), min(processor[name], work)
    return wall, processor
