"""What every target is: how a network is written for it, opened again to be judged, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lince.errors import MissingExtraError, UsageError
from lince.i18n import _
from lince.inference.backends.backend import Backend, open_network

WriteFunction = Callable[[Path, Path, str], None]
OpenFunction = Callable[[Path], Backend]
TextFunction = Callable[[], str]


def _empty_text() -> str:
    return ""


@dataclass(frozen=True)
class ExportTarget:
    """One form that a network can be exported to.

    ``write(network, path, precision)`` writes the ONNX ``network`` to ``path``, whose name is ``file``; the weights of
    ``network`` are in eight bits already when the ``precision`` is int8. It is ``None`` where lince writes none, and
    ``instead`` tells what to do. ``open(path)`` runs what was written, so that it can be judged; ``None`` where this
    machine cannot, and ``why`` tells the reason. ``needs`` are modules with the line that installs each.
    """

    name: str
    file_name: str
    write: WriteFunction | None
    open: OpenFunction | None
    precisions: tuple[str, ...] = ("fp32",)
    requirements: tuple[tuple[str, str], ...] = ()
    unverifiable_reason: TextFunction = _empty_text
    build_instructions: TextFunction = _empty_text

    def find_missing(self) -> list[tuple[str, str]]:
        """Return what of ``needs`` is not installed."""
        return [(module, line) for module, line in self.requirements if find_spec(module) is None]

    def get_writer(self) -> WriteFunction:
        """Return ``write``; raise ``UsageError`` without one, ``MissingExtraError`` when what it needs is missing."""
        if self.write is None:
            raise UsageError(
                _("lince does not write models for {target}.").format(target=self.name), "", self.build_instructions()
            )
        missing = self.find_missing()
        if missing:
            raise MissingExtraError(
                _("Exporting to {target} needs {modules}, not installed here.").format(
                    target=self.name, modules=", ".join(module for module, _line in missing)
                ),
                "",
                _("Type: {line}").format(line="; ".join(line for _module, line in missing)),
            )
        return self.write


def make_runtime_opener(name: str) -> OpenFunction:
    """Return what opens a file for the target ``name`` by lince's own runtime."""

    def opened(path: Path) -> Backend:
        return open_network(name, path)

    return opened
