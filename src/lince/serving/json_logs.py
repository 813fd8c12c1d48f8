"""Structured logging: one JSON object per line with times, routes and counts, never image contents or file names.

On a terminal, where a person reads along, a short line in the language of the server instead.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from lince.fileio import is_unicode_stream
from lince.i18n import _, get_language, translate_plural, use_language
from lince.number_format import format_decimal

LOGGER = logging.getLogger("lince.serving")
_FIELDS_KEY = "facts"  # the attribute of a LogRecord that holds the event's fields
_LOGGER_LEVELS = {
    LOGGER.name: logging.INFO,
    "uvicorn.error": logging.WARNING,
    "asyncio": logging.WARNING,
    "concurrent.futures": logging.WARNING,
    "python_multipart": logging.ERROR,  # its warnings are about malformed forms, which the request's own line covers
}


def log_event(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log ``event`` with ``fields``, which become keys of the JSON line; values that are not JSON become strings."""
    LOGGER.log(level, event, extra={_FIELDS_KEY: fields})


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time (UTC, ISO 8601), level, event, its fields, and a traceback if any.

    With ``only_ascii`` other characters are escaped, for streams that cannot hold them all.
    """

    def __init__(self, only_ascii: bool = False) -> None:
        super().__init__()
        self.only_ascii = only_ascii

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage().strip(),
            **getattr(record, _FIELDS_KEY, {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=self.only_ascii, default=str)


class TerminalFormatter(logging.Formatter):
    """Formats a record as a short line: local time, what happened, and a traceback if any.

    The language is the one in force when the formatter is made, whatever that of the visitor who is answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.language = get_language()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback makes it several."""
        with use_language(self.language):
            text = _describe_event(record.getMessage().strip(), getattr(record, _FIELDS_KEY, {}))
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{datetime.fromtimestamp(record.created):%H:%M:%S}  {text}{trace}"


def _describe_event(event: str, fields: dict[str, object]) -> str:
    """Return what happened, in the current language; an event without a text of its own with its fields."""
    if event == "request":
        milliseconds = format_decimal(float(str(fields["ms"])), 1)
        words = [f"{fields['method']} {fields['route']}", str(fields["status"]), f"{milliseconds} ms"]
        count = int(str(fields["images"]))
        if count:
            words.append(translate_plural("{count:,} photo", "{count:,} photos", count).format(count=count))
        return "  ".join(words)
    texts = {
        "reloaded": _("{model}: the changed model was loaded"),
        "reload refused": _("{model}: the changed model was refused, and the earlier one goes on: {reason}"),
        "correction-lost": _("A corrected photo could not be saved: {reason}"),
        "ended": _("The server has stopped."),
    }
    if event in texts:
        return texts[event].format(**fields)
    return "  ".join((event, *(f"{name}={value}" for name, value in fields.items())))


def configure_logging(stream: TextIO | None = None) -> None:
    """Send the server's log, and the warnings of the libraries it uses, to ``stream`` (default: stderr).

    As short lines where that is a terminal, else as JSON. Replaces the handlers of these loggers and stops them from
    passing records on to the root logger.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    only_ascii = not is_unicode_stream(stream)
    handler.setFormatter(TerminalFormatter() if stream.isatty() else JsonFormatter(only_ascii))
    for name, level in _LOGGER_LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
