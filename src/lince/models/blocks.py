"""A network as a row of blocks from input to head: what fine-tuning counts, freezes, and gives rates to."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Self

from torch import nn

from lince.errors import UsageError
from lince.i18n import _

Block = tuple[str, nn.Module]
_CONTAINERS = (nn.Sequential, nn.ModuleList)
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
_FOLLOWING_LAYERS = (nn.Dropout, nn.Identity, *_NORMS)


def split_into_blocks(network: nn.Module) -> list[Block]:
    """Return the (name, module) blocks of ``network`` in order, containers opened one level deep.

    Norms, activations and dropout belong to the layer before them, and poolings stand alone, so that VGG16 has the
    18 layers that Keras counts after its input: 13 convolutions and 5 poolings.
    """
    grouped: list[tuple[str, list[nn.Module]]] = []
    for name, module in _open_containers(network):
        if grouped and _belongs_to_previous(module):
            grouped[-1][1].append(module)
        else:
            grouped.append((name, [module]))
    return [(name, group[0] if len(group) == 1 else nn.Sequential(*group)) for name, group in grouped]


class FreezableNetwork(nn.Module):
    """A network that says what its blocks are, so that the lower ones can stay as they are while the rest learns."""

    def __init__(self) -> None:
        super().__init__()
        self._frozen: list[nn.Module] = []

    def list_blocks(self) -> list[Block]:
        """Return (name, module) of every block from input to head; the head is the last."""
        raise NotImplementedError

    def freeze_before(self, from_layer: str) -> int:
        """Freeze every block before ``from_layer`` (a number as Keras counts, or a name); return how many.

        Frozen blocks take no gradients and stay in evaluation mode: their batch-norm statistics do not move.
        """
        blocks = self.list_blocks()
        first = find_first_trainable_block(blocks, from_layer)
        self.unfreeze()
        self._frozen = [module for _name, module in blocks[:first]]
        for module in self._frozen:
            module.requires_grad_(False)
        if first > 0:
            self._freeze_blockless_parameters()
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

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for what is frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def _freeze_blockless_parameters(self) -> None:
        # Position embeddings and class tokens belong to no block; they stand at the input.
        inside = {id(parameter) for _name, module in self.list_blocks() for parameter in module.parameters()}
        for parameter in self.parameters():
            if id(parameter) not in inside:
                parameter.requires_grad_(False)


def find_first_trainable_block(blocks: list[Block], from_layer: str) -> int:
    """Return the position in ``blocks`` of the first one that ``from_layer`` leaves to be trained.

    A number counts as Keras does: 0 is the input itself, 1 the first block. A name is a block's, or what it begins
    with: ``blocks.5``, ``layer3``. Raises ``UsageError`` for a layer that is not there.
    """
    if from_layer.isdigit():
        return _block_by_number(blocks, int(from_layer))
    for position, (name, _module) in enumerate(blocks):
        if name == from_layer or name.startswith(f"{from_layer}."):
            return position
    names = [name for name, _module in blocks]
    raise UsageError(
        _("There is no layer called '{name}' in this network.").format(name=from_layer),
        _("Expected a number from 0 to {last} or one of: {names}.").format(
            last=len(blocks), names=", ".join(get_close_matches(from_layer, names, 5, 0.3) or names)
        ),
    )


def has_norm_layers(network: nn.Module) -> bool:
    """Return whether some layer of ``network`` keeps its values in scale, so that high learning rates do no harm."""
    return any(isinstance(module, _NORMS) for module in network.modules())


def _block_by_number(blocks: list[Block], number: int) -> int:
    if number > len(blocks):
        raise UsageError(
            _("This network has {count} layers after its input, not {number}.").format(
                count=len(blocks), number=number
            ),
            _("Expected a number from 0 (all are trained) to {count}.").format(count=len(blocks)),
        )
    return max(0, number - 1)


def _open_containers(network: nn.Module) -> list[Block]:
    opened: list[Block] = []
    for name, child in network.named_children():
        if isinstance(child, _CONTAINERS) and len(child) > 0:
            opened += [(f"{name}.{key}", inner) for key, inner in child.named_children()]
        else:
            opened.append((name, child))
    return opened


def _belongs_to_previous(module: nn.Module) -> bool:
    if isinstance(module, _FOLLOWING_LAYERS):
        return True
    is_pooling = "Pool" in type(module).__name__
    return not is_pooling and not any(True for _parameter in module.parameters())
