"""Which operations alter an image, how much and how often: a frozen record that reads as a list and parses back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lince.augmentation.operations import ALIASES, FILLS, OPERATIONS, Operation
from lince.errors import UsageError
from lince.i18n import _
from lince.validation import require_choice, require_in_range

PRESETS = {
    "none": "",
    "light": "shift_x 0.05, shift_y 0.05, zoom 0.1, flip_x 0.5, brightness 0.1, contrast 0.1",
    "medium": (
        "rotation 12, shift_x 0.08, shift_y 0.08, zoom 0.2, stretch 0.15, flip_x 0.5, "
        "brightness 0.2, contrast 0.2, saturation 0.2, hue 5"
    ),
    # The list that served best for small networks from scratch: 28 epochs on five flowers, 0.81 on their test photos.
    "strong": (
        "rotation 10, stretch -0.25..0.33, flip_x 0.5, crop 0.35, saturation 0.3, brightness 0.3, contrast 0.3, "
        "erasing 0.02..0.2 p 0.25"
    ),
    # A mirrored or upside-down digit is another sign, or none: neither flips nor colours here.
    "digits": "rotation 12, shift_x 0.1, shift_y 0.1, zoom 0.1, shear_x 5, fill nearest",
}
_FILL_WORD = "fill"
_PROBABILITY_WORD = "p"
_SWITCH_PROBABILITY = 0.5

SampledOperations = dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class PolicyStep:
    """One operation with its range ``low`` to ``high`` and the probability that it is done."""

    name: str
    low: float = 0.0
    high: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        require_choice(_("operation"), self.name, OPERATIONS)
        require_in_range(_("{name} probability").format(name=self.name), self.probability, 0.0, 1.0)
        if not self.operation.is_switch:
            require_in_range(self.name, self.low, self.operation.low, self.operation.high)
            require_in_range(self.name, self.high, max(self.low, self.operation.low), self.operation.high)

    @property
    def operation(self) -> Operation:
        """What it does, from the table."""
        return OPERATIONS[self.name]

    @property
    def is_no_op(self) -> bool:
        """Whether it leaves every image as it is."""
        amount = not self.operation.is_switch and self.low == self.high == self.operation.neutral
        return amount or self.probability == 0

    def __str__(self) -> str:
        if self.operation.is_switch:
            return f"{self.name} {_format_number(self.probability)}"
        often = "" if self.probability == 1 else f" {_PROBABILITY_WORD} {_format_number(self.probability)}"
        return f"{self.name} {self._format_range()}{often}"

    def describe(self) -> str:
        """Return one line in plain words: name, range with its unit, how often, and what it does."""
        amount = (
            ""
            if self.operation.is_switch
            else f"{_format_number(self.low)}..{_format_number(self.high)} {self.operation.unit()}"
        )
        often = (
            _("always") if self.probability == 1 else _("{share} of the images").format(share=f"{self.probability:.0%}")
        )
        return f"{self.name}: {', '.join(part for part in (amount, often) if part)}; {self.operation.description()}"

    def _format_range(self) -> str:
        for single in (self.high, self.low):
            if self.operation.expand_range(single) == (self.low, self.high):
                return _format_number(single)
        return f"{_format_number(self.low)}..{_format_number(self.high)}"


@dataclass(frozen=True)
class Policy:
    """A list of operations, each at most once, and what fills the parts that the image no longer covers.

    The order of the list does not matter: geometry comes first, then colours, then local effects, each in the order
    of the table of operations. ``fill`` is ``reflect``, ``nearest``, ``wrap``, ``constant`` (``fill_value``, 0..255),
    or ``auto``: ``reflect`` for photos with a class; the letterbox's grey where there is a letterbox, and grey where
    there are boxes, since reflected objects would have none.
    """

    steps: tuple[PolicyStep, ...] = ()
    fill: str = "auto"
    fill_value: int = 0

    def __post_init__(self) -> None:
        require_choice(_FILL_WORD, self.fill, FILLS)
        require_in_range(_("fill value"), self.fill_value, 0, 255)
        names = [step.name for step in self.steps]
        _require_unique(names)
        order = list(OPERATIONS)
        object.__setattr__(self, "steps", tuple(sorted(self.steps, key=lambda step: order.index(step.name))))

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Return the policy that ``text`` names, or raise ``UsageError`` with the known names or the range.

        ``text`` is a preset, a list, or a preset with changes: ``medium``, ``rotation 15, zoom 0.1, flip_x 0.5``,
        ``medium, rotation 30, hue 0``. An amount is one number or a range, ``zoom -0.1..0.3``, and may be followed by
        its probability: ``blur 2 p 0.3``. A switch takes its probability alone: ``flip_x 0.5``.
        """
        items = [item.split() for item in text.split(",") if item.strip()]
        start = cls()
        if items and len(items[0]) == 1 and items[0][0] in PRESETS:
            start = cls.parse(PRESETS[items.pop(0)[0]])
        words = [(ALIASES.get(name, name), rest) for name, *rest in items]
        _require_unique([name for name, _rest in words])
        steps = {step.name: step for step in start.steps}
        steps |= {name: _parse_step(name, rest) for name, rest in words if name != _FILL_WORD}
        fills = [_parse_fill(rest) for name, rest in words if name == _FILL_WORD] or [(start.fill, start.fill_value)]
        return cls(tuple(step for step in steps.values() if not step.is_no_op), *fills[0])

    def __str__(self) -> str:
        fill = [] if self.fill == "auto" else [f"{_FILL_WORD} {self.fill}"]
        if self.fill == "constant":
            fill = [f"{_FILL_WORD} constant {self.fill_value}"]
        return ", ".join([*map(str, self.steps), *fill]) or "none"

    def __iter__(self) -> Iterator[PolicyStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def describe(self) -> list[str]:
        """Return one line for each operation, in the order of the table, and one for the fill; none for no policy."""
        lines = [step.describe() for step in self.steps]
        return [*lines, _("outside of the image: {fill}").format(fill=self.fill)] if lines else []

    def sample(self, rng: np.random.Generator) -> SampledOperations:
        """Return the operations that befall one image, with their amounts and then their extra draws.

        The number of random draws depends on the policy alone.
        """
        drawn: SampledOperations = {}
        numbers = iter(
            rng.random(sum(1 + s.operation.amount_count + s.operation.extra_count for s in self.steps)).tolist()
        )
        for step in self.steps:
            chance = next(numbers)
            amounts = [step.low + (step.high - step.low) * next(numbers) for _i in range(step.operation.amount_count)]
            extras = [next(numbers) for _i in range(step.operation.extra_count)]
            if chance < step.probability:
                drawn[step.name] = (*amounts, *extras)
        return drawn


def _parse_step(name: str, words: list[str]) -> PolicyStep:
    operation = OPERATIONS[require_choice(_("operation"), name, (*OPERATIONS, _FILL_WORD))]
    if operation.is_switch:
        if len(words) > 1:
            raise _syntax_error(name, words)
        return PolicyStep(name, probability=_parse_float(name, words[0]) if words else _SWITCH_PROBABILITY)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1] != _PROBABILITY_WORD):
        raise _syntax_error(name, words)
    low, dots, high = words[0].partition("..")
    ends = (
        (_parse_float(name, low), _parse_float(name, high)) if dots else operation.expand_range(_parse_float(name, low))
    )
    return PolicyStep(name, *ends, probability=_parse_float(name, words[2]) if len(words) == 3 else 1.0)


def _parse_fill(words: list[str]) -> tuple[str, int]:
    if not words or len(words) > 2 or (len(words) == 2 and words[0] != "constant"):
        raise _syntax_error(_FILL_WORD, words)
    value = _parse_float(_FILL_WORD, words[1]) if len(words) == 2 else 0.0
    require_in_range(_("fill value"), value, 0, 255)
    return words[0], int(value)


def _parse_float(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise _syntax_error(name, [word]) from None
    if not np.isfinite(value):
        raise _syntax_error(name, [word])
    return value


def _syntax_error(name: str, words: list[str]) -> UsageError:
    if name == _FILL_WORD:
        expected = _("Expected one of: {names}.").format(names=", ".join(FILLS))
    elif OPERATIONS[name].is_switch:
        expected = _("Expected '{name}' and its probability: {name} 0.5.").format(name=name)
    else:
        expected = _("Expected '{name}' and an amount: {name} 0.1, {name} -0.1..0.2, {name} 0.1 p 0.5.").format(
            name=name
        )
    return UsageError(_("'{text}' cannot be read.").format(text=" ".join([name, *words])), expected)


def _require_unique(names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UsageError(
            _("The augmentation names {names} twice.").format(names=", ".join(doubled)),
            _("Expected each operation at most once."),
        )


def _format_number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
