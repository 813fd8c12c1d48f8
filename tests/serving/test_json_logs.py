"""JSON logs: messages of libraries become JSON lines, and broken forms write no plain lines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest

pytest.importorskip("python_multipart")
from lince.serving import json_logs, request_body
from lince.serving.http_errors import ApiError
from lince.serving.settings import RequestLimits

LIBRARIES = ("asyncio", "concurrent.futures", "uvicorn.error", "python_multipart.multipart")
BROKEN = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--\r\nmore after the end'


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    loggers = [logging.getLogger(name) for name in (*LIBRARIES, "python_multipart", json_logs.LOGGER.name)]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    written = io.StringIO()
    json_logs.configure_logging(written)
    yield written
    for one, handlers, level, propagate in before:
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


@pytest.mark.parametrize("name", LIBRARIES)
def test_an_error_of_a_library_is_a_line_of_json(name: str, stream: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger(name).exception("it failed\nbadly")
    [line] = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["event"]) == ("error", "it failed\nbadly")
    assert "two\nlines" in told["trace"]


def test_a_broken_form_brings_no_plain_lines(stream: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("python_multipart.multipart").warning("of a form")
    for end in range(1, len(BROKEN) + 1):
        with suppress(ApiError):
            request_body.parse_form(BROKEN[:end], "multipart/form-data; boundary=b", RequestLimits())
    assert stream.getvalue() == ""
    assert capfd.readouterr().err == ""
