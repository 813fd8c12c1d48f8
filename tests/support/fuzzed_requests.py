"""Test data: fuzzed HTTP requests with damaged images in damaged bodies."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.support import damaged_images

Random = random.Random
Headers = tuple[tuple[bytes, bytes], ...]
OPTIONS = ("model", "top", "threshold")
WORDS = (
    *("", "\0", "../../../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x", "%s%s%n", "{0}", "{path}"),
    *("$(id)", "'; drop table", "<script>", "\r\nX-Evil: 1", "ñ", "\ud800", "\u202e", "a" * 5_000, "nan", "-1"),
    *("1e999", "0x10", "true", "null", "9" * 400, "[]", "{}", "none", "tiny"),
)
PATHS = (
    *("/v1/predict", "/v1/predict/", "/v1/models", "/v1/models/..", "/v1/corrections", "/healthz", "/readyz"),
    *("/metrics", "/openapi.json", "/docs", "/", "/static/../../../etc/passwd", "/static/%2e%2e/%2e%2e/app.py", "//"),
    *("/.env", "/page/..%2f..%2fapp.py", "/\0", "/v1/predict;x=1"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO")
HEADERS = (
    *(b"content-type", b"content-length", b"accept-language", b"authorization", b"host", b"origin", b"accept"),
    *(b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-prefix", b"content-encoding", b"expect", b"range"),
    *(b"cookie", b"if-none-match"),
)
VALUES = (
    *(b"", b"\xff\xfe", b"image/png", b"image/*", b"image/png; q=\0", b"en;q=nan, es;q=2, " + b"pt," * 900),
    *(b"Bearer \xff", b"-1", b"1" * 30, b"gzip", b"chunked", b"bytes=-1", b"../x", b"evil.example", b"[::1"),
    b"a" * 9_000,
)


@dataclass(frozen=True)
class Request:
    """An HTTP request as a server receives it; ``what`` describes the damage."""

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    what: str


def request(number: int) -> Request:
    """Return the request with this number, the same one every time."""
    rng = Random(number)
    weights = {
        _of_image: 50,
        _of_json: 15,
        _of_form: 15,
        _of_headers: 7,
        _of_path: 6,
        _of_drawing: 3,
        _of_correction: 4,
    }
    return rng.choices(list(weights), list(weights.values()))[0](rng)


def form(files: list[tuple[str, str, bytes]]) -> bytes:
    """Return a multipart body with the boundary ``cut`` from (field, name, content) entries."""
    parts = []
    for field, name, data in files:
        head = f'--cut\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        parts.append(head.encode("utf-8", "replace") + data + b"\r\n")
    return b"".join(parts) + b"--cut--\r\n"


def _asked(rng: Random, body: bytes, kind: bytes, what: str, often: float = 0.2) -> Request:
    return Request("POST", "/v1/predict", _query(rng, often), ((b"content-type", kind),), body, what)


def _query(rng: Random, often: float) -> bytes:
    if rng.random() > often:
        return b""
    pairs = [f"{rng.choice((*OPTIONS, 'lang', 'x'))}={rng.choice(WORDS)}" for _i in range(rng.choice((1, 2, 40)))]
    return "&".join(pairs).encode("utf-8", "replace").replace(b"\r\n", b"%0d%0a").replace(b"\0", b"%00%ff")


def _of_image(rng: Random) -> Request:
    kind, data, what = damaged_images.image(rng)
    wrap = rng.choice((_raw, _raw, _in_form, _in_json))
    content, body = wrap(rng, kind, data)
    return _asked(rng, body, content, f"{what} {kind}", 0.1)


def _raw(_rng: Random, kind: str, data: bytes) -> tuple[bytes, bytes]:
    return f"image/{kind}".encode(), data


def _in_form(rng: Random, kind: str, data: bytes) -> tuple[bytes, bytes]:
    return b"multipart/form-data; boundary=cut", form([("images", f"a.{kind}", data)] * rng.choice((1, 1, 2, 3)))


def _in_json(rng: Random, kind: str, data: bytes) -> tuple[bytes, bytes]:
    one = {"name": f"a.{kind}", "data": base64.b64encode(data).decode()}
    return b"application/json", json.dumps({"images": [one] * rng.choice((1, 1, 2))}).encode()


def _value(rng: Random, depth: int = 0) -> object:
    if depth > 3 or rng.random() < 0.6:
        return rng.choice((None, True, 0, -1, 2**70, 1.5, float("nan"), float("inf"), *WORDS))
    if rng.random() < 0.5:
        return [_value(rng, depth + 1) for _i in range(rng.choice((0, 1, 3)))]
    names = ("images", "name", "data", "image", *OPTIONS, *WORDS)
    return {rng.choice(names): _value(rng, depth + 1) for _i in range(rng.choice((0, 1, 3)))}


def _of_json(rng: Random) -> Request:
    photo = base64.b64encode(damaged_images.seeds()["png"][0]).decode()
    shapes: tuple[Callable[[], object], ...] = (
        lambda: _value(rng),
        lambda: {"images": _value(rng)},
        lambda: {"images": [_value(rng)]},
        lambda: {"images": [{"name": rng.choice(WORDS), "data": photo}], rng.choice(OPTIONS): _value(rng)},
        lambda: {"images": [{"data": photo[: rng.randrange(len(photo))] + rng.choice(("=", "===", "\n", "%", "ñ"))}]},
        lambda: {"images": [{"data": photo}] * rng.choice((0, 100, 500))},
    )
    text = json.dumps(rng.choice(shapes)()).encode()
    how = rng.random()
    if how < 0.2:
        depth = rng.choice((100, 5_000, 100_000))
        text = rng.choice((b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth))
    elif how < 0.4:
        text = damaged_images.flipped(rng, "", text)
    elif how < 0.5:
        text = text[: rng.randrange(len(text) + 1)]
    kind = rng.choice((b"", b"", b"; charset=utf-16", b"; charset=nothing", b"x"))
    return _asked(rng, text, b"application/json" + kind, "json")


def _of_form(rng: Random) -> Request:
    photo = rng.choice(damaged_images.seeds()["jpeg"])
    fields = ("images", "images", "file", *OPTIONS, *WORDS)
    body = form([(rng.choice(fields), rng.choice(WORDS), photo) for _i in range(rng.choice((0, 1, 3, 60)))])
    how = rng.random()
    if how < 0.3:
        body = damaged_images.flipped(rng, "", body)
    elif how < 0.5:
        body = body[: rng.randrange(len(body))]
    elif how < 0.6:
        body = b"--cut\r\n" + b"X-A: " + b"a" * rng.choice((10, 10_000, 300_000)) + b"\r\n\r\n"
    elif how < 0.7:
        body = b"--cut\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n" * rng.choice((10, 3_000)) + b"--cut--"
    edges = (b"cut", b"cut", b"cut", b"", b'"cut', b"c" * 3_000, b"\xff", b"cut; charset=x", b"--cut")
    return _asked(rng, body, b"multipart/form-data; boundary=" + rng.choice(edges), "form")


def _of_headers(rng: Random) -> Request:
    headers = tuple((rng.choice(HEADERS), rng.choice(VALUES)) for _i in range(rng.choice((1, 3, 80))))
    body = rng.choice((b"", rng.choice(damaged_images.seeds()["png"]), rng.randbytes(300)))
    return Request(rng.choice(("POST", "GET")), "/v1/predict", _query(rng, 0.5), headers, body, "headers")


def _of_path(rng: Random) -> Request:
    path = rng.choice(PATHS) + rng.choice(("", "", "/" + rng.choice(WORDS)))
    return Request(rng.choice(METHODS), path, _query(rng, 0.5), (), b"", "path")


def _of_drawing(rng: Random) -> Request:
    point = rng.choice(([0.5, 0.5], [0, 1e300], [0], [[0, 0]], ["1", "2"], [None, 1], [float("nan"), 0], "ab", {}))
    stroke = [[rng.random(), rng.random()] for _i in range(rng.choice((0, 1, 30, 30, 7_000)))] + [point]
    strokes = rng.choice((_value(rng), [stroke], [stroke[:2]] * 300, [[]], stroke))
    text = json.dumps(rng.choice(({"strokes": strokes}, strokes))).encode()
    text = rng.choice((text, text, damaged_images.flipped(rng, "", text), b"[" * 100_000))
    return Request("POST", "/v1/drawing", b"", ((b"content-type", b"application/json"),), text, "drawing")


def _of_correction(rng: Random) -> Request:
    _kind, data, what = damaged_images.image(rng)
    label = rng.choice(("red", "green", *WORDS)).encode("utf-8", "replace")
    field = rng.choice((b"label", b"label", b"objects", b"model", b"x"))
    plain = b'--cut\r\nContent-Disposition: form-data; name="' + field + b'"\r\n\r\n' + label + b"\r\n"
    body = plain + form([("image", rng.choice(("a.png", *WORDS)), data)])
    if rng.random() < 0.2:
        body = damaged_images.flipped(rng, "", body)
    headers = ((b"content-type", b"multipart/form-data; boundary=cut"),)
    return Request("POST", "/v1/corrections", b"", headers, body, f"correction of {what}")
