"""A network that names classes: a body that embeds images, and a head on the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from lince.models import backbone, registry
from lince.models.blocks import Block, first_trained
from lince.models.cnn import Cnn
from lince.models.registry import ModelEntry
from lince.preprocess import Preprocess


class Body(Protocol):
    """What a classifier needs of the network below its head."""

    width: int

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, width) and the last feature map (N, K, h, w)."""

    def blocks(self) -> list[Block]:
        """Return the blocks from input to the last map."""


class Classifier(nn.Module):
    """Logits (N, C) for images (N, depth, H, W), from ``body`` and ``head``."""

    body: nn.Module

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self._frozen: list[nn.Module] = []

    @property
    def width(self) -> int:
        """The number of values D in the embedding."""
        return self._typed.width

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, D) and the last feature map (N, K, h, w) of images ``x`` (N, C, H, W)."""
        return self._typed.embed(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, C) for images ``x`` (N, depth, H, W)."""
        return self.head(self._typed.embed(x)[0])  # type: ignore[no-any-return]

    def blocks(self) -> list[Block]:
        """Return (name, module) of every block from input to head; the head is the last."""
        return [*self._typed.blocks(), ("head", self.head)]

    def freeze_before(self, from_layer: str) -> int:
        """Freeze every block before ``from_layer`` (a number as Keras counts, or a name); return how many.

        Frozen blocks take no gradients and stay in evaluation mode: their batch-norm statistics do not move.
        """
        blocks = self.blocks()
        first = first_trained(blocks, from_layer)
        self.unfreeze()
        self._frozen = [module for _name, module in blocks[:first]]
        for module in self._frozen:
            module.requires_grad_(False)
        if first > 0:
            self._freeze_loose()
        self.train(self.training)
        return first

    def freeze_norms(self) -> None:
        """Keep the statistics of every batch norm as they are from now on; their scales and shifts still learn."""
        self._frozen += [one for one in self.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
        self.train(self.training)

    def unfreeze(self) -> None:
        """Let everything learn again."""
        self._frozen = []
        self.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Classifier:
        """Set training mode, except for what is frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def _freeze_loose(self) -> None:
        # Position embeddings and class tokens belong to no block; they stand at the input.
        inside = {id(parameter) for _name, module in self.blocks() for parameter in module.parameters()}
        for parameter in self.parameters():
            if id(parameter) not in inside:
                parameter.requires_grad_(False)

    @property
    def _typed(self) -> Body:
        return self.body  # type: ignore[return-value]


def linear_head(width: int, classes: int) -> nn.Module:
    """Return one dense layer from the embedding to the logits; it starts near zero, all classes alike."""
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def mlp_head(width: int, classes: int, hidden: int = 256, dropout: float = 0.3) -> nn.Module:
    """Return a dense layer of ``hidden`` units, dropout, and a dense layer to the logits."""
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))


def build(model: ModelEntry | str, classes: int, spec: Preprocess, seed: int = 0) -> Classifier:
    """Return the network of ``model`` for ``classes`` and inputs of ``spec``, at random weights drawn from ``seed``.

    The head is linear; put another one of ``head`` shape (D to C) in its place if wanted. The caller's random
    state is left as it was. Raises ``UsageError`` for an unknown model or a declaration that cannot be.
    """
    entry = registry.find(model) if isinstance(model, str) else model
    with torch.random.fork_rng(devices=_devices()):
        torch.manual_seed(seed)
        body = Cnn(entry.declaration, spec) if entry.architecture == registry.CNN else backbone.create(entry, spec)
        return Classifier(body, linear_head(body.width, classes))


def _devices() -> Sequence[int]:
    return range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
