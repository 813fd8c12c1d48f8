"""ASGI middleware: host, origin and token checks, language, request limits, security headers, metrics and log."""

from __future__ import annotations

import asyncio
import hmac
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lince.i18n import _, use_language
from lince.serving import json_logs, state
from lince.serving.settings import ServerSettings
from lince.serving.state import RequestContext, ServerState
from lince.web.access import (
    SECURITY_HEADERS,
    is_allowed_host,
    is_allowed_origin,
    negotiate_language,
    wrong_host_error,
    wrong_origin_error,
)
from lince.web.http_errors import ApiError, server_busy_error, server_stopping_error

# Served without a token: health checks, since load balancers have none, and pages, which reveal nothing of the models.
PUBLIC_PATHS = ("/", "/healthz", "/readyz", "/docs")
PUBLIC_PREFIXES = ("/page/", "/docs/")
PATHS_WHILE_STOPPING = ("/healthz", "/readyz", "/metrics")
_LOGGED_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")


class SecurityMiddleware:
    """Wraps the application: every HTTP request passes its checks before it reaches a route.

    In order: host, origin, CORS preflight, token, shutting down, number of concurrent requests. Every request is
    counted and logged, refused ones too.
    """

    def __init__(self, app: ASGIApp, shared: ServerState) -> None:
        self.app, self.state = app, shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application in its client's language, or answer it with an error."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        context = state.start_request(scope)
        path = _resolve_path(scope, self.state.settings.root_path)
        self.state.active_requests += 1
        try:
            with use_language(negotiate_language(scope["query_string"], headers.get("accept-language", ""))):
                response = self._check_request(scope["method"], path, headers)
                send_with_headers = self._with_headers(send, context, headers.get("origin", ""))
                await self._call_app(response or self.app, scope, receive, send_with_headers)
        finally:
            self.state.active_requests -= 1
            self.state.memory_budget.release(context.held_bytes)
            self._log_request(scope, context)

    async def _call_app(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Call ``app``; answer 503 when the server's shutdown cancels the task before a response has begun."""
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if state.get_request_context(scope).status:
                raise
            await server_stopping_error().to_response()(scope, receive, send)

    def _check_request(self, method: str, path: str, headers: Headers) -> Response | None:
        """Return the response to a request that must not reach the application, ``None`` for the others."""
        settings = self.state.settings
        try:
            _check_host(settings, headers)
            origin = headers.get("origin", "")
            if origin and not is_allowed_origin(method, headers, settings.allowed_origins):
                raise wrong_origin_error()
            if method == "OPTIONS" and origin in settings.allowed_origins:
                return _preflight_response()
            if path not in PUBLIC_PATHS and not path.startswith(PUBLIC_PREFIXES):
                _check_token(settings, headers)
            if path not in PATHS_WHILE_STOPPING:
                self._check_capacity()
        except ApiError as error:
            return error.to_response()
        return None

    def _check_capacity(self) -> None:
        """Raise ``ApiError`` while the server stops (503) or too many requests are active (429)."""
        if self.state.stopping:
            raise server_stopping_error()
        if self.state.active_requests > self.state.settings.limits.requests:
            raise server_busy_error(1)

    def _with_headers(self, send: Send, context: RequestContext, origin: str) -> Send:
        """Return a ``send`` that records the status in ``context`` and adds security, CORS and request id headers."""
        allowed_origin = origin if origin in self.state.settings.allowed_origins else ""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Request-Id"] = context.request_id
                if self.state.settings.allowed_origins:
                    headers.add_vary_header("Origin")
                if allowed_origin:
                    headers["Access-Control-Allow-Origin"] = allowed_origin
                    headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
            await send(message)

        return send_with_headers

    def _log_request(self, scope: Scope, context: RequestContext) -> None:
        """Count and log one finished request; a status of 0 means that a bug kept it from being answered."""
        seconds, status = time.monotonic() - context.start_time, context.status or 500
        # The route's pattern, not the path: a path comes from the client and could hold anything.
        route = getattr(scope.get("route"), "path", None) or "other"
        self.state.metrics.observe_request(route, status, seconds, context.image_count, context.received_bytes)
        json_logs.log_event(
            "request",
            id=context.request_id,
            method=scope["method"] if scope["method"] in _LOGGED_METHODS else "other",
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            images=context.image_count,
            bytes=context.received_bytes,
        )


def _resolve_path(scope: Scope, prefix: str) -> str:
    """Return the path below a proxy's ``prefix`` and set path and root path of ``scope`` accordingly.

    Some proxies forward the prefix, others strip it; both are accepted.
    """
    path: str = scope["path"]
    below = path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path
    if prefix:
        scope["root_path"] = prefix
        scope["path"] = prefix + (below or "/")
    return below or "/"


def _check_host(settings: ServerSettings, headers: Headers) -> None:
    """Raise ``ApiError`` (421) for an unknown ``Host``, against DNS rebinding.

    A server that is open to other machines, which needs a token, checks only where hosts are listed.
    """
    if not settings.is_local and not settings.allowed_hosts:
        return
    if not is_allowed_host(headers, (settings.host, *settings.allowed_hosts), settings.is_local):
        raise wrong_host_error()


def _check_token(settings: ServerSettings, headers: Headers) -> None:
    """Raise ``ApiError`` (401) unless the bearer token is right; compared in constant time."""
    if not settings.token:
        return
    scheme, _space, token = headers.get("authorization", "").partition(" ")
    is_equal = hmac.compare_digest(token.strip().encode("latin-1", "replace"), settings.token.encode("ascii"))
    if not (is_equal and scheme.lower() == "bearer"):
        message = _("The server requires a token. Send the header  Authorization: Bearer TOKEN")
        raise ApiError(401, "token", message, {"WWW-Authenticate": "Bearer"})


def _preflight_response() -> Response:
    """Return the response to a CORS preflight of an allowed origin, which browsers may cache for 10 minutes."""
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=headers)
