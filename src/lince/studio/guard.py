"""Which requests reach the studio: those of its own page in a browser that has its cookie, of bounded size."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lince.i18n import _, use_language
from lince.studio.sessions import Sessions
from lince.web.access import (
    SECURITY_HEADERS,
    is_allowed_host,
    is_allowed_origin,
    negotiate_language,
    wrong_host_error,
    wrong_origin_error,
)
from lince.web.http_errors import ApiError, client_error, request_too_large_error

MAX_REQUEST_BYTES = 64 * 2**20
PERSON = "lince_person"  # where the scope of a request holds who sends it
_OPEN_PATHS = ("/", "/healthz")
_OPEN_PREFIXES = ("/page/",)
_UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_BODY_TYPES = ("application/json", "application/octet-stream")
_log = logging.getLogger("lince.studio")


class Guard:
    """Wraps the application. In order: host, origin, kind and size of the body, cookie.

    The page itself is open to whoever asks, since it reveals nothing; its data are not.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self.app, self.sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application in its client's language, or answer it with an error."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the studio speaks HTTP alone, not {scope['type']}")
        started, connection = time.monotonic(), HTTPConnection(scope)
        answer = _Answer(send)
        with use_language(negotiate_language(scope["query_string"], connection.headers.get("accept-language", ""))):
            try:
                scope[PERSON] = self._check(scope["method"], scope["path"], connection)
                await self.app(scope, _bound_body(receive), answer.send)
            except ApiError as error:
                if answer.status:
                    raise
                await error.to_response()(scope, receive, answer.send)
        milliseconds = 1000 * (time.monotonic() - started)
        _log.debug("%s %s %d %.0f ms", scope["method"], _name_route(scope), answer.status, milliseconds)

    def _check(self, method: str, path: str, connection: HTTPConnection) -> str:
        """Return who sends a request, empty for nobody; raise ``ApiError`` where it must not be answered."""
        headers = connection.headers
        if not is_allowed_host(headers, (), is_local=True):
            raise wrong_host_error()
        # A page of another site can send a form without an Origin; hence the type of the body, which no form can have.
        if method in _UNSAFE_METHODS:
            is_foreign = "origin" in headers and not is_allowed_origin(method, headers)
            if is_foreign or headers.get("sec-fetch-site", "same-origin") != "same-origin":
                raise wrong_origin_error()
            _check_body(headers)
        person = self.sessions.find_person(connection.cookies.get(self.sessions.cookie_name, "")) or ""
        if not person and path not in _OPEN_PATHS and not path.startswith(_OPEN_PREFIXES):
            message = _("This browser has no access yet. Open the address that lince studio printed in the terminal.")
            raise ApiError(401, "no-access", message)
        return person


def _name_route(scope: Scope) -> str:
    """Return the pattern of the route that answers, for the log: the first address, with its query, holds the token."""
    return getattr(scope.get("route"), "path", None) or "other"


class _Answer:
    """A ``send`` that adds the security headers and remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _check_body(headers: Headers) -> None:
    """Raise ``ApiError`` for a body of a type that a form could send (415), or of more than 64 MiB (413)."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _BODY_TYPES:
        message = _("A body of the type '{kind}' cannot be read. Expected {known}.").format(
            kind=kind[:100], known=", ".join(_BODY_TYPES)
        )
        raise client_error("unsupported-type", message, 415)
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_REQUEST_BYTES:
        raise request_too_large_error(MAX_REQUEST_BYTES)


def _bound_body(receive: Receive) -> Receive:
    """Return a ``receive`` that raises ``ApiError`` (413) once a body without a length has become too large."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_REQUEST_BYTES:
            raise request_too_large_error(MAX_REQUEST_BYTES)
        return message

    return receive_bounded
