"""Every way the server says no: a status, a code for programs, and a sentence for people that tells nothing inside."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lince.i18n import _

STOPPING_RETRY_SECONDS = 1
_LINGER_SECONDS = 2.0


class ApiError(Exception):
    """A request that is not answered: its HTTP ``status``, a ``code`` for programs, a ``message`` for people."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def to_dict(self) -> dict[str, str]:
        """Return the refusal as it stands under ``error`` in an answer."""
        return {"code": self.code, "message": self.message}

    def to_response(self) -> Response:
        """Return the HTTP answer."""
        answer = json_response({"error": self.to_dict()}, self.status, self.headers)
        return _LingeringResponse(answer) if self.status == 413 and "Connection" in self.headers else answer


class _LingeringResponse(Response):
    """An answer to a client that is still sending: were the connection closed at once, it might not be read."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body, answer.status_code)
        self.raw_headers = answer.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then hear the client out for a while."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (await receive()).get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``value`` as an HTTP answer in JSON (UTF-8, no NaN)."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(body, status, headers=dict(headers or {}), media_type="application/json")


def server_busy_error(seconds: float) -> ApiError:
    """Return the refusal of a server with too much to do, which may be asked again after ``seconds``."""
    wait = max(1, math.ceil(seconds))
    message = _("The server has too much to do. Try again in {seconds} s.").format(seconds=wait)
    return ApiError(429, "busy", message, {"Retry-After": str(wait)})


def server_stopping_error() -> ApiError:
    """Return the refusal of a server that is being stopped."""
    message = _("The server is being stopped. Try again later.")
    return ApiError(503, "stopping", message, {"Retry-After": str(STOPPING_RETRY_SECONDS), "Connection": "close"})


def request_too_large_error(limit: int) -> ApiError:
    """Return the refusal of a request of more than ``limit`` bytes."""
    message = _("The request is larger than {limit:,} bytes.").format(limit=limit)
    return ApiError(413, "too-large", message, {"Connection": "close"})


def request_timeout_error(seconds: float) -> ApiError:
    """Return the refusal of a request that did not arrive within ``seconds``."""
    message = _("The request did not arrive within {seconds:g} s.").format(seconds=seconds)
    return ApiError(408, "too-slow", message, {"Connection": "close"})


def client_disconnected_error() -> ApiError:
    """Return the end of a request whose client went away: nobody hears it, and the log tells it by its status."""
    return ApiError(499, "gone", "", {"Connection": "close"})


def client_error(code: str, message: str, status: int = 400) -> ApiError:
    """Return the refusal of a request that cannot be understood."""
    return ApiError(status, code, message)
