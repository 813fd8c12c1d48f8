"""Error messages for unusable network files, shared by all inference backends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from lince.errors import ModelError
from lince.i18n import _


def missing_network_error(path: Path, expected: str) -> ModelError:
    """Return the error for a network file that does not exist; ``expected`` describes the file for the user."""
    return ModelError(
        _("There is no network file {path}.").format(path=path),
        expected,
        _("Give a finished training run, or its model folder."),
    )


def unreadable_network_error(path: Path, size: int, expected: str) -> ModelError:
    """Return the error for a file of ``size`` bytes that the runtime cannot parse: truncated, or of another format."""
    return ModelError(
        _("{path} cannot be read as a network: it is truncated or of another type ({size} bytes).").format(
            path=path, size=size
        ),
        expected,
        _("Copy the model folder again, or export the run again."),
    )


def unusable_network_error(path: Path, reason: str) -> ModelError:
    """Return the error for a network that loads but has not the inputs or outputs that lince needs, or fails to run."""
    return ModelError(
        _("lince cannot use the network {path}: {reason}.").format(path=path, reason=reason.rstrip(".")),
        _("Expected one image input and the outputs that its model card or its exporter defines."),
        _("Give a model that lince trained or exported, or a detector that Ultralytics or YOLOX exported."),
    )


def require_one_input(path: Path, count: int) -> None:
    """Raise ``ModelError`` when the network has another number of inputs than one."""
    if count != 1:
        raise unusable_network_error(path, _("it has {count} inputs").format(count=count))


def require_outputs(path: Path, requested: Sequence[str], available: Collection[str]) -> None:
    """Raise ``ModelError`` with the missing names when ``requested`` outputs are not among those ``available``."""
    missing = [name for name in requested if name not in available]
    if missing:
        raise unusable_network_error(path, _("it has no output called {names}").format(names=", ".join(missing)))
