"""Receives and parses prediction requests within the limits of size and time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request

from lince.i18n import _
from lince.serving import request_body, request_options, state
from lince.serving.request_images import UploadedImage
from lince.serving.request_options import PredictOptions
from lince.serving.settings import RequestLimits
from lince.web.http_errors import (
    client_disconnected_error,
    client_error,
    request_timeout_error,
    request_too_large_error,
)

_LARGE_BODY_BYTES = 1 << 20  # a larger body is parsed in a thread, so that it does not block the event loop
_MAX_QUERY_BYTES = 4096
_MAX_LENGTH_DIGITS = 20  # of Content-Length


@dataclass(frozen=True, eq=False)
class PredictRequest:
    """A parsed prediction request: at least one image, and the options of query string and body together."""

    images: tuple[UploadedImage, ...]
    options: PredictOptions


async def read_request(request: Request) -> PredictRequest:
    """Return the images and options of ``request``, of any supported content type.

    Type and query are checked before the body is received. Raises ``ApiError`` when it cannot be parsed or exceeds a
    limit.
    """
    limits = state.get_server_state(request).settings.limits
    content_type = request.headers.get("content-type", "")
    parse_body = request_body.select_body_parser(content_type)
    query = _query_options(request)
    data = await receive_body(request, limits)
    if len(data) > _LARGE_BODY_BYTES:
        body = await asyncio.to_thread(parse_body, data, content_type, limits)
    else:
        body = parse_body(data, content_type, limits)
    state.get_request_context(request.scope).image_count = len(body.images)
    return PredictRequest(body.images, PredictOptions.from_strings(request_options.merge_options(query, body.fields)))


def is_raw_image(request: Request) -> bool:
    """Return whether the body is the bytes of one image, so that its error is the response's status."""
    content_type = request.headers.get("content-type", "")
    return not content_type.lower().startswith(("multipart/", "application/json"))


async def receive_body(request: Request, limits: RequestLimits) -> bytes:
    """Return the body of ``request``.

    Raises ``ApiError`` when ``Content-Length`` is not a number (400), the body is too large (413) or too slow (408),
    all bodies together exceed the memory budget (429), or the client disconnects (499).
    """
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()):
        raise client_error("bad-length", _("The length of the body is not a number."))
    if len(declared) > _MAX_LENGTH_DIGITS or int(declared) > limits.request_bytes:
        raise request_too_large_error(limits.request_bytes)
    try:
        async with asyncio.timeout(limits.seconds):
            return await _collect_chunks(request, limits.request_bytes)
    except TimeoutError:
        raise request_timeout_error(limits.seconds) from None


async def _collect_chunks(request: Request, limit: int) -> bytes:
    """Receive the body chunk by chunk, reserving memory for each before it is kept; the middleware releases it."""
    budget, context = state.get_server_state(request).memory_budget, state.get_request_context(request.scope)
    chunks: list[bytes] = []
    has_more = True
    while has_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise client_disconnected_error()
        chunk = message.get("body", b"")
        context.received_bytes += len(chunk)
        if context.received_bytes > limit:
            raise request_too_large_error(limit)
        budget.reserve(len(chunk))
        context.held_bytes += len(chunk)
        chunks.append(chunk)
        has_more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _query_options(request: Request) -> dict[str, str]:
    """Return the options in the query string, without ``lang``, which the middleware has read."""
    if len(request.scope["query_string"]) > _MAX_QUERY_BYTES:
        raise client_error("bad-option", _("The address is too long."), 414)
    options: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name == "lang":
            continue
        options = request_options.merge_options(options, {name: value})
    return options
