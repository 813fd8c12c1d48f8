"""What every target is: how a network is written for it, opened again to be judged, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lince.errors import MissingExtraError, UsageError
from lince.messages import _
from lince.runtime.engines import Engine, open_network

Write = Callable[[Path, Path, str], None]
Open = Callable[[Path], Engine]
Words = Callable[[], str]


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Target:
    """One form that a network can be exported to.

    ``write(network, path, precision)`` writes the ONNX ``network`` to ``path``, whose name is ``file``; the weights of
    ``network`` are in eight bits already when the ``precision`` is int8. It is ``None`` where lince writes none, and
    ``instead`` tells what to do. ``open(path)`` runs what was written, so that it can be judged; ``None`` where this
    machine cannot, and ``why`` tells the reason. ``needs`` are modules with the line that installs each.
    """

    name: str
    file: str
    write: Write | None
    open: Open | None
    precisions: tuple[str, ...] = ("fp32",)
    needs: tuple[tuple[str, str], ...] = ()
    why: Words = _nothing
    instead: Words = _nothing

    def missing(self) -> list[tuple[str, str]]:
        """Return what of ``needs`` is not installed."""
        return [(module, line) for module, line in self.needs if find_spec(module) is None]

    def writer(self) -> Write:
        """Return ``write``; raise ``UsageError`` without one, ``MissingExtraError`` when what it needs is missing."""
        if self.write is None:
            raise UsageError(
                _("lince does not write models for {target}.").format(target=self.name), "", self.instead()
            )
        missing = self.missing()
        if missing:
            raise MissingExtraError(
                _("Exporting to {target} needs {modules}, not installed here.").format(
                    target=self.name, modules=", ".join(module for module, _line in missing)
                ),
                "",
                _("Type: {line}").format(line="; ".join(line for _module, line in missing)),
            )
        return self.write


def by_runtime(name: str) -> Open:
    """Return what opens a file for the target ``name`` by lince's own runtime."""

    def opened(path: Path) -> Engine:
        return open_network(name, path)

    return opened
