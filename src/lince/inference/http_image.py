"""Downloads one image over HTTP or HTTPS, only where the caller allows it, bounded in bytes and in time."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from lince.errors import ImageError
from lince.i18n import _
from lince.storage.url import hide_secrets

MAX_IMAGE_BYTES = 64 * 2**20
TIMEOUT_SECONDS = 30.0  # for one image, from the connection to the last byte
_CHUNK_BYTES = 2**16
_USER_AGENT = "lince"


def download_image(url: str, allowed: bool) -> bytes:
    """Return the content of ``url``; nothing is stored or decoded.

    Redirects are followed and proxies of the environment used, but only to http and https: never to ``file:`` or
    ``ftp:``. Raises ``ImageError`` when ``allowed`` is false, on any network or HTTP error, after 30 seconds, and when
    there are more than 64 MiB. Messages leave out the query of the URL, which may hold a key.
    """
    shown_url = hide_secrets(url)
    if not allowed:
        raise ImageError(
            _("{address} is a web address.").format(address=shown_url),
            _("Expected a photo on this machine: lince only uses the network when you allow it."),
            _("Allow it with --allow-urls (in Python: lince.load(RUN, allow_urls=True))."),
        )
    import http.client  # noqa: PLC0415

    try:
        return _download_bytes(url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ImageError(
            _("{address} cannot be downloaded: {reason}.").format(address=shown_url, reason=reason)
        ) from error


def open_web_url(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    """Return the response of ``url``, open for reading: of http and https alone, redirects included.

    Waits ``timeout`` seconds for the connection and for each part of the answer. Raises ``OSError`` and its kin as
    ``urllib.request`` does. A user name and password in ``url`` are sent to its server alone. The opener is built by
    hand: ``urlopen`` would also accept ``file:``, ``ftp:`` and ``data:`` URLs.
    """
    from urllib import request  # noqa: PLC0415

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
        request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    opener.addheaders = [("User-Agent", _USER_AGENT)]
    parts = urlsplit(url)
    user, _at, host = parts.netloc.rpartition("@")
    asked = request.Request(  # noqa: S310
        parts._replace(netloc=host).geturl()
    )
    for name, value in headers.items():
        asked.add_header(name, value)
    if user:  # for this server alone: not for another one that it leads to
        credentials = base64.b64encode(unquote(user).encode()).decode()
        asked.add_unredirected_header("Authorization", f"Basic {credentials}")
    return opener.open(asked, timeout=timeout)


def _download_bytes(url: str) -> bytes:
    """Read ``url`` in chunks; raise ``ValueError`` above the size limit, ``TimeoutError`` after the time limit."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    data = bytearray()
    with open_web_url(url, {}, TIMEOUT_SECONDS) as response:
        while chunk := response.read1(_CHUNK_BYTES):
            data += chunk
            if len(data) > MAX_IMAGE_BYTES:
                raise ValueError(_("it is larger than {count} bytes").format(count=MAX_IMAGE_BYTES))
            if time.monotonic() > deadline:
                raise TimeoutError(_("it took more than {seconds:.0f} seconds").format(seconds=TIMEOUT_SECONDS))
    return bytes(data)
