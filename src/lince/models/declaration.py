"""The one-line language of small networks: ``conv 16 10, pool, flatten, dense 50`` to layers, or to a clear refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import pairwise

from lince.errors import UsageError
from lince.messages import _

ACTIVATIONS = ("relu", "gelu", "silu", "none")
PADDINGS = ("same", "valid")


@dataclass(frozen=True)
class Layer:
    """One declared layer; ``place`` counts from 1. Fields that its kind does not use keep their defaults."""

    kind: str
    place: int = 0
    size: int = 0
    kernel: int = 3
    share: float = 0.0
    stride: int = 1
    padding: str = "same"
    activation: str = "relu"
    bias: bool = True

    @property
    def text(self) -> str:
        """The layer in the language, every choice spelled out; parsed again it is this layer."""
        kind = KINDS[self.kind]
        words = [self.kind, *(f"{getattr(self, name):g}" for name in kind.numbers)]
        words += [f"stride {self.stride}"] if "stride" in kind.words else []
        words += [self.padding] if "padding" in kind.words else []
        words += [self.activation] if "activation" in kind.words else []
        return " ".join(words)


@dataclass(frozen=True)
class Kind:
    """What a kind of layer takes: numbers in their order (the first ``needed`` must be there) and words."""

    numbers: tuple[str, ...] = ()
    needed: int = 0
    words: tuple[str, ...] = ()
    defaults: tuple[tuple[str, int], ...] = ()


_POOL = Kind(("size",), 0, ("stride",), (("size", 2), ("stride", 0)))
KINDS = {
    "conv": Kind(("size", "kernel"), 1, ("stride", "padding", "activation")),
    "res": Kind(("size",), 1, ("stride", "activation")),
    "pool": _POOL,
    "avgpool": _POOL,
    "norm": Kind(),
    "dropout": Kind(("share",), 1),
    "relu": Kind(),
    "gelu": Kind(),
    "silu": Kind(),
    "flatten": Kind(),
    "gap": Kind(),
    "dense": Kind(("size",), 1, ("activation",)),
}
_LIMITS = {"size": 65_536, "kernel": 99, "stride": 16}


def parse(text: str) -> tuple[Layer, ...]:
    """Return the layers that ``text`` declares; raise ``UsageError`` that names the layer's place otherwise.

    Layers stand between commas: ``conv FILTERS [KERNEL] [stride N] [same|valid]``, ``res FILTERS [stride N]``,
    ``pool [N] [stride N]``, ``avgpool [N] [stride N]``, ``norm``, ``dropout SHARE``, ``relu``, ``gelu``, ``silu``,
    ``flatten``, ``gap``, ``dense UNITS``; ``conv``, ``res`` and ``dense`` end with ``relu`` unless they say ``gelu``,
    ``silu`` or ``none``.
    """
    return tuple(_layer(place, part.split()) for place, part in enumerate(text.lower().split(","), 1))


def norms_first(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Return ``layers`` with each convolution's activation behind the norm that follows it directly, as is usual.

    Such a convolution needs no bias, for the norm takes it away again; a norm elsewhere has no activation.
    """
    arranged = [replace(layer, activation="none") if layer.kind == "norm" else layer for layer in layers]
    for place, (layer, after) in enumerate(pairwise(layers)):
        if layer.kind == "conv" and after.kind == "norm":
            arranged[place] = replace(layer, activation="none", bias=False)
            arranged[place + 1] = replace(after, activation=layer.activation)
    return tuple(arranged)


def _layer(place: int, words: list[str]) -> Layer:
    if not words:
        raise UsageError(
            _("Layer {place} is empty.").format(place=place),
            _("Expected layers between commas, such as: conv 16 3, pool, flatten, dense 50."),
        )
    name, *rest = words
    if name not in KINDS:
        close = get_close_matches(name, KINDS, 1) or list(KINDS)
        raise UsageError(
            _("Layer {place} '{name}' is not a kind of layer.").format(place=place, name=name),
            _("Expected one of: {names}.").format(names=", ".join(close)),
        )
    kind = KINDS[name]
    values: dict[str, object] = dict(kind.defaults)
    count = _leading_numbers(rest)
    _check_count(place, name, kind, count)
    for field, word in zip(kind.numbers, rest[:count], strict=False):
        values[field] = _number(place, name, field, word)
    values |= _options(place, name, kind, rest[count:])
    if values.get("stride") == 0:
        values["stride"] = values["size"]
    return Layer(kind=name, place=place, **values)  # type: ignore[arg-type]


def _leading_numbers(words: list[str]) -> int:
    return next((i for i, word in enumerate(words) if not _is_number(word)), len(words))


def _is_number(word: str) -> bool:
    return word.isascii() and word.replace(".", "", 1).isdigit()


def _check_count(place: int, name: str, kind: Kind, count: int) -> None:
    meanings = {
        "size": _("the number of units") if name == "dense" else _("the number of filters"),
        "share": _("the share to drop"),
    }
    if count < kind.needed:
        raise UsageError(
            _("Layer {place} '{name}': {what} is missing.").format(
                place=place, name=name, what=meanings[kind.numbers[0]]
            ),
            _("Expected, for example: {example}.").format(example=_EXAMPLES[name]),
        )
    if count > len(kind.numbers):
        raise UsageError(
            _("Layer {place} '{name}' has {count} numbers, {most} at most.").format(
                place=place, name=name, count=count, most=len(kind.numbers)
            ),
            _("Expected, for example: {example}.").format(example=_EXAMPLES[name]),
        )


def _number(place: int, name: str, field: str, word: str) -> int | float:
    if field == "share":
        if float(word) < 1:
            return float(word)
        expected = _("Expected a share from 0 to below 1, such as 0.3.")
    else:
        if word.isdigit() and 1 <= int(word) <= _LIMITS[field]:
            return int(word)
        expected = _("Expected a whole number from 1 to {most}.").format(most=_LIMITS[field])
    raise UsageError(_("Layer {place} '{name}': {word} cannot be.").format(place=place, name=name, word=word), expected)


def _options(place: int, name: str, kind: Kind, words: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        if word == "stride" and word in kind.words:
            found["stride"] = _number(place, name, "stride", next(rest, _("nothing")))
        elif word in PADDINGS and "padding" in kind.words:
            found["padding"] = word
        elif word in ACTIVATIONS and "activation" in kind.words:
            found["activation"] = word
        else:
            raise UsageError(
                _("Layer {place} '{name}' does not know the word '{word}'.").format(place=place, name=name, word=word),
                _("Expected, for example: {example}.").format(example=_EXAMPLES[name]),
            )
    return found


_EXAMPLES = {kind: kind for kind in KINDS} | {
    "conv": "conv 16 3 stride 2 same relu",
    "res": "res 64 stride 2",
    "pool": "pool 2",
    "avgpool": "avgpool 2",
    "dropout": "dropout 0.3",
    "dense": "dense 50 relu",
}
