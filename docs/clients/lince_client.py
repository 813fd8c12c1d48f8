"""Sends photos to `lince serve`, using only the standard library. Copy this file into your own program."""

import json
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


class Refused(Exception):
    """The server refused the request: the HTTP status, and the reason as text."""


class Client:
    """A server at `url`; `patience` is how many seconds to retry while it is busy."""

    def __init__(self, url: str = "http://127.0.0.1:8000", token: str = "", patience: float = 60, timeout: float = 30):
        self.url, self.patience, self.timeout = url.rstrip("/"), patience, timeout
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def models(self) -> list[dict[str, Any]]:
        return self._ask("/v1/models")["models"]

    def predict(self, photos: Sequence[str | Path], batch: int = 8, **options: Any) -> Iterator[dict[str, Any]]:
        """Yield one record per photo, in order. `options` are those of the server: model, top, threshold."""
        for start in range(0, len(photos), batch):
            form, boundary = b"", uuid.uuid4().hex
            for path in map(Path, photos[start : start + batch]):
                name = path.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
                head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n'
                head += "Content-Type: application/octet-stream\r\n\r\n"
                form += head.encode("utf-8", "replace") + path.read_bytes() + b"\r\n"
            kind = f"multipart/form-data; boundary={boundary}"
            yield from self._ask("/v1/predict", form + f"--{boundary}--\r\n".encode(), kind, options)["predictions"]

    def _ask(self, path: str, body: bytes | None = None, kind: str = "", options: dict[str, Any] | None = None) -> Any:
        url = f"{self.url}{path}?{urlencode(options or {})}"
        request = Request(url, body, self.headers | ({"Content-Type": kind} if kind else {}))
        until = time.monotonic() + self.patience
        while True:
            try:
                with urlopen(request, timeout=self.timeout) as response:
                    return json.load(response)
            except HTTPError as error:
                wait = float(error.headers.get("Retry-After") or 1)
                if error.code not in (429, 503) or time.monotonic() + wait > until:
                    raise Refused(error.code, error.read().decode("utf-8", "replace")) from error
                time.sleep(wait)


if __name__ == "__main__":
    for record in Client(sys.argv[1]).predict(sys.argv[2:]):
        print(json.dumps(record, ensure_ascii=False))
