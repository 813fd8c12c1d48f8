"""A network as a row of blocks from input to head: what fine-tuning counts, freezes, and gives rates to."""

from __future__ import annotations

from difflib import get_close_matches

from torch import nn

from lince.errors import UsageError
from lince.messages import _

Block = tuple[str, nn.Module]
_CONTAINERS = (nn.Sequential, nn.ModuleList)
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
_SHAPELESS = (nn.Dropout, nn.Identity, *_NORMS)


def blocks_of(network: nn.Module) -> list[Block]:
    """Return the (name, module) blocks of ``network`` in order, containers opened one level deep.

    Norms, activations and dropout belong to the layer before them, and poolings stand alone, so that VGG16 has the
    18 layers that Keras counts after its input: 13 convolutions and 5 poolings.
    """
    grouped: list[tuple[str, list[nn.Module]]] = []
    for name, module in _opened(network):
        if grouped and _belongs_to_previous(module):
            grouped[-1][1].append(module)
        else:
            grouped.append((name, [module]))
    return [(name, group[0] if len(group) == 1 else nn.Sequential(*group)) for name, group in grouped]


def first_trained(blocks: list[Block], from_layer: str) -> int:
    """Return the position in ``blocks`` of the first one that ``from_layer`` leaves to be trained.

    A number counts as Keras does: 0 is the input itself, 1 the first block. A name is a block's, or what it begins
    with: ``blocks.5``, ``layer3``. Raises ``UsageError`` for a layer that is not there.
    """
    if from_layer.isdigit():
        return _by_number(blocks, int(from_layer))
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


def has_norms(network: nn.Module) -> bool:
    """Return whether some layer of ``network`` keeps its values in scale, so that high learning rates do no harm."""
    return any(isinstance(module, _NORMS) for module in network.modules())


def _by_number(blocks: list[Block], number: int) -> int:
    if number > len(blocks):
        raise UsageError(
            _("This network has {count} layers after its input, not {number}.").format(
                count=len(blocks), number=number
            ),
            _("Expected a number from 0 (all are trained) to {count}.").format(count=len(blocks)),
        )
    return max(0, number - 1)


def _opened(network: nn.Module) -> list[Block]:
    opened: list[Block] = []
    for name, child in network.named_children():
        if isinstance(child, _CONTAINERS) and len(child) > 0:
            opened += [(f"{name}.{key}", inner) for key, inner in child.named_children()]
        else:
            opened.append((name, child))
    return opened


def _belongs_to_previous(module: nn.Module) -> bool:
    if isinstance(module, _SHAPELESS):
        return True
    is_pooling = "Pool" in type(module).__name__
    return not is_pooling and not any(True for _parameter in module.parameters())
