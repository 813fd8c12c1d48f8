"""The options of a prediction request, in one table that parser and documentation derive from.

They may be given in the query string, as form fields or in the JSON body; each is a string until it is parsed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lince.i18n import _
from lince.serving.request_images import shorten_text
from lince.web.http_errors import ApiError, client_error

_MAX_TOP = 999_999
_MAX_NUMBER_LENGTH = 40  # characters of a number that is parsed


@dataclass(frozen=True)
class RequestOption:
    """One option: its name, the JSON schema of its value, a description for the API documentation, and its parser.

    ``parse`` raises ``ApiError`` (422) for a string that the schema does not allow.
    """

    name: str
    schema: dict[str, Any]
    description: str
    parse: Callable[[str], Any]


def _parse_top(text: str) -> int:
    """Return a whole number from 1 to 999999, in ASCII digits."""
    if not (re.fullmatch(r"[0-9]+", text) and len(text) <= len(str(_MAX_TOP)) and int(text) > 0):
        raise client_error("bad-option", _("'{name}' must be a whole number, 1 or more.").format(name="top"), 422)
    return int(text)


def _parse_threshold(text: str) -> float:
    """Return a number from 0 to 1; NaN is refused."""
    try:
        value = float(text) if len(text) <= _MAX_NUMBER_LENGTH else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise client_error("bad-option", _("'{name}' must be a number from 0 to 1.").format(name="threshold"), 422)
    return value


def _parse_flag(text: str) -> bool:
    """Return whether the text is 1; it must be 0 or 1."""
    if text not in ("0", "1"):
        raise client_error("bad-option", _("'{name}' must be 0 or 1.").format(name="outline"), 422)
    return text == "1"


MODEL = RequestOption("model", {"type": "string"}, "Name of the model; needed where several are served.", str)
TOP = RequestOption(
    "top",
    {"type": "integer", "minimum": 1, "maximum": _MAX_TOP},
    "Number of classes in each record, where the task ranks them.",
    _parse_top,
)
THRESHOLD = RequestOption(
    "threshold",
    {"type": "number", "minimum": 0, "maximum": 1},
    "Lowest score of the objects of a detection model, or probability of the classes that a multilabel model says.",
    _parse_threshold,
)
OUTLINE = RequestOption(
    "outline",
    {"type": "integer", "enum": [0, 1]},
    "1 for outlines as points, 0 for masks as run lengths; by default, what the record of the task says.",
    _parse_flag,
)
OPTIONS = {option.name: option for option in (MODEL, TOP, THRESHOLD, OUTLINE)}


@dataclass(frozen=True)
class PredictOptions:
    """The parsed options of a request, one field for each of ``OPTIONS``; ``None`` where one is not given.

    ``model`` is the name of a served model, ``top`` the number of classes in a result, ``threshold`` the least score
    (0..1) of a detector's objects, or probability of the classes that a multilabel model says, ``outline`` whether
    areas are sent as outlines (true) or run lengths (false).
    """

    model: str | None = None
    top: int | None = None
    threshold: float | None = None
    outline: bool | None = None

    @classmethod
    def from_strings(cls, texts: Mapping[str, str]) -> PredictOptions:
        """Return the options in ``texts``, by name; raise ``ApiError`` (422) for an unknown name or a bad value."""
        for name in texts:
            if name not in OPTIONS:
                raise client_error(
                    "unknown-option", _("There is no option '{name}'.").format(name=shorten_text(name)), 422
                )
        return cls(**{name: option.parse(texts[name]) for name, option in OPTIONS.items() if name in texts})


def merge_options(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """Return the options of both, such as query string and body; raise ``ApiError`` (422) where they contradict."""
    for name in first.keys() & second.keys():
        if first[name] != second[name]:
            raise ambiguous_option_error(name)
    return {**first, **second}


def ambiguous_option_error(name: str) -> ApiError:
    """Return the 422 for an option that is given twice with different values."""
    message = _("The option '{name}' is given twice, with different values.").format(name=shorten_text(name))
    return client_error("ambiguous-option", message, 422)
