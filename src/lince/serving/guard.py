"""Stands before every route: who may ask, in which language the answer is, what is counted, logged and forbidden."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lince.messages import LANGUAGES, _, speaking
from lince.serving import logs, state
from lince.serving.refusals import RefusedError, bad, busy, stopping
from lince.serving.settings import Settings
from lince.serving.state import Exchange, State

# What is asked without a token: whether the process lives and takes requests (balancers have no token), and pages,
# which hold nothing of the models.
OPEN = ("/", "/healthz", "/readyz", "/docs")
OPEN_BELOW = ("/page/", "/docs/")
WHILE_STOPPING = ("/healthz", "/readyz", "/metrics")
_SAFE = ("GET", "HEAD", "OPTIONS")
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_LONGEST_LANGUAGES = 200


class Guard:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, shared: State) -> None:
        self.app, self.state = app, shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to the application, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        known = state.begin(scope)
        path = _place(scope, self.state.settings.root_path)
        self.state.under_way += 1
        try:
            with speaking(language(scope["query_string"], headers.get("accept-language", ""))):
                answer = self._checked(scope["method"], path, headers)
                sending = self._sending(send, known, headers.get("origin", ""))
                await self._answer(answer or self.app, scope, receive, sending)
        finally:
            self.state.under_way -= 1
            self.state.bodies.free(known.held)
            self._tell(scope, known)

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let ``app`` answer; when the server ends before it has, say so: the task is over then in any case."""
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if state.exchange(scope).status:
                raise
            await stopping().response()(scope, receive, send)

    def _checked(self, method: str, path: str, headers: Headers) -> Response | None:
        """Return the answer to a request that does not reach the application."""
        settings = self.state.settings
        try:
            _check_host(settings, headers)
            origin = headers.get("origin", "")
            if origin:
                _check_origin(settings, method, headers)
            if method == "OPTIONS" and origin in settings.origins:
                return _preflight()
            if path not in OPEN and not path.startswith(OPEN_BELOW):
                _check_token(settings, headers)
            if path not in WHILE_STOPPING:
                self._check_room()
        except RefusedError as refusal:
            return refusal.response()
        return None

    def _check_room(self) -> None:
        if self.state.stopping:
            raise stopping()
        if self.state.under_way > self.state.settings.limits.requests:
            raise busy(1)

    def _sending(self, send: Send, known: Exchange, origin: str) -> Send:
        """Return ``send`` that adds the headers which every answer has."""
        allowed = origin if origin in self.state.settings.origins else ""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                known.status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Request-Id"] = known.number
                if self.state.settings.origins:
                    headers.add_vary_header("Origin")
                if allowed:
                    headers["Access-Control-Allow-Origin"] = allowed
                    headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
            await send(message)

        return sending

    def _tell(self, scope: Scope, known: Exchange) -> None:
        seconds, status = time.monotonic() - known.begun, known.status or 500
        # The address as sent could be anything; what was found for it could not.
        route = getattr(scope.get("route"), "path", None) or "other"
        self.state.metrics.request(route, status, seconds, known.images, known.received)
        logs.tell(
            "request",
            id=known.number,
            method=scope["method"] if scope["method"] in _METHODS else "other",
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            images=known.images,
            bytes=known.received,
        )


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")


def language(query: bytes, accepted: str) -> str | None:
    """Return the language that a visitor asks for, by ``lang=`` or else by the browser's list; ``None`` for neither.

    >>> language(b"", "fr;q=0.9, pt-BR;q=0.8, en;q=0.1")
    'pt'
    """
    asked = parse_qs(query.decode("latin-1")).get("lang", [""])[0][:2] if b"lang=" in query else ""
    if asked in LANGUAGES:
        return asked
    best, found = 0.0, None
    for item in accepted[:_LONGEST_LANGUAGES].split(","):
        code, _semicolon, rest = item.strip().partition(";")
        weight = _weight(rest)
        if code[:2].lower() in LANGUAGES and code[2:3] in ("", "-") and weight > best:
            best, found = weight, code[:2].lower()
    return found


def _weight(text: str) -> float:
    name, _equals, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    digits = value.strip()
    return float(digits) if digits.isascii() and digits.replace(".", "", 1).isdecimal() else 0.0


def _place(scope: Scope, prefix: str) -> str:
    """Return the path below the prefix of a proxy, which may be sent with it or without; tell the application both."""
    path: str = scope["path"]
    below = path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path
    if prefix:
        scope["root_path"] = prefix
        scope["path"] = prefix + (below or "/")
    return below or "/"


def _check_host(settings: Settings, headers: Headers) -> None:
    """Refuse names that are not this machine's: a page elsewhere could point its own name here (DNS rebinding)."""
    if not settings.local and not settings.hosts:
        return
    host = _without_port(headers.get("host", ""))
    if host in (settings.host, *settings.hosts) or (settings.local and _is_here(host)):
        return
    message = _("The server is not known by that name. Whoever runs it can add it: --allow-host.")
    raise bad("wrong-host", message, 421)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_origin(settings: Settings, method: str, headers: Headers) -> None:
    """Refuse what a page of another site sends: it could write here in the name of whoever looks at it.

    Behind a proxy the page's site and the name by which the proxy asks differ; browsers tell whether it is the page's
    own site all the same, in a header that no page can set (Fetch Metadata Request Headers, W3C).
    """
    origin = headers.get("origin", "")
    own = origin.partition("://")[2].lower() == headers.get("host", "?").lower()
    if method in _SAFE or origin in settings.origins or own or headers.get("sec-fetch-site") == "same-origin":
        return
    message = _("Pages of other sites may not ask this server. Whoever runs it can allow one: --allow-origin.")
    raise bad("wrong-origin", message, 403)


def _check_token(settings: Settings, headers: Headers) -> None:
    if not settings.token:
        return
    kind, _space, given = headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), settings.token.encode("ascii"))
    if not (right and kind.lower() == "bearer"):
        message = _("The server asks for a token. Send the header  Authorization: Bearer TOKEN")
        raise RefusedError(401, "token", message, {"WWW-Authenticate": "Bearer"})


def _preflight() -> Response:
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=headers)
