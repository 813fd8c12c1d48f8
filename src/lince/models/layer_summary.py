"""What a network is made of and what it costs, block by block, as Keras prints it and with multiplications beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from lince.i18n import _
from lince.models.blocks import Block
from lince.models.classification.classifier import Classifier
from lince.preprocess import PreprocessSpec


@dataclass(frozen=True)
class SummaryRow:
    """One block: its ``number`` as ``--from-layer`` counts, its output's ``shape`` for one image, what it costs.

    ``macs`` are multiplications with addition for one image.
    """

    number: int
    name: str
    kind: str
    shape: tuple[int, ...]
    params: int
    trainable: int
    macs: int


@dataclass(frozen=True)
class ModelSummary:
    """The rows from input to head, and the totals; ``macs`` counts the whole network for one image."""

    rows: tuple[SummaryRow, ...]
    params: int
    trainable: int
    macs: int

    @property
    def frozen_params(self) -> int:
        """The number of parameters that training leaves alone."""
        return self.params - self.trainable

    def format_lines(self) -> list[str]:
        """Return the table as lines of text, columns aligned."""
        header = ("#", _("layer"), _("kind"), _("output"), _("parameters"), _("MACs"))
        table = [header, *(_row_cells(row) for row in self.rows)]
        widths = [max(len(cells[column]) for cells in table) for column in range(len(header))]
        body = ["  ".join(_align_cells(cells, widths)).rstrip() for cells in table]
        rule = "-" * max(map(len, body))
        return [body[0], rule, *body[1:], rule, *self._total_lines()]

    def _total_lines(self) -> list[str]:
        return [
            _("Parameters: {params:,} ({trainable:,} trained, {frozen:,} frozen).").format(
                params=self.params, trainable=self.trainable, frozen=self.frozen_params
            ),
            _("Multiplications for one image: {macs:,}.").format(macs=self.macs),
        ]


def summarise_network(network: Classifier, spec: PreprocessSpec) -> ModelSummary:
    """Return the rows and totals of ``network`` for one image of ``spec``.

    One empty image is sent through the network, which stays as it is.
    """
    counter = FlopCounterMode(display=False)
    blocks = [(block, _BlockProbe(counter)) for block in network.list_blocks()]
    hooks = [
        hook for (_name, module), seen in blocks for part in _member_layers(module) for hook in seen.attach_hooks(part)
    ]
    training, device = network.training, next(network.parameters()).device
    try:
        with torch.no_grad(), counter:
            network.eval()(torch.zeros(1, *spec.shape, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    rows = tuple(_make_row(number, block, seen) for number, (block, seen) in enumerate(blocks, 1))
    return ModelSummary(rows, *_count_params(network), counter.get_total_flops() // 2)


class _BlockProbe:
    """What passed through one block during the dry run."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.shape: tuple[int, ...] = ()
        self.flops = 0
        self._before = 0
        self._counter = counter

    def attach_hooks(self, part: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
        return part.register_forward_pre_hook(self._enter), part.register_forward_hook(self._leave)

    def _enter(self, _module: nn.Module, _args: Any) -> None:
        self._before = self._counter.get_total_flops()

    def _leave(self, _module: nn.Module, _args: Any, output: Any) -> None:
        self.flops += self._counter.get_total_flops() - self._before
        if isinstance(output, Tensor):
            self.shape = tuple(output.shape[1:])


def _member_layers(block: nn.Module) -> list[nn.Module]:
    # A group of layers was made for counting only; the network calls its members.
    return list(block.children()) if type(block) is nn.Sequential else [block]


def _make_row(number: int, block: Block, seen: _BlockProbe) -> SummaryRow:
    name, module = block
    first = _member_layers(module)[0]
    kind = "Conv2d" if isinstance(first, nn.Conv2d) else type(first).__name__
    return SummaryRow(number, name, kind, seen.shape, *_count_params(module), seen.flops // 2)


def _count_params(module: nn.Module) -> tuple[int, int]:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    return sum(size for size, _learns in sizes), sum(size for size, learns in sizes if learns)


def _row_cells(row: SummaryRow) -> tuple[str, ...]:
    shape = " x ".join(map(str, row.shape))
    return str(row.number), row.name, row.kind, shape, f"{row.params:,}", f"{row.macs:,}"


def _align_cells(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        cell.ljust(width) if column in (1, 2, 3) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
