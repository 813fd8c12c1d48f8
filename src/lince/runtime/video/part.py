"""Says plainly that the part of lince for videos is not installed, where its libraries are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lince.errors import MissingExtraError
from lince.messages import _


@contextmanager
def video_part() -> Iterator[None]:
    """Turn a library that is missing within into ``MissingExtraError`` with the line to type."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lince":
            raise
        raise MissingExtraError(
            _("This needs {module}, which is not installed.").format(module=error.name),
            _("Expected lince with its part for videos."),
            _("In lince's own folder, type: {line}").format(line='pip install -e ".[video]"'),
        ) from error
