"""Parses the declaration of a small network, such as ``conv 16 10, pool, flatten, dense 50``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import pairwise

from lince.errors import UsageError
from lince.i18n import _

ACTIVATIONS = ("relu", "gelu", "silu", "none")
PADDINGS = ("same", "valid")


@dataclass(frozen=True)
class LayerSpec:
    """A declared layer.

    ``kind`` is a key of ``LAYER_KINDS``; ``position`` counts from 1. ``size`` is the number of filters or units, or the
    side of a pooling window; ``dropout`` the fraction of values that is dropped. ``kernel`` and ``stride`` are in
    pixels; ``padding`` is one of ``PADDINGS``, ``activation`` one of ``ACTIVATIONS``. Fields that a kind does not use
    have their defaults.
    """

    kind: str
    position: int = 0
    size: int = 0
    kernel: int = 3
    dropout: float = 0.0
    stride: int = 1
    padding: str = "same"
    activation: str = "relu"
    bias: bool = True

    @property
    def declaration(self) -> str:
        """The layer as text with all its options; parsing it gives this layer again."""
        kind = LAYER_KINDS[self.kind]
        words = [self.kind, *(f"{getattr(self, name):g}" for name in kind.number_fields)]
        words += [f"stride {self.stride}"] if "stride" in kind.options else []
        words += [self.padding] if "padding" in kind.options else []
        words += [self.activation] if "activation" in kind.options else []
        return " ".join(words)


@dataclass(frozen=True)
class LayerKind:
    """The parameters of a kind of layer.

    ``number_fields`` are the fields of ``LayerSpec`` that its numbers set, in order, of which the first
    ``required_count`` must be given; ``options`` are the words it accepts: ``stride``, ``padding``, ``activation``.
    ``defaults`` are those that differ from ``LayerSpec``.
    """

    number_fields: tuple[str, ...] = ()
    required_count: int = 0
    options: tuple[str, ...] = ()
    defaults: tuple[tuple[str, int], ...] = ()


_POOL = LayerKind(("size",), 0, ("stride",), (("size", 2), ("stride", 0)))
LAYER_KINDS = {
    "conv": LayerKind(("size", "kernel"), 1, ("stride", "padding", "activation")),
    "res": LayerKind(("size",), 1, ("stride", "activation")),
    "pool": _POOL,
    "avgpool": _POOL,
    "norm": LayerKind(),
    "dropout": LayerKind(("dropout",), 1),
    "relu": LayerKind(),
    "gelu": LayerKind(),
    "silu": LayerKind(),
    "flatten": LayerKind(),
    "gap": LayerKind(),
    "dense": LayerKind(("size",), 1, ("activation",)),
}
_LIMITS = {"size": 65_536, "kernel": 99, "stride": 16}


def parse_layers(text: str) -> tuple[LayerSpec, ...]:
    """Return the layers that ``text`` declares; raise ``UsageError`` with the layer's position if it is invalid.

    Layers are separated by commas: ``conv FILTERS [KERNEL] [stride N] [same|valid]``, ``res FILTERS [stride N]``,
    ``pool [N] [stride N]``, ``avgpool [N] [stride N]``, ``norm``, ``dropout FRACTION``, ``relu``, ``gelu``, ``silu``,
    ``flatten``, ``gap``, ``dense UNITS``. ``conv``, ``res`` and ``dense`` are followed by ``relu`` unless they end with
    ``gelu``, ``silu`` or ``none``.
    """
    return tuple(_parse_layer(position, part.split()) for position, part in enumerate(text.lower().split(","), 1))


def move_activation_after_norm(layers: tuple[LayerSpec, ...]) -> tuple[LayerSpec, ...]:
    """Return ``layers`` with the activation of each convolution moved after a norm that directly follows it.

    The convolution has no bias then, because the norm would remove it. Other norms have no activation.
    """
    arranged = [replace(layer, activation="none") if layer.kind == "norm" else layer for layer in layers]
    for index, (layer, next_layer) in enumerate(pairwise(layers)):
        if layer.kind == "conv" and next_layer.kind == "norm":
            arranged[index] = replace(layer, activation="none", bias=False)
            arranged[index + 1] = replace(next_layer, activation=layer.activation)
    return tuple(arranged)


def _parse_layer(position: int, words: list[str]) -> LayerSpec:
    """Return the layer that ``words`` declare."""
    if not words:
        raise UsageError(
            _("Layer {place} is empty.").format(place=position),
            _("Expected layers between commas, such as: conv 16 3, pool, flatten, dense 50."),
        )
    kind_name, *parameters = words
    if kind_name not in LAYER_KINDS:
        similar = get_close_matches(kind_name, LAYER_KINDS, 1) or list(LAYER_KINDS)
        raise UsageError(
            _("Layer {place} '{name}' is not a known layer type.").format(place=position, name=kind_name),
            _("Expected one of: {names}.").format(names=", ".join(similar)),
        )
    kind = LAYER_KINDS[kind_name]
    values: dict[str, object] = dict(kind.defaults)
    count = _leading_numbers(parameters)
    _check_count(position, kind_name, kind, count)
    for field, word in zip(kind.number_fields, parameters[:count], strict=False):
        values[field] = _parse_number(position, kind_name, field, word)
    values |= _parse_options(position, kind_name, kind, parameters[count:])
    if values.get("stride") == 0:
        values["stride"] = values["size"]
    return LayerSpec(kind=kind_name, position=position, **values)  # type: ignore[arg-type]


def _leading_numbers(words: list[str]) -> int:
    """Return how many of ``words`` are numbers before the first that is not."""
    return next((index for index, word in enumerate(words) if not _is_number(word)), len(words))


def _is_number(word: str) -> bool:
    """Return whether ``word`` is a non-negative decimal number."""
    return word.isascii() and word.replace(".", "", 1).isdigit()


def _check_count(position: int, kind_name: str, kind: LayerKind, count: int) -> None:
    """Raise ``UsageError`` when a layer has fewer or more numbers than its kind takes."""
    meanings = {
        "size": _("the number of units") if kind_name == "dense" else _("the number of filters"),
        "dropout": _("the dropout rate"),
    }
    if count < kind.required_count:
        raise UsageError(
            _("Layer {place} '{name}': {what} is missing.").format(
                place=position, name=kind_name, what=meanings[kind.number_fields[0]]
            ),
            _("Expected, for example: {example}.").format(example=_EXAMPLES[kind_name]),
        )
    if count > len(kind.number_fields):
        raise UsageError(
            _("Layer {place} '{name}' has {count} numbers, but takes at most {most}.").format(
                place=position, name=kind_name, count=count, most=len(kind.number_fields)
            ),
            _("Expected, for example: {example}.").format(example=_EXAMPLES[kind_name]),
        )


def _parse_number(position: int, kind_name: str, field: str, word: str) -> int | float:
    """Return the value of ``field`` from ``word``; raise ``UsageError`` when it is out of range."""
    if field == "dropout":
        if float(word) < 1:
            return float(word)
        expected = _("Expected a dropout rate from 0 to below 1, such as 0.3.")
    else:
        if word.isdigit() and 1 <= int(word) <= _LIMITS[field]:
            return int(word)
        expected = _("Expected a whole number from 1 to {most}.").format(most=_LIMITS[field])
    raise UsageError(
        _("Layer {place} '{name}': {word} is not valid.").format(place=position, name=kind_name, word=word), expected
    )


def _parse_options(position: int, kind_name: str, kind: LayerKind, words: list[str]) -> dict[str, object]:
    """Return the fields of ``LayerSpec`` that the options in ``words`` set."""
    options: dict[str, object] = {}
    remaining = iter(words)
    for word in remaining:
        if word == "stride" and word in kind.options:
            options["stride"] = _parse_number(position, kind_name, "stride", next(remaining, _("nothing")))
        elif word in PADDINGS and "padding" in kind.options:
            options["padding"] = word
        elif word in ACTIVATIONS and "activation" in kind.options:
            options["activation"] = word
        else:
            raise UsageError(
                _("Layer {place} '{name}' has no option '{word}'.").format(place=position, name=kind_name, word=word),
                _("Expected, for example: {example}.").format(example=_EXAMPLES[kind_name]),
            )
    return options


# Shown in error messages.
_EXAMPLES = {kind: kind for kind in LAYER_KINDS} | {
    "conv": "conv 16 3 stride 2 same relu",
    "res": "res 64 stride 2",
    "pool": "pool 2",
    "avgpool": "avgpool 2",
    "dropout": "dropout 0.3",
    "dense": "dense 50 relu",
}
