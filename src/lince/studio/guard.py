"""Which requests reach the studio: those of its own page in a browser that has its cookie, of bounded size."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from collections.abc import Sequence
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
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
PERSON, ROLE = "lince_person", "lince_role"  # where the scope of a request holds who sends it
_PERSON_HEADER = "x-lince-person"  # whom the page believes to be signed in
_OPEN_PATHS = ("/", "/healthz", "/api/enter")
_OPEN_PREFIXES = ("/page/",)
_UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_BODY_TYPES = ("application/json", "application/octet-stream")
_log = logging.getLogger("lince.studio")


class Guard:
    """Wraps the application. In order: host, origin, kind and size of the body, cookie.

    The page itself is open to whoever asks, since it reveals nothing; its data are not.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, hosts: Sequence[str] = ()) -> None:
        """``hosts`` are the names, beside those of this machine, under which the studio may be reached."""
        self.app, self.sessions = app, sessions
        self.hosts = frozenset(host.lower() for host in (*hosts, *(_list_own_names() if sessions.people else ())))

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
                if self.sessions.people is not None and self.sessions.people.is_due:
                    await run_in_threadpool(self.sessions.people.read)
                scope[PERSON] = self._check(scope["method"], scope["path"], connection)
                scope[ROLE] = self.sessions.find_role(scope[PERSON])
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
        if not (is_allowed_host(headers, self.hosts, is_local=True) or self._is_own_number(headers)):
            raise wrong_host_error()
        # A page of another site can send a form without an Origin; hence the type of the body, which no form can have.
        if method in _UNSAFE_METHODS:
            is_foreign = "origin" in headers and not is_allowed_origin(method, headers)
            if is_foreign or headers.get("sec-fetch-site", "same-origin") != "same-origin":
                raise wrong_origin_error()
            _check_body(headers)
        person = self.sessions.find_person(connection.cookies.get(self.sessions.cookie_name, "")) or ""
        if not person and path not in _OPEN_PATHS and not path.startswith(_OPEN_PREFIXES):
            raise _no_access_error(self.sessions)
        # Two tabs share a cookie: what one person did must not be saved under the name of who signed in later.
        expected = unquote(headers.get(_PERSON_HEADER, ""))
        if method in _UNSAFE_METHODS and path not in _OPEN_PATHS and expected not in ("", person):
            message = _("{name} has signed in in this browser since. Sign in again to go on.").format(name=person)
            raise ApiError(401, "other-person", message)
        return person

    def _is_own_number(self, headers: Headers) -> bool:
        """Whether a page was opened by the number of this machine, which no other site can have for a name."""
        host = headers.get("host", "")
        number = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        try:
            return self.sessions.people is not None and bool(ipaddress.ip_address(number))
        except ValueError:
            return False


def _list_own_names() -> list[str]:
    """Return the names of this machine on its network."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return [name, short, f"{short}.local"]


def _no_access_error(sessions: Sessions) -> ApiError:
    if sessions.people is not None:
        return ApiError(401, "sign-in", _("Sign in with your name and password."))
    message = _("This browser has no access yet. Open the address that lince studio printed in the terminal.")
    return ApiError(401, "no-access", message)


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
