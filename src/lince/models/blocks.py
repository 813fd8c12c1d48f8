"""A network as a sequence of blocks from input to head, which fine-tuning freezes and gives learning rates."""

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
    """Return the (name, module) blocks of ``network`` in order, with containers opened one level deep.

    Norms, activations and dropout belong to the layer before them; pooling layers are blocks of their own. So VGG16 has
    the 18 layers that Keras counts after its input: 13 convolutions and 5 pooling layers.
    """
    grouped: list[tuple[str, list[nn.Module]]] = []
    for name, module in _open_containers(network):
        if grouped and _belongs_to_previous(module):
            grouped[-1][1].append(module)
        else:
            grouped.append((name, [module]))
    return [(name, group[0] if len(group) == 1 else nn.Sequential(*group)) for name, group in grouped]


class FreezableNetwork(nn.Module):
    """Base class of networks whose first blocks can be frozen while the others are trained."""

    def __init__(self) -> None:
        super().__init__()
        self._frozen: list[nn.Module] = []

    def list_blocks(self) -> list[Block]:
        """Return the (name, module) of every block from input to head; the head is the last."""
        raise NotImplementedError

    def freeze_before(self, from_layer: str) -> int:
        """Freeze every block before ``from_layer`` (a number as Keras counts, or a name); return how many are frozen.

        Parameters of frozen blocks need no gradients, and the blocks stay in evaluation mode, so that their batch norms
        keep their statistics and dropout is off. Blocks frozen before are trainable again if they come after
        ``from_layer``. Raises ``UsageError`` for an unknown layer.
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
        """Keep the running statistics of every batch norm from now on; scales and shifts are still trained."""
        self._frozen += [module for module in self.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self.train(self.training)

    def unfreeze(self) -> None:
        """Make all parameters trainable and undo ``freeze_before`` and ``freeze_norms``."""
        self._frozen = []
        self.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode (or evaluation mode) on all but frozen modules, which stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def _freeze_blockless_parameters(self) -> None:
        """Freeze parameters that belong to no block: position embeddings and class tokens, which are at the input."""
        block_parameters = {id(parameter) for _name, module in self.list_blocks() for parameter in module.parameters()}
        for parameter in self.parameters():
            if id(parameter) not in block_parameters:
                parameter.requires_grad_(False)


def find_first_trainable_block(blocks: list[Block], from_layer: str) -> int:
    """Return the index in ``blocks`` of the first one that is trained from ``from_layer`` on.

    ``from_layer`` is a number as Keras counts, where 0 is the input and 1 the first block, or the name of a block or
    its first parts: ``blocks.5``, ``layer3``. Raises ``UsageError`` for an unknown layer.
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
    """Return whether ``network`` has normalisation layers, and so tolerates high learning rates."""
    return any(isinstance(module, _NORMS) for module in network.modules())


def _block_by_number(blocks: list[Block], number: int) -> int:
    """Return the index in ``blocks`` of the layer ``number``, where 0 and 1 both give the first."""
    if number > len(blocks):
        raise UsageError(
            _("This network has {count} layers after its input, not {number}.").format(
                count=len(blocks), number=number
            ),
            _("Expected a number from 0 (all are trained) to {count}.").format(count=len(blocks)),
        )
    return max(0, number - 1)


def _open_containers(network: nn.Module) -> list[Block]:
    """Return the (name, module) children of ``network``, with containers replaced by their own children."""
    blocks: list[Block] = []
    for name, child in network.named_children():
        if isinstance(child, _CONTAINERS) and len(child) > 0:
            blocks += [(f"{name}.{key}", inner) for key, inner in child.named_children()]
        else:
            blocks.append((name, child))
    return blocks


def _belongs_to_previous(module: nn.Module) -> bool:
    """Return whether ``module`` is part of the block before it: a norm, an activation, or dropout."""
    if isinstance(module, _FOLLOWING_LAYERS):
        return True
    is_pooling = "Pool" in type(module).__name__
    return not is_pooling and not any(True for _parameter in module.parameters())
