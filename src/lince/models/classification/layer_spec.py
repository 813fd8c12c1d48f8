"""The one-line language of small networks: ``conv 16 10, pool, flatten, dense 50`` to layers, or to a clear refusal."""

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
    """One declared layer; ``place`` counts from 1. Fields that its kind does not use keep their defaults."""

    kind: str
    position: int = 0
    size: int = 0
    kernel: int = 3
    share: float = 0.0
    stride: int = 1
    padding: str = "same"
    activation: str = "relu"
    bias: bool = True

    @property
    def declaration(self) -> str:
        """The layer in the language, every choice spelled out; parsed again it is this layer."""
        kind = LAYER_KINDS[self.kind]
        words = [self.kind, *(f"{getattr(self, name):g}" for name in kind.number_fields)]
        words += [f"stride {self.stride}"] if "stride" in kind.options else []
        words += [self.padding] if "padding" in kind.options else []
        words += [self.activation] if "activation" in kind.options else []
        return " ".join(words)


@dataclass(frozen=True)
class LayerKind:
    """What a kind of layer takes: numbers in their order (the first ``needed`` must be there) and words."""

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
    "dropout": LayerKind(("share",), 1),
    "relu": LayerKind(),
    "gelu": LayerKind(),
    "silu": LayerKind(),
    "flatten": LayerKind(),
    "gap": LayerKind(),
    "dense": LayerKind(("size",), 1, ("activation",)),
}
_LIMITS = {"size": 65_536, "kernel": 99, "stride": 16}


def parse_layers(text: str) -> tuple[LayerSpec, ...]:
    """Return the layers that ``text`` declares; raise ``UsageError`` that names the layer's place otherwise.

    Layers stand between commas: ``conv FILTERS [KERNEL] [stride N] [same|valid]``, ``res FILTERS [stride N]``,
    ``pool [N] [stride N]``, ``avgpool [N] [stride N]``, ``norm``, ``dropout SHARE``, ``relu``, ``gelu``, ``silu``,
    ``flatten``, ``gap``, ``dense UNITS``; ``conv``, ``res`` and ``dense`` end with ``relu`` unless they say ``gelu``,
    ``silu`` or ``none``.
    """
    return tuple(_parse_layer(place, part.split()) for place, part in enumerate(text.lower().split(","), 1))


def move_activation_after_norm(layers: tuple[LayerSpec, ...]) -> tuple[LayerSpec, ...]:
    """Return ``layers`` with each convolution's activation behind the norm that follows it directly, as is usual.

    Such a convolution needs no bias, for the norm takes it away again; a norm elsewhere has no activation.
    """
    arranged = [replace(layer, activation="none") if layer.kind == "norm" else layer for layer in layers]
    for place, (layer, after) in enumerate(pairwise(layers)):
        if layer.kind == "conv" and after.kind == "norm":
            arranged[place] = replace(layer, activation="none", bias=False)
            arranged[place + 1] = replace(after, activation=layer.activation)
    return tuple(arranged)


def _parse_layer(place: int, words: list[str]) -> LayerSpec:
    if not words:
        raise UsageError(
            _("Layer {place} is empty.").format(place=place),
            _("Expected layers between commas, such as: conv 16 3, pool, flatten, dense 50."),
        )
    name, *rest = words
    if name not in LAYER_KINDS:
        close = get_close_matches(name, LAYER_KINDS, 1) or list(LAYER_KINDS)
        raise UsageError(
            _("Layer {place} '{name}' is not a kind of layer.").format(place=place, name=name),
            _("Expected one of: {names}.").format(names=", ".join(close)),
        )
    kind = LAYER_KINDS[name]
    values: dict[str, object] = dict(kind.defaults)
    count = _leading_numbers(rest)
    _check_count(place, name, kind, count)
    for field, word in zip(kind.number_fields, rest[:count], strict=False):
        values[field] = _parse_number(place, name, field, word)
    values |= _parse_options(place, name, kind, rest[count:])
    if values.get("stride") == 0:
        values["stride"] = values["size"]
    return LayerSpec(kind=name, position=place, **values)  # type: ignore[arg-type]


def _leading_numbers(words: list[str]) -> int:
    return next((i for i, word in enumerate(words) if not _is_number(word)), len(words))


def _is_number(word: str) -> bool:
    return word.isascii() and word.replace(".", "", 1).isdigit()


def _check_count(place: int, name: str, kind: LayerKind, count: int) -> None:
    meanings = {
        "size": _("the number of units") if name == "dense" else _("the number of filters"),
        "share": _("the share to drop"),
    }
    if count < kind.required_count:
        raise UsageError(
            _("Layer {place} '{name}': {what} is missing.").format(
                place=place, name=name, what=meanings[kind.number_fields[0]]
            ),
            _("Expected, for example: {example}.").format(example=_EXAMPLES[name]),
        )
    if count > len(kind.number_fields):
        raise UsageError(
            _("Layer {place} '{name}' has {count} numbers, {most} at most.").format(
                place=place, name=name, count=count, most=len(kind.number_fields)
            ),
            _("Expected, for example: {example}.").format(example=_EXAMPLES[name]),
        )


def _parse_number(place: int, name: str, field: str, word: str) -> int | float:
    if field == "share":
        if float(word) < 1:
            return float(word)
        expected = _("Expected a share from 0 to below 1, such as 0.3.")
    else:
        if word.isdigit() and 1 <= int(word) <= _LIMITS[field]:
            return int(word)
        expected = _("Expected a whole number from 1 to {most}.").format(most=_LIMITS[field])
    raise UsageError(_("Layer {place} '{name}': {word} cannot be.").format(place=place, name=name, word=word), expected)


def _parse_options(place: int, name: str, kind: LayerKind, words: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        if word == "stride" and word in kind.options:
            found["stride"] = _parse_number(place, name, "stride", next(rest, _("nothing")))
        elif word in PADDINGS and "padding" in kind.options:
            found["padding"] = word
        elif word in ACTIVATIONS and "activation" in kind.options:
            found["activation"] = word
        else:
            raise UsageError(
                _("Layer {place} '{name}' does not know the word '{word}'.").format(place=place, name=name, word=word),
                _("Expected, for example: {example}.").format(example=_EXAMPLES[name]),
            )
    return found


_EXAMPLES = {kind: kind for kind in LAYER_KINDS} | {
    "conv": "conv 16 3 stride 2 same relu",
    "res": "res 64 stride 2",
    "pool": "pool 2",
    "avgpool": "avgpool 2",
    "dropout": "dropout 0.3",
    "dense": "dense 50 relu",
}
