"""Turns the import error of an optional library into a message that says how to install it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from lince.errors import MissingExtraError
from lince.fileio import make_install_line
from lince.i18n import _


def require_training_extra() -> AbstractContextManager[None]:
    """Return a context manager that turns a missing library into ``MissingExtraError`` for the extra ``train``."""
    return _require_extra(
        _("Expected lince with the extra for training; without it, classifiers train with --recipe transfer."), "train"
    )


def require_video_extra() -> AbstractContextManager[None]:
    """Return a context manager that turns a missing library into ``MissingExtraError`` for the extra ``video``."""
    return _require_extra(_("Expected lince with the extra for videos."), "video")


def require_studio_extra() -> AbstractContextManager[None]:
    """Return a context manager that turns a missing library into ``MissingExtraError`` for the extra ``studio``."""
    return _require_extra(_("Expected lince with the extra for labelling photos."), "studio")


@contextmanager
def _require_extra(expected: str, extra: str) -> Iterator[None]:
    """Raise ``MissingExtraError`` for a missing library; a missing module of lince itself, a bug, passes through."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lince":
            raise
        raise MissingExtraError(
            _("This needs {module}, which is not installed.").format(module=error.name),
            expected,
            _("In lince's own folder, type: {line}").format(line=make_install_line(extra)),
        ) from error
