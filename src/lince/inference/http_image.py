"""Downloads one image over HTTP or HTTPS, only where the caller allows it, bounded in bytes and in time."""

from __future__ import annotations

import time

from lince.errors import ImageError
from lince.i18n import _

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
    shown_url = url.partition("?")[0]
    if not allowed:
        raise ImageError(
            _("{address} is a web address.").format(address=shown_url),
            _("Expected a photo on this machine: lince only uses the network when you allow it."),
            _("Allow it:  lince.load(RUN, allow_urls=True)"),
        )
    import http.client  # noqa: PLC0415

    try:
        return _download_bytes(url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ImageError(
            _("{address} cannot be downloaded: {reason}.").format(address=shown_url, reason=reason)
        ) from error


def _download_bytes(url: str) -> bytes:
    """Read ``url`` in chunks; raise ``ValueError`` above the size limit, ``TimeoutError`` after the time limit.

    The opener is built by hand: ``urlopen`` would also accept ``file:``, ``ftp:`` and ``data:`` URLs.
    """
    from urllib import request  # noqa: PLC0415

    deadline = time.monotonic() + TIMEOUT_SECONDS
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
    data = bytearray()
    with opener.open(url, timeout=TIMEOUT_SECONDS) as response:
        while chunk := response.read1(_CHUNK_BYTES):
            data += chunk
            if len(data) > MAX_IMAGE_BYTES:
                raise ValueError(_("it is larger than {count} bytes").format(count=MAX_IMAGE_BYTES))
            if time.monotonic() > deadline:
                raise TimeoutError(_("it took more than {seconds:.0f} seconds").format(seconds=TIMEOUT_SECONDS))
    return bytes(data)
