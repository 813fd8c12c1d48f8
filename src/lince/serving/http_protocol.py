"""HTTP/1.1 protocol with limits that uvicorn lacks: the size of the request head and the time to send it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lince.i18n import _

MAX_HEAD_BYTES = 32 * 1024  # URL and headers together
HEAD_TIMEOUT = 10.0  # seconds


class BoundedProtocol(HttpToolsProtocol):
    """One client connection.

    It is closed when a request head, or the rest of a body that was refused, takes longer than ``HEAD_TIMEOUT``. The
    timer runs from the start of the connection or request until the head is complete. The body in between is bounded by
    ``request_reader.receive_body``, and an idle connection by uvicorn's keep-alive timeout.
    """

    _timer: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._cancel_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start counting the bytes and the time of a new request head."""
        self._head_size = 0
        if self._timer is None:
            self._start_timer()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Receive a part of the URL."""
        self._count_head_bytes(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive one header."""
        self._count_head_bytes(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the timer and pass the request to the application."""
        self._cancel_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the timer at the end of the body."""
        self._cancel_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the timer again where the client still sends a body that nobody reads."""
        has_unread_body = self.cycle.more_body
        super().on_response_complete()
        if has_unread_body and not self.transport.is_closing():
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP with a JSON error, and close; ``msg``, the parser's reason, is not sent."""
        message = _("The request is not valid HTTP/1.1.")
        body = json.dumps({"error": {"code": "bad-http", "message": message}}, ensure_ascii=False).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _count_head_bytes(self, size: int) -> None:
        """Count ``size`` more bytes of the head; a parser error beyond the limit ends in ``send_400_response``."""
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise httptools.HttpParserError(_("the head is too large"))

    def _start_timer(self) -> None:
        """Start the timer anew; ``_on_timeout`` runs after ``HEAD_TIMEOUT`` unless it is cancelled."""
        self._cancel_timer()
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        """Drop the connection without a response."""
        self._timer = None
        transport: Any = self.transport
        if not transport.is_closing():
            transport.abort()
