"""Photos from the web, for those who allow it: bounded in bytes and in time, nothing but HTTP, nothing kept."""

from __future__ import annotations

import time

from lince.errors import ImageError
from lince.i18n import _

MAX_IMAGE_BYTES = 64 * 2**20  # bytes of one photo
TIMEOUT_SECONDS = 30.0  # for one photo, from the first word to the last byte
_CHUNK_BYTES = 2**16
_USER_AGENT = "lince"


def download_image(url: str, allowed: bool) -> bytes:
    """Return the file at ``address`` (http or https).

    Raises ``ImageError`` when that is not ``allowed``, when it cannot be had in half a minute, or is larger than 64 MB.
    """
    told = url.partition("?")[0]  # what follows may be a key
    if not allowed:
        raise ImageError(
            _("{address} lies on the web.").format(address=told),
            _("Expected a photo on this machine: lince asks the network only when it is told to."),
            _("Allow it:  lince.load(RUN, allow_urls=True)"),
        )
    import http.client  # noqa: PLC0415

    try:
        return _download_bytes(url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ImageError(_("{address} cannot be had: {reason}.").format(address=told, reason=reason)) from error


def _download_bytes(address: str) -> bytes:
    from urllib import request  # noqa: PLC0415

    until = time.monotonic() + TIMEOUT_SECONDS
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
    with opener.open(address, timeout=TIMEOUT_SECONDS) as answer:
        while part := answer.read1(_CHUNK_BYTES):
            data += part
            if len(data) > MAX_IMAGE_BYTES:
                raise ValueError(_("it is larger than {count} bytes").format(count=MAX_IMAGE_BYTES))
            if time.monotonic() > until:
                raise TimeoutError(_("it took more than {seconds:.0f} seconds").format(seconds=TIMEOUT_SECONDS))
    return bytes(data)
