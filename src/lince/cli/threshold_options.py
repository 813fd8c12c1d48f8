"""The option ``--threshold`` of ``lince predict``: the score or the probability from which on something counts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TypeVar

from lince.cli.options import add_aliased_option, parse_decimal
from lince.errors import UsageError
from lince.i18n import _
from lince.inference.predictor import Predictor

P = TypeVar("P", bound=Predictor)


def add_threshold_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--threshold``, which may be given several times."""
    add_aliased_option(
        parser,
        "threshold",
        default=[],
        metavar=_("FRACTION"),
        help=_(
            "confidence threshold, 0 to 1, or for one class: helmet=0.4 (can be repeated; default: the model's own)"
        ),
    )


def apply_thresholds(model: P, texts: Sequence[str]) -> P:
    """Return ``model`` with the thresholds in ``texts``, such as ``0.3`` and ``helmet=0.4``.

    A threshold without a class name applies to all classes that have none of their own. Raises ``UsageError`` for
    anything else.
    """
    named: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        value = _parse_score(text, number)
        if equals:
            named[name.strip()] = value
        else:
            model = model.with_threshold(value)
    return model.with_threshold(named) if named else model


def _parse_score(text: str, number: str) -> float:
    """Return the threshold in ``number``; raise ``UsageError`` that quotes ``text`` when it is not a number."""
    try:
        return parse_decimal(number)
    except UsageError:
        raise UsageError(
            _("--threshold cannot be '{text}'.").format(text=text),
            _("Expected a number from 0 to 1, or one for a class: 0.3, helmet=0.4."),
        ) from None
