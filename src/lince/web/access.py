"""Which requests a server may answer: checks of host and origin, security headers, the language of the client."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.datastructures import Headers

from lince.i18n import LANGUAGES, _
from lince.web.http_errors import ApiError, client_error
from lince.web.loopback import is_loopback

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_MAX_ACCEPT_LANGUAGE = 200  # characters of the header that are read


def negotiate_language(query: bytes, accepted: str) -> str | None:
    """Return the language for a response: ``lang=`` of the query string, else the best of ``Accept-Language``.

    ``None`` where neither names one of ``LANGUAGES``. Regions are ignored; ties go to the first.

    >>> negotiate_language(b"", "fr;q=0.9, pt-BR;q=0.8, en;q=0.1")
    'pt'
    """
    requested = parse_qs(query.decode("latin-1")).get("lang", [""])[0][:2] if b"lang=" in query else ""
    if requested in LANGUAGES:
        return requested
    best_weight, best_language = 0.0, None
    for item in accepted[:_MAX_ACCEPT_LANGUAGE].split(","):
        code, _semicolon, parameters = item.strip().partition(";")
        weight = _parse_weight(parameters)
        if code[:2].lower() in LANGUAGES and code[2:3] in ("", "-") and weight > best_weight:
            best_weight, best_language = weight, code[:2].lower()
    return best_language


def _parse_weight(text: str) -> float:
    """Return the quality value in ``q=0.8``: 1 where there is none, 0 where it is not a number."""
    name, _equals, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    digits = value.strip()
    return float(digits) if digits.isascii() and digits.replace(".", "", 1).isdecimal() else 0.0


def is_allowed_host(headers: Headers, names: Collection[str], is_local: bool) -> bool:
    """Whether the ``Host`` of a request is one of ``names``, or, with ``is_local``, a name of this machine.

    Without that check, a page of another site could point its own name at this machine and read what the server
    answers (DNS rebinding).
    """
    host = _without_port(headers.get("host", ""))
    return host in names or (is_local and (is_loopback(host) or host.endswith(".localhost")))


def _without_port(host: str) -> str:
    """Return the name or address in a ``Host`` header, in lower case; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def is_allowed_origin(method: str, headers: Headers, origins: Collection[str] = ()) -> bool:
    """Whether a request comes from the server's own page, from one of ``origins``, or changes nothing (CSRF).

    Behind a proxy, ``Host`` can differ from the site that the page came from. So ``Sec-Fetch-Site: same-origin`` is
    accepted too: browsers set it and pages cannot (Fetch Metadata Request Headers, W3C).
    """
    origin = headers.get("origin", "")
    is_own_page = origin.partition("://")[2].lower() == headers.get("host", "?").lower()
    return method in _SAFE_METHODS or origin in origins or is_own_page or headers.get("sec-fetch-site") == "same-origin"


def wrong_host_error() -> ApiError:
    """Return the 421 for an unknown host."""
    message = _("Unknown host name. The server administrator can allow it with --allow-host.")
    return client_error("wrong-host", message, 421)


def wrong_origin_error() -> ApiError:
    """Return the 403 for a request of another site."""
    message = _(
        "Requests from other origins are not allowed. The server administrator can allow one with --allow-origin."
    )
    return client_error("wrong-origin", message, 403)
