"""Reads what clients send, no further than the limits go: a body that is too large or too slow is cut off."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from lince.messages import _
from lince.serving import forms, photos, state
from lince.serving.photos import Asked, Choices
from lince.serving.refusals import bad, gone, too_large, too_slow
from lince.serving.settings import Limits

_LARGE = 1 << 20  # bytes of a body from which on it is taken apart in a thread
_QUERY_BYTES = 4096
_LONGEST_LENGTH = 20


async def read(request: Request) -> Asked:
    """Return what ``request`` asks; raise ``RefusedError`` when it cannot be understood or is over a limit."""
    limits = state.of(request).settings.limits
    content_type = request.headers.get("content-type", "")
    read_body = forms.reader(content_type)
    query = _query(request)
    data = await body(request, limits)
    if len(data) > _LARGE:
        taken = await asyncio.to_thread(read_body, data, content_type, limits)
    else:
        taken = read_body(data, content_type, limits)
    state.exchange(request.scope).images = len(taken.photos)
    return Asked(taken.photos, Choices.of(photos.joined(query, taken.fields)))


def is_raw(request: Request) -> bool:
    """Tell whether the body is one image and nothing else."""
    kind = request.headers.get("content-type", "")
    return not kind.lower().startswith(("multipart/", "application/json"))


async def body(request: Request, limits: Limits) -> bytes:
    """Return the body of ``request``; raise ``RefusedError`` when it is too large, too slow or cut off."""
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()):
        raise bad("bad-length", _("The length of the body is no number."))
    if len(declared) > _LONGEST_LENGTH or int(declared) > limits.request_bytes:
        raise too_large(limits.request_bytes)
    try:
        async with asyncio.timeout(limits.seconds):
            return await _collect(request, limits.request_bytes)
    except TimeoutError:
        raise too_slow(limits.seconds) from None


async def _collect(request: Request, limit: int) -> bytes:
    bodies, exchange = state.of(request).bodies, state.exchange(request.scope)
    chunks: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise gone()
        chunk = message.get("body", b"")
        exchange.received += len(chunk)
        if exchange.received > limit:
            raise too_large(limit)
        bodies.take(len(chunk))
        exchange.held += len(chunk)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _query(request: Request) -> dict[str, str]:
    if len(request.scope["query_string"]) > _QUERY_BYTES:
        raise bad("bad-option", _("The address is too long."), 414)
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name == "lang":
            continue
        found = photos.joined(found, {name: value})
    return found
