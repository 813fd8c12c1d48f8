"""API errors: an HTTP status, a code for programs, and a message for people that reveals no internals."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lince.i18n import _
from lince.web.json_response import json_response

STOPPING_RETRY_SECONDS = 1
_LINGER_SECONDS = 2.0


class ApiError(Exception):
    """An error response: HTTP ``status``, stable ``code`` for programs, translated ``message`` for people."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def to_dict(self) -> dict[str, str]:
        """Return the object for the key ``error`` of a response or of one image's record."""
        return {"code": self.code, "message": self.message}

    def to_response(self) -> Response:
        """Return the HTTP response; a 413 that closes the connection first lets the client finish sending."""
        response = json_response({"error": self.to_dict()}, self.status, self.headers)
        return _LingeringResponse(response) if self.status == 413 and "Connection" in self.headers else response


class _LingeringResponse(Response):
    """A response to a client that is still sending its body.

    If the connection were closed at once, the client's TCP stack would report an error before the response is read. So
    the body is received and discarded for up to 2 seconds.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(response.body, response.status_code)
        self.raw_headers = response.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, then discard what the client still sends."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (await receive()).get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def server_busy_error(seconds: float) -> ApiError:
    """Return the 429 for an overloaded server; ``Retry-After`` is ``seconds`` rounded up, at least 1."""
    wait = max(1, math.ceil(seconds))
    message = _("The server is overloaded. Try again in {seconds} s.").format(seconds=wait)
    return ApiError(429, "busy", message, {"Retry-After": str(wait)})


def server_stopping_error() -> ApiError:
    """Return the 503 for a server that is shutting down; it closes the connection."""
    message = _("The server is shutting down. Try again later.")
    return ApiError(503, "stopping", message, {"Retry-After": str(STOPPING_RETRY_SECONDS), "Connection": "close"})


def request_too_large_error(limit: int) -> ApiError:
    """Return the 413 for a request of more than ``limit`` bytes; it closes the connection."""
    message = _("The request is larger than {limit:,} bytes.").format(limit=limit)
    return ApiError(413, "too-large", message, {"Connection": "close"})


def request_timeout_error(seconds: float) -> ApiError:
    """Return the 408 for a request whose body did not arrive within ``seconds``; it closes the connection."""
    message = _("The request did not arrive within {seconds:g} s.").format(seconds=seconds)
    return ApiError(408, "too-slow", message, {"Connection": "close"})


def client_disconnected_error() -> ApiError:
    """Return the error that ends a request whose client has disconnected; only the log sees its status, 499."""
    return ApiError(499, "gone", "", {"Connection": "close"})


def client_error(code: str, message: str, status: int = 400) -> ApiError:
    """Return the error for a request that is malformed or asks for something impossible."""
    return ApiError(status, code, message)
