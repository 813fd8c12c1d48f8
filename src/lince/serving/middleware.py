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

from lince.i18n import LANGUAGES, _, use_language
from lince.serving import json_logs, state
from lince.serving.http_errors import ApiError, client_error, server_busy_error, server_stopping_error
from lince.serving.settings import ServerSettings
from lince.serving.state import RequestContext, ServerState

# What is asked without a token: whether the process lives and takes requests (balancers have no token), and pages,
# which hold nothing of the models.
PUBLIC_PATHS = ("/", "/healthz", "/readyz", "/docs")
PUBLIC_PREFIXES = ("/page/", "/docs/")
PATHS_WHILE_STOPPING = ("/healthz", "/readyz", "/metrics")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_MAX_ACCEPT_LANGUAGE = 200


class SecurityMiddleware:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, shared: ServerState) -> None:
        self.app, self.state = app, shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to the application, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        known = state.start_request(scope)
        path = _resolve_path(scope, self.state.settings.root_path)
        self.state.active_requests += 1
        try:
            with use_language(negotiate_language(scope["query_string"], headers.get("accept-language", ""))):
                answer = self._check_request(scope["method"], path, headers)
                sending = self._with_headers(send, known, headers.get("origin", ""))
                await self._call_app(answer or self.app, scope, receive, sending)
        finally:
            self.state.active_requests -= 1
            self.state.memory_budget.release(known.held_bytes)
            self._log_request(scope, known)

    async def _call_app(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let ``app`` answer; when the server ends before it has, say so: the task is over then in any case."""
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if state.get_request_context(scope).status:
                raise
            await server_stopping_error().to_response()(scope, receive, send)

    def _check_request(self, method: str, path: str, headers: Headers) -> Response | None:
        """Return the answer to a request that does not reach the application."""
        settings = self.state.settings
        try:
            _check_host(settings, headers)
            origin = headers.get("origin", "")
            if origin:
                _check_origin(settings, method, headers)
            if method == "OPTIONS" and origin in settings.allowed_origins:
                return _preflight_response()
            if path not in PUBLIC_PATHS and not path.startswith(PUBLIC_PREFIXES):
                _check_token(settings, headers)
            if path not in PATHS_WHILE_STOPPING:
                self._check_capacity()
        except ApiError as refusal:
            return refusal.to_response()
        return None

    def _check_capacity(self) -> None:
        if self.state.stopping:
            raise server_stopping_error()
        if self.state.active_requests > self.state.settings.limits.requests:
            raise server_busy_error(1)

    def _with_headers(self, send: Send, known: RequestContext, origin: str) -> Send:
        """Return ``send`` that adds the headers which every answer has."""
        allowed = origin if origin in self.state.settings.allowed_origins else ""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                known.status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Request-Id"] = known.request_id
                if self.state.settings.allowed_origins:
                    headers.add_vary_header("Origin")
                if allowed:
                    headers["Access-Control-Allow-Origin"] = allowed
                    headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
            await send(message)

        return sending

    def _log_request(self, scope: Scope, known: RequestContext) -> None:
        seconds, status = time.monotonic() - known.start_time, known.status or 500
        # The address as sent could be anything; what was found for it could not.
        route = getattr(scope.get("route"), "path", None) or "other"
        self.state.metrics.observe_request(route, status, seconds, known.image_count, known.received_bytes)
        json_logs.log_event(
            "request",
            id=known.request_id,
            method=scope["method"] if scope["method"] in _KNOWN_METHODS else "other",
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            images=known.image_count,
            bytes=known.received_bytes,
        )


_KNOWN_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")


def negotiate_language(query: bytes, accepted: str) -> str | None:
    """Return the language that a visitor asks for, by ``lang=`` or else by the browser's list; ``None`` for neither.

    >>> language(b"", "fr;q=0.9, pt-BR;q=0.8, en;q=0.1")
    'pt'
    """
    asked = parse_qs(query.decode("latin-1")).get("lang", [""])[0][:2] if b"lang=" in query else ""
    if asked in LANGUAGES:
        return asked
    best, found = 0.0, None
    for item in accepted[:_MAX_ACCEPT_LANGUAGE].split(","):
        code, _semicolon, rest = item.strip().partition(";")
        weight = _parse_weight(rest)
        if code[:2].lower() in LANGUAGES and code[2:3] in ("", "-") and weight > best:
            best, found = weight, code[:2].lower()
    return found


def _parse_weight(text: str) -> float:
    name, _equals, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    digits = value.strip()
    return float(digits) if digits.isascii() and digits.replace(".", "", 1).isdecimal() else 0.0


def _resolve_path(scope: Scope, prefix: str) -> str:
    """Return the path below the prefix of a proxy, which may be sent with it or without; tell the application both."""
    path: str = scope["path"]
    below = path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path
    if prefix:
        scope["root_path"] = prefix
        scope["path"] = prefix + (below or "/")
    return below or "/"


def _check_host(settings: ServerSettings, headers: Headers) -> None:
    """Refuse names that are not this machine's: a page elsewhere could point its own name here (DNS rebinding)."""
    if not settings.is_local and not settings.allowed_hosts:
        return
    host = _without_port(headers.get("host", ""))
    if host in (settings.host, *settings.allowed_hosts) or (settings.is_local and _is_loopback(host)):
        return
    message = _("The server is not known by that name. Whoever runs it can add it: --allow-host.")
    raise client_error("wrong-host", message, 421)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_origin(settings: ServerSettings, method: str, headers: Headers) -> None:
    """Refuse what a page of another site sends: it could write here in the name of whoever looks at it.

    Behind a proxy the page's site and the name by which the proxy asks differ; browsers tell whether it is the page's
    own site all the same, in a header that no page can set (Fetch Metadata Request Headers, W3C).
    """
    origin = headers.get("origin", "")
    own = origin.partition("://")[2].lower() == headers.get("host", "?").lower()
    if (
        method in _SAFE_METHODS
        or origin in settings.allowed_origins
        or own
        or headers.get("sec-fetch-site") == "same-origin"
    ):
        return
    message = _("Pages of other sites may not ask this server. Whoever runs it can allow one: --allow-origin.")
    raise client_error("wrong-origin", message, 403)


def _check_token(settings: ServerSettings, headers: Headers) -> None:
    if not settings.token:
        return
    kind, _space, given = headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), settings.token.encode("ascii"))
    if not (right and kind.lower() == "bearer"):
        message = _("The server asks for a token. Send the header  Authorization: Bearer TOKEN")
        raise ApiError(401, "token", message, {"WWW-Authenticate": "Bearer"})


def _preflight_response() -> Response:
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=headers)
