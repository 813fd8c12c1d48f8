"""Reads what clients send, no further than the limits go: a body that is too large or too slow is cut off."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from lince.i18n import _
from lince.serving import request_body, request_images, state
from lince.serving.http_errors import (
    client_disconnected_error,
    client_error,
    request_timeout_error,
    request_too_large_error,
)
from lince.serving.request_images import PredictOptions, PredictRequest
from lince.serving.settings import RequestLimits

_LARGE_BODY_BYTES = 1 << 20  # bytes of a body from which on it is taken apart in a thread
_MAX_QUERY_BYTES = 4096
_MAX_LENGTH_DIGITS = 20


async def read_request(request: Request) -> PredictRequest:
    """Return what ``request`` asks; raise ``RefusedError`` when it cannot be understood or is over a limit."""
    limits = state.get_server_state(request).settings.limits
    content_type = request.headers.get("content-type", "")
    read_body = request_body.select_body_parser(content_type)
    query = _query_options(request)
    data = await receive_body(request, limits)
    if len(data) > _LARGE_BODY_BYTES:
        taken = await asyncio.to_thread(read_body, data, content_type, limits)
    else:
        taken = read_body(data, content_type, limits)
    state.get_request_context(request.scope).image_count = len(taken.images)
    return PredictRequest(taken.images, PredictOptions.from_strings(request_images.merge_options(query, taken.fields)))


def is_raw_image(request: Request) -> bool:
    """Tell whether the body is one image and nothing else."""
    kind = request.headers.get("content-type", "")
    return not kind.lower().startswith(("multipart/", "application/json"))


async def receive_body(request: Request, limits: RequestLimits) -> bytes:
    """Return the body of ``request``; raise ``RefusedError`` when it is too large, too slow or cut off."""
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()):
        raise client_error("bad-length", _("The length of the body is no number."))
    if len(declared) > _MAX_LENGTH_DIGITS or int(declared) > limits.request_bytes:
        raise request_too_large_error(limits.request_bytes)
    try:
        async with asyncio.timeout(limits.seconds):
            return await _collect_chunks(request, limits.request_bytes)
    except TimeoutError:
        raise request_timeout_error(limits.seconds) from None


async def _collect_chunks(request: Request, limit: int) -> bytes:
    bodies, exchange = state.get_server_state(request).memory_budget, state.get_request_context(request.scope)
    chunks: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise client_disconnected_error()
        chunk = message.get("body", b"")
        exchange.received_bytes += len(chunk)
        if exchange.received_bytes > limit:
            raise request_too_large_error(limit)
        bodies.reserve(len(chunk))
        exchange.held_bytes += len(chunk)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _query_options(request: Request) -> dict[str, str]:
    if len(request.scope["query_string"]) > _MAX_QUERY_BYTES:
        raise client_error("bad-option", _("The address is too long."), 414)
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name == "lang":
            continue
        found = request_images.merge_options(found, {name: value})
    return found
