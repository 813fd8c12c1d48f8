"""Exports torch networks to ONNX by tracing, with explicit padding and batch norms folded into convolutions."""

from __future__ import annotations

import io
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import onnx
import torch
from torch import Tensor, nn

from lince.export import onnx_graph
from lince.models.classification.classifier import Classifier
from lince.models.classification.timm_backbone import fix_padding
from lince.models.detection.detector import Detector
from lince.models.pretrained_network import PretrainedNetwork
from lince.models.segmentation.segmenter import Segmenter
from lince.models.yolox.csp_darknet import replace_focus_layers
from lince.postprocess import get_decoder
from lince.preprocess import PreprocessSpec

Network = TypeVar("Network", bound=nn.Module)


class _ClassifierOutputs(nn.Module):
    """A classifier that returns (logits, embedding, map), or without its head (embedding, map)."""

    def __init__(self, network: Classifier, with_head: bool) -> None:
        super().__init__()
        self.network = network
        self.with_head = with_head

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        embedding, feature_map = self.network.embed(images)
        return (self.network.head(embedding), embedding, feature_map) if self.with_head else (embedding, feature_map)


def export_classifier(network: Classifier, spec: PreprocessSpec, path: Path) -> None:
    """Write ``network`` to ``path``: ``images`` (N, C, H, W) to ``logits`` (N, K), ``embedding`` (N, D) and ``map``.

    The number of images N is free; their size is that of ``spec``. ``network`` itself is not changed.
    """
    _export_module(
        _ClassifierOutputs(_prepare_for_tracing(network), True),
        spec,
        [onnx_graph.LOGITS, onnx_graph.EMBEDDING, onnx_graph.MAP],
        path,
    )


def export_backbone(network: Classifier, spec: PreprocessSpec, path: Path) -> None:
    """Write ``network`` without its head to ``path``: ``images`` (N, C, H, W) to ``embedding`` (N, D) and ``map``."""
    _export_module(
        _ClassifierOutputs(_prepare_for_tracing(network), False), spec, [onnx_graph.EMBEDDING, onnx_graph.MAP], path
    )


def export_detector(network: Detector, spec: PreprocessSpec, path: Path) -> None:
    """Write ``network`` to ``path``: ``images`` (N, C, H, W) to the outputs that its decoder reads."""
    _export_module(_prepare_for_tracing(network), spec, list(get_decoder(network.decoder_name).outputs), path)


def export_segmenter(network: Segmenter, spec: PreprocessSpec, path: Path) -> None:
    """Write ``network`` to ``path``: ``images`` (N, C, H, W) to ``logits`` (N, 1 + classes, H / 4, W / 4)."""
    _export_module(_prepare_for_tracing(network), spec, [onnx_graph.LOGITS], path)


class _FeatureMaps(nn.Module):
    """A network that returns the feature maps which its head reads."""

    def __init__(self, network: PretrainedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.network.extract_features(images)


def export_feature_maps(network: PretrainedNetwork, spec: PreprocessSpec, path: Path) -> None:
    """Write ``network`` without its head to ``path``: ``images`` (N, C, H, W) to ``map0``, ``map1``, ..."""
    module = _FeatureMaps(_prepare_for_tracing(network))
    with torch.no_grad():
        count = len(module(torch.zeros(1, *spec.shape)))
    _export_module(module, spec, [onnx_graph.name_feature_map(level) for level in range(count)], path)


def _prepare_for_tracing(network: Network) -> Network:
    """Return a copy of ``network`` on the CPU, in float32 and evaluation mode."""
    return deepcopy(network).cpu().float().eval()


def _export_module(module: nn.Module, spec: PreprocessSpec, outputs: list[str], path: Path) -> None:
    """Trace ``module`` at the size of ``spec`` and write it to ``path`` with ``outputs`` as output names.

    ``module`` is changed: padding becomes explicit, and YOLOX's focus layers become plain convolutions.
    """
    images = torch.zeros(1, *spec.shape)
    fix_padding(module, images)
    replace_focus_layers(module)
    model = _trace(module, images, outputs)
    onnx_graph.write_onnx(model, path)


def _trace(module: nn.Module, images: Tensor, outputs: list[str]) -> Any:
    """Return the ONNX model of ``module``, with a free batch size."""
    # The tracing exporter takes a tenth of the time of the dynamo exporter and gives the same graph here.
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # about slices with steps; harmless
        torch.onnx.export(
            module,
            (images,),
            stream,  # type: ignore[arg-type]  # the tracing exporter takes any stream
            dynamo=False,
            opset_version=onnx_graph.OPSET,
            input_names=[onnx_graph.IMAGES],
            output_names=outputs,
            dynamic_axes={name: {0: "N"} for name in (onnx_graph.IMAGES, *outputs)},
        )
    return onnx.load_model_from_string(stream.getvalue())
