"""Logs of the server: lines of JSON, libraries included; on a terminal short lines; nothing about broken forms."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

pytest.importorskip("python_multipart")
from lince.i18n import use_language
from lince.serving import json_logs, request_body
from lince.serving.settings import RequestLimits
from lince.web.http_errors import ApiError

LIBRARIES = ("asyncio", "concurrent.futures", "uvicorn.error", "python_multipart.multipart")
BROKEN = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--\r\nmore after the end'


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[io.StringIO])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    loggers = [logging.getLogger(name) for name in (*LIBRARIES, "python_multipart", json_logs.LOGGER.name)]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    written = request.param()
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


@pytest.mark.parametrize("stream", [Terminal], indirect=True)
def test_a_terminal_gets_short_lines(stream: io.StringIO) -> None:
    request = {"id": "a", "method": "POST", "route": "/predict", "status": 200, "ms": 34.5, "images": 2, "bytes": 9}
    json_logs.log_event("request", **request)
    json_logs.log_event("request", **{**request, "method": "GET", "route": "/", "images": 0})
    json_logs.log_event("reload refused", logging.ERROR, model="flowers", reason="no card")
    json_logs.log_event("new-event", size=3)
    logging.getLogger("uvicorn.error").warning("it failed")
    lines = stream.getvalue().splitlines()
    assert [line[10:] for line in lines] == [
        "POST /predict  200  34.5 ms  2 photos",
        "GET /  200  34.5 ms",
        "flowers: the changed model was refused, and the earlier one goes on: no card",
        "new-event  size=3",
        "it failed",
    ]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d  ", line[:10]) for line in lines)


@pytest.mark.parametrize("stream", [Terminal], indirect=True)
def test_lines_on_a_terminal_are_in_the_language_of_the_server(stream: io.StringIO) -> None:
    with use_language("es"):
        json_logs.configure_logging(stream)
    with use_language("pt"):  # that of a visitor
        json_logs.log_event("request", method="GET", route="/", status=200, ms=34.5, images=0)
        json_logs.log_event("ended")
    first, second = stream.getvalue().splitlines()
    assert "34,5 ms" in first
    assert second.endswith("El servidor se ha detenido.")


@pytest.mark.parametrize("stream", [Terminal], indirect=True)
def test_a_traceback_follows_its_line_on_a_terminal(stream: io.StringIO) -> None:
    try:
        raise ValueError("two")
    except ValueError:
        logging.getLogger("asyncio").exception("it failed")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("it failed")
    assert lines[-1] == "ValueError: two"
