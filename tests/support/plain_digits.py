"""Test data: pen strokes of plain digits in several hands, as a person draws them on the pad of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Line = list[tuple[float, float]]
_STEPS = 8  # points of a curve between two of its knots


@dataclass(frozen=True)
class Hand:
    """How one person draws: where and how large (of the pad's side), how slanted, how wide, how shaky, which forms.

    ``forms`` chooses among the forms of each digit; ``slant`` leans to the right; ``width`` stretches.
    """

    forms: int = 0
    size: float = 0.7
    left: float = 0.25
    top: float = 0.15
    slant: float = 0.0
    width: float = 1.0
    tremor: float = 0.0


HANDS = {
    "upright": Hand(),
    "small, in the corner": Hand(forms=1, size=0.25, left=0.05, top=0.7, tremor=0.004),
    "large, to the edges": Hand(forms=2, size=0.96, left=0.1, top=0.02),
    "leaning right": Hand(forms=1, size=0.6, left=0.1, top=0.2, slant=0.25, tremor=0.01),
    "leaning left": Hand(size=0.5, left=0.45, top=0.3, slant=-0.15, width=0.9, tremor=0.01),
    "narrow": Hand(forms=2, size=0.8, left=0.3, top=0.1, width=0.75),
    "wide": Hand(forms=1, size=0.55, left=0.2, top=0.4, width=1.3, tremor=0.015),
}


def draw_digit(digit: int, hand: Hand, seed: int = 0) -> list[Line]:
    """Return the strokes of ``digit`` in ``hand``, points (x, y) in fractions of the pad, y downwards."""
    forms = _FORMS[digit]
    lines = [_curve(knots) if is_curve else _polyline(knots) for is_curve, knots in forms[hand.forms % len(forms)]]
    chance = np.random.default_rng([seed, digit])
    drawn = []
    for line in lines:
        wobble = np.cumsum(chance.normal(0, 1, line.shape), axis=0) / np.sqrt(len(line)) * hand.tremor
        x, y = (line + wobble).T
        x = (x + hand.slant * (1 - y)) * hand.width
        drawn.append([(hand.left + hand.size * a, hand.top + hand.size * b) for a, b in zip(x, y, strict=True)])
    return drawn


def _polyline(knots: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return straight lines through ``knots``, with points in between as a pointer sends them."""
    points = np.array(knots, float)
    at = np.linspace(0, len(points) - 1, _STEPS * (len(points) - 1) + 1)
    return np.stack([np.interp(at, np.arange(len(points)), points[:, axis]) for axis in (0, 1)], axis=1)


def _curve(knots: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return a smooth line through ``knots`` (Catmull and Rom)."""
    points = np.array(knots, float)
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    share = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    parts = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        parts.append(
            0.5 * (2 * start + (end - before) * share + (2 * before - 5 * start + 4 * end - after) * share**2
                   + (3 * start - before - 3 * end + after) * share**3)
        )  # fmt: skip
    return np.vstack([*parts, points[-1:]])


# For each digit its usual forms: strokes of (is it a curve, knots) in a box of about 0.6 by 1.
_Form = list[tuple[bool, list[tuple[float, float]]]]
_CIRCLE = [(0.3, 0.0), (0.08, 0.16), (0.0, 0.5), (0.08, 0.84), (0.3, 1.0), (0.52, 0.84), (0.6, 0.5), (0.52, 0.16)]
_EIGHT = [(0.5, 0.12), (0.3, 0.0), (0.1, 0.12), (0.13, 0.32), (0.3, 0.46), (0.52, 0.6), (0.56, 0.82), (0.3, 1.0),
          (0.04, 0.82), (0.08, 0.6), (0.3, 0.46), (0.48, 0.3), (0.5, 0.12)]  # fmt: skip
_FORMS: dict[int, list[_Form]] = {
    0: [
        [(True, [*_CIRCLE, (0.3, 0.0)])],
        [(True, [*_CIRCLE, (0.34, 0.01)])],
        [(True, [(x * 0.8, y) for x, y in [*_CIRCLE, (0.26, -0.01)]])],
    ],
    1: [
        [(False, [(0.3, 0.0), (0.3, 1.0)])],
        [(False, [(0.12, 0.24), (0.34, 0.0), (0.34, 1.0)])],
        [(False, [(0.1, 0.2), (0.3, 0.0), (0.3, 1.0)]), (False, [(0.1, 1.0), (0.5, 1.0)])],
    ],
    2: [
        [(True, [(0.03, 0.24), (0.14, 0.05), (0.34, 0.0), (0.54, 0.1), (0.55, 0.3), (0.36, 0.6), (0.02, 0.98)]),
         (False, [(0.02, 0.98), (0.6, 0.98)])],
        [(True, [(0.05, 0.2), (0.3, 0.0), (0.54, 0.16), (0.45, 0.46), (0.22, 0.74), (0.0, 1.0)]),
         (True, [(0.0, 1.0), (0.3, 0.96), (0.62, 0.98)])],
        [(True, [(0.0, 0.15), (0.26, 0.0), (0.5, 0.12), (0.5, 0.36), (0.3, 0.68), (0.0, 1.0)]),
         (False, [(0.0, 1.0), (0.55, 1.0)])],
    ],
    3: [
        [(True, [(0.04, 0.14), (0.28, 0.0), (0.52, 0.14), (0.48, 0.36), (0.22, 0.47)]),
         (True, [(0.22, 0.47), (0.52, 0.58), (0.58, 0.8), (0.32, 1.0), (0.02, 0.88)])],
        [(True, [(0.05, 0.08), (0.34, 0.02), (0.5, 0.2), (0.36, 0.42), (0.2, 0.48), (0.48, 0.56), (0.56, 0.78),
                 (0.34, 0.98), (0.04, 0.94)])],
        [(True, [(0.0, 0.12), (0.24, 0.0), (0.46, 0.12), (0.42, 0.36), (0.16, 0.46)]),
         (True, [(0.16, 0.46), (0.46, 0.54), (0.54, 0.76), (0.3, 1.0), (0.0, 0.9)])],
    ],
    4: [
        [(False, [(0.14, 0.0), (0.04, 0.56), (0.6, 0.56)]), (False, [(0.44, 0.2), (0.44, 1.0)])],
        [(False, [(0.42, 0.0), (0.0, 0.66), (0.6, 0.66)]), (False, [(0.42, 0.0), (0.42, 1.0)])],
        [(False, [(0.1, 0.0), (0.02, 0.5), (0.5, 0.5)]), (False, [(0.5, 0.0), (0.46, 1.0)])],
    ],
    5: [
        [(False, [(0.54, 0.0), (0.12, 0.0), (0.08, 0.44)]),
         (True, [(0.08, 0.44), (0.32, 0.38), (0.56, 0.54), (0.54, 0.84), (0.3, 1.0), (0.0, 0.9)])],
        [(False, [(0.1, 0.02), (0.06, 0.45)]), (True, [(0.06, 0.45), (0.36, 0.4), (0.56, 0.62), (0.44, 0.94),
         (0.02, 0.96)]), (False, [(0.1, 0.02), (0.56, 0.0)])],
        [(False, [(0.5, 0.02), (0.08, 0.0), (0.06, 0.42)]),
         (True, [(0.06, 0.42), (0.3, 0.4), (0.5, 0.56), (0.48, 0.86), (0.24, 1.0), (0.0, 0.94)])],
    ],
    6: [
        [(True, [(0.46, 0.0), (0.2, 0.22), (0.03, 0.6), (0.1, 0.9), (0.32, 1.0), (0.54, 0.84), (0.5, 0.6), (0.28, 0.52),
                 (0.06, 0.68)])],
        [(True, [(0.36, 0.0), (0.12, 0.3), (0.02, 0.66), (0.14, 0.96), (0.4, 0.96), (0.54, 0.74), (0.36, 0.56),
                 (0.1, 0.66)])],
        [(True, [(0.5, 0.04), (0.26, 0.06), (0.06, 0.36), (0.02, 0.74), (0.24, 1.0), (0.5, 0.84), (0.44, 0.58),
                 (0.2, 0.54), (0.03, 0.7)])],
    ],
    7: [
        [(False, [(0.0, 0.0), (0.58, 0.0), (0.2, 1.0)])],
        [(False, [(0.0, 0.03), (0.56, 0.0), (0.18, 1.0)]), (False, [(0.12, 0.5), (0.56, 0.48)])],
        [(True, [(0.02, 0.06), (0.28, 0.02), (0.54, 0.02), (0.36, 0.42), (0.24, 1.0)])],
    ],
    8: [
        [(True, _EIGHT)],
        [(True, [(0.3, 0.46), (0.1, 0.32), (0.1, 0.12), (0.3, 0.0), (0.5, 0.12), (0.5, 0.32), (0.3, 0.46)]),
         (True, [(0.3, 0.46), (0.05, 0.62), (0.04, 0.86), (0.3, 1.0), (0.56, 0.86), (0.55, 0.62), (0.3, 0.46)])],
        [(True, [(x * 0.85, y) for x, y in reversed(_EIGHT)])],
    ],
    9: [
        [(True, [(0.5, 0.3), (0.3, 0.48), (0.08, 0.36), (0.1, 0.1), (0.32, 0.0), (0.52, 0.14), (0.52, 0.3)]),
         (False, [(0.52, 0.14), (0.5, 1.0)])],
        [(True, [(0.52, 0.14), (0.28, 0.0), (0.06, 0.16), (0.1, 0.42), (0.34, 0.48), (0.52, 0.3), (0.54, 0.1)]),
         (True, [(0.54, 0.1), (0.5, 0.6), (0.38, 1.0)])],
        [(True, [(0.48, 0.2), (0.28, 0.0), (0.06, 0.18), (0.1, 0.42), (0.32, 0.46), (0.48, 0.24)]),
         (True, [(0.48, 0.24), (0.48, 0.64), (0.36, 0.94), (0.08, 0.98)])],
    ],
}  # fmt: skip
