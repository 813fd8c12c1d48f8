"""Says which part of lince is not installed, in place of Python's complaint about a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lince.errors import MissingExtraError
from lince.messages import _


@contextmanager
def training_part() -> Iterator[None]:
    """Turn a library that is missing within into ``MissingExtraError`` with the line to type."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lince":
            raise
        raise MissingExtraError(
            _("This needs {module}, which is not installed.").format(module=error.name),
            _("Expected lince with its training part."),
            _("In lince's own folder, type: {line}").format(line='pip install -e ".[train]"'),
        ) from error
