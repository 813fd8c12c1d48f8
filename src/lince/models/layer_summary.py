"""Summarises a network layer by layer: output shape, parameters and multiply-accumulates, as Keras prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from lince.i18n import _
from lince.models.blocks import Block, FreezableNetwork
from lince.number_format import format_count
from lince.preprocess import PreprocessSpec


@dataclass(frozen=True)
class SummaryRow:
    """One block of a network.

    ``number`` is its index for ``--from-layer``; ``kind`` the class of its first layer; ``shape`` its output for one
    image, without the batch axis; ``params`` and ``trainable`` count parameters; ``macs`` are multiply-accumulate
    operations for one image.
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
    """The rows from input to head and the totals; ``macs`` counts the whole network for one image."""

    rows: tuple[SummaryRow, ...]
    params: int
    trainable: int
    macs: int

    @property
    def frozen_params(self) -> int:
        """The number of parameters that are not trained."""
        return self.params - self.trainable

    def format_lines(self) -> list[str]:
        """Return the summary as the lines of a text table with aligned columns, followed by the totals."""
        header = ("#", _("layer"), _("kind"), _("output"), _("parameters"), _("MACs"))
        table = [header, *(_row_cells(row) for row in self.rows)]
        widths = [max(len(cells[column]) for cells in table) for column in range(len(header))]
        body = ["  ".join(_align_cells(cells, widths)).rstrip() for cells in table]
        rule = "-" * max(map(len, body))
        return [body[0], rule, *body[1:], rule, *self._total_lines()]

    def _total_lines(self) -> list[str]:
        """Return the sentences below the table."""
        return [
            _("Parameters: {params:,} ({trainable:,} trainable, {frozen:,} frozen).").format(
                params=self.params, trainable=self.trainable, frozen=self.frozen_params
            ),
            _("MACs per image: {macs:,}.").format(macs=self.macs),
        ]


def summarise_network(network: FreezableNetwork, spec: PreprocessSpec) -> ModelSummary:
    """Return the rows and totals of ``network`` for one image of ``spec``.

    A black image is passed through the network in evaluation mode, with hooks that record each block's output shape and
    operations. Afterwards the network is as it was.
    """
    counter = FlopCounterMode(display=False)
    blocks = [(block, _BlockProbe(counter)) for block in network.list_blocks()]
    hooks = [
        hook
        for (_name, module), probe in blocks
        for layer in _member_layers(module)
        for hook in probe.attach_hooks(layer)
    ]
    training, device = network.training, next(network.parameters()).device
    try:
        with torch.no_grad(), counter:
            network.eval()(torch.zeros(1, *spec.shape, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    rows = tuple(_make_row(number, block, probe) for number, (block, probe) in enumerate(blocks, 1))
    return ModelSummary(rows, *_count_params(network), counter.get_total_flops() // 2)


class _BlockProbe:
    """Records the output shape and the operations of one block during a forward pass."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.shape: tuple[int, ...] = ()
        self.flops = 0
        self._before = 0
        self._counter = counter

    def attach_hooks(self, layer: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
        """Record what ``layer``, one of the block's, does; remove the returned hooks afterwards."""
        return layer.register_forward_pre_hook(self._enter), layer.register_forward_hook(self._leave)

    def _enter(self, _module: nn.Module, _args: Any) -> None:
        """Remember the count of operations before a layer."""
        self._before = self._counter.get_total_flops()

    def _leave(self, _module: nn.Module, _args: Any, output: Any) -> None:
        """Add the operations of a layer, and take its output's shape."""
        self.flops += self._counter.get_total_flops() - self._before
        if isinstance(output, Tensor):
            self.shape = tuple(output.shape[1:])


def _member_layers(block: nn.Module) -> list[nn.Module]:
    """Return the layers of ``block`` that the network calls.

    ``split_into_blocks`` groups a layer with its norm and activation in a ``Sequential`` that is never called itself.
    """
    return list(block.children()) if type(block) is nn.Sequential else [block]


def _make_row(number: int, block: Block, probe: _BlockProbe) -> SummaryRow:
    """Return the row of ``block``, the ``number``-th, from what ``probe`` recorded."""
    name, module = block
    first = _member_layers(module)[0]
    kind = "Conv2d" if isinstance(first, nn.Conv2d) else type(first).__name__
    return SummaryRow(number, name, kind, probe.shape, *_count_params(module), probe.flops // 2)


def _count_params(module: nn.Module) -> tuple[int, int]:
    """Return the number of parameters of ``module``, and of those that are trained."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    return sum(size for size, _trainable in sizes), sum(size for size, trainable in sizes if trainable)


def _row_cells(row: SummaryRow) -> tuple[str, ...]:
    """Return the cells of ``row`` as texts."""
    shape = " x ".join(map(str, row.shape))
    return str(row.number), row.name, row.kind, shape, format_count(row.params), format_count(row.macs)


def _align_cells(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    """Return ``cells`` padded to ``widths``: text to the left, numbers to the right."""
    return [
        cell.ljust(width) if column in (1, 2, 3) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
