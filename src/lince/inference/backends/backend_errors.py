"""What is said of a network file that cannot be used, whatever runs it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from lince.errors import ModelError
from lince.i18n import _


def missing_network_error(path: Path, expected: str) -> ModelError:
    """Return the error for a file that is not there."""
    return ModelError(
        _("There is no network file {path}.").format(path=path),
        expected,
        _("Give a run whose training has ended, or its model folder."),
    )


def unreadable_network_error(path: Path, size: int, expected: str) -> ModelError:
    """Return the error for a file of ``size`` bytes that no network can be read from."""
    return ModelError(
        _("{path} cannot be read as a network: it is cut off, or something else ({size} bytes).").format(
            path=path, size=size
        ),
        expected,
        _("Copy the model folder again, or export the run again."),
    )


def unusable_network_error(path: Path, reason: str) -> ModelError:
    """Return the error for a network that does not do what lince asks of it."""
    return ModelError(
        _("{path} is not a network that lince can use: {reason}.").format(path=path, reason=reason.rstrip(".")),
        _("Expected one input of images and the outputs that its card or its maker speaks of."),
        _("Give a model that lince trained or exported, or a detector that Ultralytics or YOLOX exported."),
    )


def require_one_input(path: Path, count: int) -> None:
    """Raise ``ModelError`` when a network has another number of inputs than one."""
    if count != 1:
        raise unusable_network_error(path, _("it has {count} inputs").format(count=count))


def require_outputs(path: Path, requested: Sequence[str], known: Collection[str]) -> None:
    """Raise ``ModelError`` when an output is ``asked`` for that is not among those ``known``."""
    unknown = [name for name in requested if name not in known]
    if unknown:
        raise unusable_network_error(path, _("it has no output called {names}").format(names=", ".join(unknown)))
