"""Says which part of lince is not installed, in place of Python's complaint about a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from lince.errors import MissingExtraError
from lince.i18n import _


def require_training_extra() -> AbstractContextManager[None]:
    """Turn a library that is missing within into ``MissingExtraError`` with the line to type."""
    return _require_extra(_("Expected lince with its training part."), "train")


def require_video_extra() -> AbstractContextManager[None]:
    """Turn a library that is missing within into ``MissingExtraError`` with the line to type."""
    return _require_extra(_("Expected lince with its part for videos."), "video")


@contextmanager
def _require_extra(expected: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lince":
            raise
        raise MissingExtraError(
            _("This needs {module}, which is not installed.").format(module=error.name),
            expected,
            _("In lince's own folder, type: {line}").format(line=f'pip install -e ".[{extra}]"'),
        ) from error
