"""An image classifier: a backbone that computes an embedding, and a head on the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from lince.models.blocks import Block, FreezableNetwork
from lince.models.classification import registry as classification_registry
from lince.models.classification import timm_backbone
from lince.models.classification.cnn import CustomCnn
from lince.models.classification.registry import ModelEntry
from lince.preprocess import PreprocessSpec


class ClassifierBackbone(Protocol):
    """What a classifier needs of its backbone; ``width`` is the number of values of the embedding."""

    width: int

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, width) and the last feature map (N, K, h, w) of images ``x`` (N, C, H, W)."""

    def list_blocks(self) -> list[Block]:
        """Return the (name, module) of every block from the input to the last feature map."""


class Classifier(FreezableNetwork):
    """A network that returns logits (N, C) for images (N, channels, H, W), from ``body`` (backbone) and ``head``."""

    body: nn.Module

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    @property
    def width(self) -> int:
        """The number of values D of the embedding."""
        return self._typed_body.width

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, D) and the last feature map (N, K, h, w) of images ``x`` (N, channels, H, W)."""
        return self._typed_body.embed(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, C) of images ``x`` (N, channels, H, W)."""
        return self.head(self._typed_body.embed(x)[0])  # type: ignore[no-any-return]

    def list_blocks(self) -> list[Block]:
        """Return the (name, module) of every block from input to head; the head is the last."""
        return [*self._typed_body.list_blocks(), ("head", self.head)]

    @property
    def _typed_body(self) -> ClassifierBackbone:
        """The backbone; torch declares submodules as ``nn.Module`` only."""
        return self.body  # type: ignore[return-value]


def build_linear_head(width: int, num_classes: int) -> nn.Module:
    """Return a dense layer (width, num_classes) with weights near zero, so that all classes start equally probable."""
    head = nn.Linear(width, num_classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def build_mlp_head(width: int, num_classes: int, hidden: int = 256, dropout: float = 0.3) -> nn.Module:
    """Return a dense layer of ``hidden`` units with ReLU, dropout, and a dense layer to the logits."""
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes))


def build_classifier(model: ModelEntry | str, num_classes: int, spec: PreprocessSpec, seed: int = 0) -> Classifier:
    """Return the network of ``model`` for ``num_classes`` classes and inputs of ``spec``, with random weights.

    The weights are drawn from ``seed``; torch's global random state is restored. The head is linear; assign another
    module from (N, D) to (N, C) to ``head`` to replace it. Raises ``UsageError`` for an unknown model or an invalid
    declaration.
    """
    entry = classification_registry.get_model_entry(model) if isinstance(model, str) else model
    with torch.random.fork_rng(devices=list_cuda_devices()):
        torch.manual_seed(seed)
        body = (
            CustomCnn(entry.declaration, spec)
            if entry.architecture == classification_registry.CNN
            else timm_backbone.create_backbone(entry, spec)
        )
        return Classifier(body, build_linear_head(body.width, num_classes))


def list_cuda_devices() -> Sequence[int]:
    """Return the indices of the GPUs, whose random states ``torch.random.fork_rng`` is to restore too."""
    return range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
