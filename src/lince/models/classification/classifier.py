"""A network that names classes: a body that embeds images, and a head on the embedding."""

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
    """What a classifier needs of the network below its head."""

    width: int

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, width) and the last feature map (N, K, h, w)."""

    def list_blocks(self) -> list[Block]:
        """Return the blocks from input to the last map."""


class Classifier(FreezableNetwork):
    """Logits (N, C) for images (N, depth, H, W), from ``body`` and ``head``."""

    body: nn.Module

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    @property
    def width(self) -> int:
        """The number of values D in the embedding."""
        return self._typed_body.width

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, D) and the last feature map (N, K, h, w) of images ``x`` (N, C, H, W)."""
        return self._typed_body.embed(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) for images ``x`` (N, depth, H, W)."""
        return self.head(self._typed_body.embed(x)[0])  # type: ignore[no-any-return]

    def list_blocks(self) -> list[Block]:
        """Return (name, module) of every block from input to head; the head is the last."""
        return [*self._typed_body.list_blocks(), ("head", self.head)]

    @property
    def _typed_body(self) -> ClassifierBackbone:
        return self.body  # type: ignore[return-value]


def build_linear_head(width: int, classes: int) -> nn.Module:
    """Return one dense layer from the embedding to the logits; it starts near zero, all classes alike."""
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def build_mlp_head(width: int, classes: int, hidden: int = 256, dropout: float = 0.3) -> nn.Module:
    """Return a dense layer of ``hidden`` units, dropout, and a dense layer to the logits."""
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))


def build_classifier(model: ModelEntry | str, classes: int, spec: PreprocessSpec, seed: int = 0) -> Classifier:
    """Return the network of ``model`` for ``classes`` and inputs of ``spec``, at random weights drawn from ``seed``.

    The head is linear; put another one of ``head`` shape (D to C) in its place if wanted. The caller's random
    state is left as it was. Raises ``UsageError`` for an unknown model or a declaration that cannot be.
    """
    entry = classification_registry.get_model_entry(model) if isinstance(model, str) else model
    with torch.random.fork_rng(devices=list_cuda_devices()):
        torch.manual_seed(seed)
        body = (
            CustomCnn(entry.declaration, spec)
            if entry.architecture == classification_registry.CNN
            else timm_backbone.create_backbone(entry, spec)
        )
        return Classifier(body, build_linear_head(body.width, classes))


def list_cuda_devices() -> Sequence[int]:
    """Return the numbers of the GPUs, whose random states are to be left as they are too."""
    return range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
