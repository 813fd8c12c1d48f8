"""Videos on web servers: a file is downloaded, in parts where the connection breaks, and a live stream is read on."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince.errors import DataError, UsageError
from lince.i18n import _
from lince.inference.http_image import open_web_url
from lince.storage.url import hide_secrets

TIMEOUT_SECONDS = 10.0  # for a connection, and for each part of the answer
_CHUNK_BYTES = 1 << 16
_HTTP_OK, _HTTP_PARTIAL = 200, 206
_NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)
NotifyFunction = Callable[[str], None]


@dataclass(frozen=True)
class RetryPolicy:
    """How often a broken connection is taken up again: ``attempts`` times in a row, each pause twice the last.

    The first pause is of ``first_seconds``, the longest of ``longest_seconds``. A connection that brings something
    counts anew.
    """

    attempts: int = 8
    first_seconds: float = 1.0
    longest_seconds: float = 30.0

    def list_pauses(self) -> list[float]:
        """Return the seconds to wait before each attempt."""
        return [min(self.first_seconds * 2**number, self.longest_seconds) for number in range(self.attempts)]


DEFAULT_RETRIES = RetryPolicy()


@dataclass(frozen=True)
class WebAnswer:
    """What a server says of an address: its ``content_type``, and the length of a file, ``None`` for a live stream."""

    content_type: str
    length: int | None

    @property
    def is_photo(self) -> bool:
        """Whether this is one photo."""
        return self.content_type.startswith("image/")


def ask_web_server(url: str) -> WebAnswer:
    """Return what the server says of ``url``, without reading it; raise ``DataError`` when it does not answer."""
    try:
        with open_web_url(url, {}, TIMEOUT_SECONDS) as response:
            return _read_answer(response)
    except _NETWORK_ERRORS as error:
        raise make_address_error(url, error) from error


def download_video(url: str, path: Path, notify: NotifyFunction, retries: RetryPolicy = DEFAULT_RETRIES) -> None:
    """Write the file at ``url`` to ``path``; where the connection breaks, go on from there.

    ``notify`` is told of each break. Raises ``DataError`` when the server gives up for good, or the file has changed
    meanwhile.
    """
    pauses = retries.list_pauses()
    with open(path, "wb") as file:
        validator, error = "", _("it ends too early")
        while True:
            start = file.tell()
            try:
                validator, is_complete = _download_from(url, file, validator)
                if is_complete:
                    return
                error = _("it ends too early")
            except _FileChangedError:
                raise DataError(
                    _("{address} has changed while it was downloaded.").format(address=hide_secrets(url)),
                    _("Expected the same file to its end."),
                    _("Repeat the command."),
                ) from None
            except _NETWORK_ERRORS as broken:
                if not start and not file.tell():
                    raise make_address_error(url, broken) from broken
                error = _describe_error(broken)
            if file.tell() > start:
                pauses = retries.list_pauses()
            if not pauses:
                raise make_address_error(url, error)
            notify(_describe_break(url, error, pauses[0]))
            time.sleep(pauses.pop(0))


class _FileChangedError(Exception):
    """The rest of a file does not belong to what was downloaded of it."""


def _download_from(url: str, file: Any, validator: str) -> tuple[str, bool]:
    """Append what is missing of ``url`` to ``file``; return what identifies its version, and whether it is complete."""
    done = file.tell()
    headers = {"Range": f"bytes={done}-", **({"If-Range": validator} if validator else {})} if done else {}
    with open_web_url(url, headers, TIMEOUT_SECONDS) as response:
        found = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if validator and found != validator:
            raise _FileChangedError
        length = _read_answer(response).length
        skipped = done if response.status != _HTTP_PARTIAL else 0
        total = None if length is None else length + done - skipped
        while chunk := response.read1(_CHUNK_BYTES):
            file.write(chunk[skipped:])
            skipped = max(0, skipped - len(chunk))
    return found, total is None or file.tell() >= total


class LiveResponse:
    """A live stream by HTTP as a file that can only be read on; a connection that breaks is its end."""

    def __init__(self, url: str) -> None:
        """Open ``url``; raises ``DataError`` when the server does not answer."""
        try:
            self._response = open_web_url(url, {}, TIMEOUT_SECONDS)
        except _NETWORK_ERRORS as error:
            raise make_address_error(url, error) from error

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes as they come; nothing at the end."""
        try:
            return bytes(self._response.read1(size))
        except (*_NETWORK_ERRORS, AttributeError):  # the last where it is closed meanwhile
            return b""

    def stop(self) -> None:
        """Let a read that waits in another thread return nothing."""
        with (
            suppress(OSError, AttributeError),
            socket.socket(fileno=os.dup(self._response.fileno())) as connection,
        ):
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._response.close()


def wait_between_attempts(
    address: str, error: str, retries: RetryPolicy, stopped: threading.Event, notify: NotifyFunction
) -> Iterator[None]:
    """Yield after each pause of ``retries``, when it is time for another attempt, until ``stopped``."""
    for seconds in retries.list_pauses():
        notify(_describe_break(address, error, seconds))
        if stopped.wait(seconds):
            return
        yield


def require_allowed(address: str, allow_urls: bool) -> None:
    """Raise ``UsageError`` unless addresses may be opened."""
    if not allow_urls:
        raise UsageError(
            _("{address} is an address, and lince uses the network only where you allow it.").format(
                address=hide_secrets(address)
            ),
            _("Expected files on this machine, or that addresses are allowed."),
            _("Allow it with --allow-urls (in Python: lince.load(RUN, allow_urls=True))."),
        )


def make_address_error(url: str, error: object) -> DataError:
    """Return the error for an address that cannot be read."""
    return DataError(
        _("{address} cannot be read: {reason}.").format(address=hide_secrets(url), reason=_describe_error(error)),
        _("Expected the address of a photo, a video or a camera that answers."),
        _("Check the address, and whether a browser or VLC on this machine can open it."),
    )


def _describe_break(address: str, error: str, seconds: float) -> str:
    return _("The connection to {address} is broken ({reason}); trying again in {seconds:g} s.").format(
        address=hide_secrets(address), reason=error, seconds=seconds
    )


def _describe_error(error: object) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return str(reason).rstrip(".") or type(error).__name__


def _read_answer(response: Any) -> WebAnswer:
    """Return type and length of what ``response`` brings; a stream of parts has no length, whatever it says."""
    content_type = response.headers.get_content_type()
    length = response.headers.get("Content-Length", "")
    is_file = length.isdecimal() and not content_type.startswith("multipart/")
    return WebAnswer(content_type, int(length) if is_file else None)
