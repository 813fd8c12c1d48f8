"""Which format a path holds: every format is asked, exactly one must answer, and nothing is guessed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lince.choices import one_of
from lince.errors import AmbiguousError, UsageError
from lince.labels import csvtable, folders, idx, names, scan
from lince.labels.table import Options, Table
from lince.messages import _
from lince.progress import SILENT, Progress


@dataclass(frozen=True)
class Format:
    """How one format is recognised (``detect`` returns the evidence, or ``None``) and read."""

    detect: Callable[[Path], str | None]
    read: Callable[[Path, Options, Progress], Table]


FORMATS = {
    folders.NAME: Format(folders.detect, folders.read),
    names.NAME: Format(names.detect, names.read),
    csvtable.NAME: Format(csvtable.detect, csvtable.read),
    idx.NAME: Format(idx.detect, idx.read),
}


def open_table(
    path: Path, form: str | None = None, options: Options | None = None, progress: Progress = SILENT
) -> Table:
    """Return the labels at ``path``, read as ``form`` or as the one format that fits.

    Raise ``AmbiguousError`` when several fit, ``UsageError`` when none does or the path does not exist.
    """
    if not path.exists():
        raise UsageError(
            _("{path} does not exist.").format(path=path),
            _("Expected a folder with photos, a CSV table, or idx files."),
        )
    options = options or Options()
    chosen = one_of("format", form, FORMATS) if form else _recognise(path, options)
    table = FORMATS[chosen].read(path, options, progress)
    if not len(table.names):
        raise UsageError(
            _("{path} holds no usable image when read as '{format}'.").format(path=path, format=chosen),
            _("{count} were left out: {first}").format(count=len(table.rejected), first=table.rejected[0])
            if table.rejected
            else _holds(path),
        )
    return table


def _recognise(path: Path, options: Options) -> str:
    if options.pattern is not None:
        return names.NAME  # only file names have a pattern
    evidence = {name: text for name, form in FORMATS.items() if (text := form.detect(path))}
    if len(evidence) == 1:
        return next(iter(evidence))
    if evidence:
        raise AmbiguousError(
            _("{path} can be read in {count} ways.").format(path=path, count=len(evidence)),
            "\n".join(f"  {name}: {text}" for name, text in evidence.items()),
            _("Say which one with --format."),
        )
    raise UsageError(
        _("{path} holds no labels that lince knows. {holds}").format(path=path, holds=_holds(path)),
        _(
            "Expected class folders, names such as {pattern}, a CSV with a file and a class column, or idx files."
        ).format(pattern="Abyssinian_12.jpg"),
        _("If the file names hold the class, say where with --pattern, such as {example}.").format(
            example="{class}_{n}"
        ),
    )


def _holds(path: Path) -> str:
    if not path.is_dir():
        return _("It is a file ending in {ending}.").format(ending=path.suffix or _("nothing"))
    endings = Counter(os.path.splitext(name)[1].lower() or _("no ending") for name in scan.files(path))
    found = ", ".join(f"{count} x {ending}" for ending, count in endings.most_common(5)) or _("no files")
    return _("Found there: {files}; folders: {folders}.").format(
        files=found, folders=", ".join(scan.folders(path)[:8]) or _("none")
    )
