"""Lines of JSON about what the server does: times, routes and counts, and never what a photo shows or is called."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

LOGGER = logging.getLogger("lince.serving")
_FIELDS_KEY = "facts"
_LOGGER_LEVELS = {
    LOGGER.name: logging.INFO,
    "uvicorn.error": logging.WARNING,
    "asyncio": logging.WARNING,
    "concurrent.futures": logging.WARNING,
    "python_multipart": logging.ERROR,  # its warnings are of broken forms, which the requests' own lines tell
}


def log_event(event: str, level: int = logging.INFO, **facts: object) -> None:
    """Write one line: what happened, and figures about it."""
    LOGGER.log(level, event, extra={_FIELDS_KEY: facts})


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, event, its facts, and the trace of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
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
    """Write the server's lines, and those of the libraries below it that tell of trouble, to ``stream`` (stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, level in _LOGGER_LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
