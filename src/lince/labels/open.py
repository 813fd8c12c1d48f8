"""Which format a path holds: every format is asked, exactly one must answer, and nothing is guessed."""

from __future__ import annotations

import posixpath
from collections import Counter
from pathlib import Path

from lince.choices import one_of
from lince.errors import AmbiguousError, UsageError
from lince.labels import (
    boxtable,
    coco,
    createml,
    csvtable,
    cvat,
    folders,
    idx,
    labelme,
    labelstudio,
    maskfolder,
    names,
    tfrecord,
    voc,
    yolo,
)
from lince.labels.format import Format
from lince.labels.place import place
from lince.labels.table import Options, Table
from lince.labels.tree import Place
from lince.messages import _
from lince.progress import SILENT, Progress

_ALL = (
    folders.FORMAT,
    names.FORMAT,
    csvtable.FORMAT,
    idx.FORMAT,
    tfrecord.FORMAT,
    maskfolder.FORMAT,
    voc.FORMAT,
    coco.FORMAT,
    labelme.FORMAT,
    cvat.FORMAT,
    labelstudio.FORMAT,
    yolo.FORMAT,
    createml.FORMAT,
    boxtable.FORMAT,
)
FORMATS: dict[str, Format] = {form.name: form for form in _ALL}


def open_table(
    path: Path | str, form: str | None = None, options: Options | None = None, progress: Progress = SILENT
) -> Table:
    """Return the labels at ``path``, read as ``form`` or as the one format that fits.

    Raise ``AmbiguousError`` when several fit, ``UsageError`` when none does or the path does not exist.
    """
    return open_place(place(path), form, options or Options(), progress)


def open_place(there: Place, form: str | None, options: Options, progress: Progress = SILENT) -> Table:
    """Return the labels at ``there``, as ``open_table`` does."""
    chosen = one_of("format", form, FORMATS) if form else _recognise(there, options, progress)
    table = FORMATS[chosen].read(there, options, progress)
    if not len(table.names):
        raise UsageError(
            _("{path} holds no usable image when read as '{format}'.").format(path=there.path, format=chosen),
            _("{count} were left out: {first}").format(count=len(table.rejected), first=table.rejected[0])
            if table.rejected
            else _holds(there),
        )
    return table


def _recognise(there: Place, options: Options, progress: Progress) -> str:
    if options.pattern is not None:
        return names.FORMAT.name  # only file names have a pattern
    path = there.path
    evidence = {name: text for name, form in FORMATS.items() if (text := form.detect(there))}
    written = [name for name in evidence if name not in (names.FORMAT.name, folders.FORMAT.name)]
    if len(evidence) == 2 and len(written) == 1 and names.FORMAT.name in evidence:
        # What somebody wrote down goes before what the names of files may mean.
        progress.say(_("The names of the files could hold classes too: --format names reads those."))
        evidence = {name: evidence[name] for name in written}
    if len(evidence) == 1:
        [(name, text)] = evidence.items()
        progress.say(_("Read as {format}: {evidence}").format(format=name, evidence=text))
        return name
    if evidence:
        raise AmbiguousError(
            _("{path} can be read in {count} ways.").format(path=path, count=len(evidence)),
            "\n".join(f"  {name}: {text}" for name, text in evidence.items()),
            _("Say which one with --format."),
        )
    if there.file and there.ending(*csvtable.ENDINGS):
        return csvtable.FORMAT.name  # its reader says what the table lacks
    if lone := folders.lone(there):
        raise UsageError(
            _("{path} holds one class folder alone: {name}.").format(path=path, name=lone),
            _("Expected two or more, for a folder of photos need not be a class."),
            _("If it is one: {option}").format(option=f"--format {folders.NAME}"),
        )
    raise UsageError(
        _("{path} holds no labels that lince knows. {holds}").format(path=path, holds=_holds(there)),
        _("Expected one of: {formats}.").format(formats=", ".join(FORMATS)),
        _("If the file names hold the class, say where with --pattern, such as {example}.").format(
            example="{class}_{n}"
        ),
    )


def _holds(there: Place) -> str:
    if there.file:
        return _("It is a file ending in {ending}.").format(ending=posixpath.splitext(there.file)[1] or _("nothing"))
    endings = Counter(posixpath.splitext(name)[1].lower() or _("no ending") for name in there.tree.listing.files())
    found = ", ".join(f"{count} x {ending}" for ending, count in endings.most_common(5)) or _("no files")
    return _("Found there: {files}; folders: {folders}.").format(
        files=found, folders=", ".join(there.tree.listing.folders()[:8]) or _("none")
    )
