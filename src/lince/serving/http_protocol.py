"""HTTP/1.1 with bounds where the web server has none: the size of a request's head, and the time a client may take."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lince.i18n import _

MAX_HEAD_BYTES = 32 * 1024
HEAD_TIMEOUT = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """A connection. It is closed when a head, or the rest of a refused body, takes longer than ``HEAD_SECONDS``."""

    _timer: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._cancel_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Count the bytes of a new head."""
        self._head_size = 0
        if self._timer is None:
            self._start_timer()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._count_head_bytes(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count_head_bytes(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on."""
        self._cancel_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a body is whole."""
        self._cancel_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that nobody reads, or for the next request."""
        unread = self.cycle.more_body
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Say in JSON that this is not HTTP."""
        said = _("The request is not HTTP/1.1 as it should be.")
        body = json.dumps({"error": {"code": "bad-http", "message": said}}, ensure_ascii=False).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _count_head_bytes(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise httptools.HttpParserError(_("the head is too large"))

    def _start_timer(self) -> None:
        self._cancel_timer()
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        transport: Any = self.transport
        if not transport.is_closing():
            transport.abort()
