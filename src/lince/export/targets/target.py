"""Defines an export target: how to write a network for it, how to run the result, and what must be installed."""

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
    """Return an empty string, the default of a target's texts."""
    return ""


@dataclass(frozen=True)
class ExportTarget:
    """One format that a network can be exported to.

    - ``file_name``: the name of the exported file or folder.
    - ``write(network, path, precision)``: writes the ONNX file ``network`` to ``path``. With ``int8`` its weights are
      quantised already. ``None`` where lince cannot write the format; ``build_instructions`` then says how to build it.
    - ``open(path)``: runs what was written, so that it can be verified. ``None`` where this is not possible;
      ``unverifiable_reason`` then says why.
    - ``requirements``: (module, command that installs it) for each optional module that ``write`` needs.
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
        """Return those of ``requirements`` that are not installed."""
        return [(module, line) for module, line in self.requirements if find_spec(module) is None]

    def get_writer(self) -> WriteFunction:
        """Return ``write``, ready to use.

        Raises ``UsageError`` when lince cannot write the format, ``MissingExtraError`` when a required module is
        missing.
        """
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
    """Return a function that opens a file with lince's inference backend called ``name``."""

    def open_file(path: Path) -> Backend:
        return open_network(name, path)

    return open_file
