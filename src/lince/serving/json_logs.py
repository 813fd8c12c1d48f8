"""Structured logging: one JSON object per line with times, routes and counts, never image contents or file names."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

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
    """Formats a record as one JSON object: time (UTC, ISO 8601), level, event, its fields, and a traceback if any."""

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
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(stream: TextIO | None = None) -> None:
    """Send the server's log, and the warnings of the libraries it uses, as JSON to ``stream`` (default: stderr).

    Replaces the handlers of these loggers and stops them from passing records on to the root logger.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, level in _LOGGER_LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
