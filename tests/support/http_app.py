"""Test client: calls a server's ASGI application in process, and checks its responses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from tests.support.fuzzed_requests import Request

HOST = b"127.0.0.1:8000"
CHUNK = 65_536
App = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
# Internals: tracebacks, paths on disk, names of lince's files and of Python objects.
INSIDE = re.compile(
    r"Traceback|File \"|site-packages|/src/lince|\.py\b|/tmp/|/home/|/root/|\\\\Users|root:x:|<\w+ object at|"
    r"0x[0-9a-f]{8}|\b(?:cv2|numpy|onnxruntime|PIL|pydantic|starlette|Pillow|OpenCV)\b|\b[A-Z]\w+(?:Error|Exception)\b"
)


@dataclass(frozen=True)
class Answer:
    """A response: status, headers by lower-case name, body."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def ask(app: App, request: Request) -> Answer:
    """Send ``request`` to ``app`` with its body in chunks; return the response."""
    inbox = [
        {"type": "http.request", "body": request.body[at : at + CHUNK], "more_body": at + CHUNK < len(request.body)}
        for at in range(0, max(1, len(request.body)), CHUNK)
    ]
    said: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if inbox:
            return inbox.pop(0)
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await app(scope(request), receive, send)
    ended.set()
    headers = {name.lower(): value for name, value in said[0]["headers"]}
    return Answer(said[0]["status"], headers, b"".join(part.get("body", b"") for part in said[1:]))


def scope(request: Request) -> dict[str, Any]:
    raw = quote(request.path, safe="/%;:@.~", errors="replace")
    headers = list(request.headers)
    given = {name for name, _value in headers}
    if b"host" not in given:
        headers.append((b"host", HOST))
    if not {b"content-length", b"transfer-encoding"} & given:
        headers.append((b"content-length", str(len(request.body)).encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode("ascii"),
        "query_string": request.query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_000),
        "state": {},
    }


def faults(request: Request, answer: Answer, secrets: tuple[str, ...] = ()) -> list[str]:
    """Return the faults of ``answer``; ``secrets`` are further texts that it must not contain."""
    found = []
    text = answer.body.decode("utf-8", "replace")
    if answer.status >= 500 and answer.status != 503:
        found.append(f"status {answer.status}")
    if answer.status >= 400 and request.method != "HEAD":
        found += _not_an_error(text)
    if answer.status < 300 and request.path == "/v1/predict" and request.method == "POST":
        found += _not_predictions(text)
    shown = text + " ".join(value.decode("latin-1") for value in answer.headers.values())
    if answer.headers.get(b"content-type", b"").startswith(b"application/json") and request.path != "/openapi.json":
        leak = INSIDE.search(shown)
        if leak and leak[0] not in str(request):
            found.append(f"tells of the inside: {shown[max(0, leak.start() - 60) : leak.end() + 60]}")
    return found + [f"tells {secret}" for secret in secrets if secret in shown]


def _not_an_error(text: str) -> list[str]:
    try:
        said = json.loads(text)["error"]
        whole = isinstance(said["code"], str) and isinstance(said["message"], str) and said["code"] and said["message"]
    except (ValueError, KeyError, TypeError):
        whole = False
    return [] if whole else [f"an error without code and message: {text[:200]}"]


def _not_predictions(text: str) -> list[str]:
    try:
        said = json.loads(text)
        whole = isinstance(said["model"], str) and all(isinstance(one, dict) for one in said["predictions"])
    except (ValueError, KeyError, TypeError):
        whole = False
    return [] if whole else [f"no predictions: {text[:200]}"]
