"""Recognises URLs where a path or a URL may be given."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

_WEB_SCHEMES = ("http://", "https://")


def is_url(text: str) -> bool:
    """Whether ``text`` is a URL of any scheme (``s3://``, ``https://``, ``file://``) rather than a path."""
    return "://" in text


def is_web_url(text: str) -> bool:
    """Whether ``text`` is a URL on a web server: ``http://`` or ``https://``, whatever its case."""
    return text.lower().startswith(_WEB_SCHEMES)


def file_url_to_path(url: str) -> Path | None:
    """Return the local path that a ``file://`` URL stands for, ``None`` for any other URL.

    Escaped characters such as ``%20`` are decoded.
    """
    return Path(url2pathname(urlsplit(url).path)) if url.lower().startswith("file://") else None
