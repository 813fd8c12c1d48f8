"""Recognises URLs where a path or a URL may be given."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

_WEB_SCHEMES = ("http://", "https://")
_STREAM_SCHEMES = ("rtsp://", "rtsps://")


def is_url(text: str) -> bool:
    """Whether ``text`` is a URL of any scheme (``s3://``, ``https://``, ``file://``) rather than a path."""
    return "://" in text


def is_web_url(text: str) -> bool:
    """Whether ``text`` is a URL on a web server: ``http://`` or ``https://``, whatever its case."""
    return text.lower().startswith(_WEB_SCHEMES)


def is_stream_url(text: str) -> bool:
    """Whether ``text`` is a URL of a camera or a media server: ``rtsp://`` or ``rtsps://``, whatever its case."""
    return text.lower().startswith(_STREAM_SCHEMES)


def hide_secrets(url: str) -> str:
    """Return ``url`` without user name, password and query, for messages and results."""
    scheme, _colon, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}".partition("?")[0]


def file_url_to_path(url: str) -> Path | None:
    """Return the local path that a ``file://`` URL stands for, ``None`` for any other URL.

    Escaped characters such as ``%20`` are decoded.
    """
    return Path(url2pathname(urlsplit(url).path)) if url.lower().startswith("file://") else None
