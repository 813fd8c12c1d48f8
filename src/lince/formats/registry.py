"""Which format a path holds: every format is asked, exactly one must answer, and nothing is guessed."""

from __future__ import annotations

import posixpath
from collections import Counter
from pathlib import Path

from lince.errors import AmbiguousError, UsageError
from lince.formats import class_folders, file_names, idx
from lince.formats.coco import reader as coco_reader
from lince.formats.createml import reader as createml_reader
from lince.formats.csv_boxes import reader as csv_boxes_reader
from lince.formats.csv_classes import reader as csv_classes_reader
from lince.formats.cvat import reader as cvat_reader
from lince.formats.format import Format
from lince.formats.labelme import reader as labelme_reader
from lince.formats.labelstudio import reader as labelstudio_reader
from lince.formats.masks import reader as mask_reader
from lince.formats.table import ReadOptions, Table
from lince.formats.tfrecord import reader as tfrecord_reader
from lince.formats.voc import reader as voc_reader
from lince.formats.yolo import reader as yolo_reader
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage.resolve import resolve_location
from lince.storage.tree import DataLocation
from lince.validation import require_choice

_ALL_FORMATS = (
    class_folders.FORMAT,
    file_names.FORMAT,
    csv_classes_reader.FORMAT,
    idx.FORMAT,
    tfrecord_reader.FORMAT,
    mask_reader.FORMAT,
    voc_reader.FORMAT,
    coco_reader.FORMAT,
    labelme_reader.FORMAT,
    cvat_reader.FORMAT,
    labelstudio_reader.FORMAT,
    yolo_reader.FORMAT,
    createml_reader.FORMAT,
    csv_boxes_reader.FORMAT,
)
FORMATS: dict[str, Format] = {form.name: form for form in _ALL_FORMATS}


def open_table(
    path: Path | str, format_name: str | None = None, options: ReadOptions | None = None, progress: Progress = SILENT
) -> Table:
    """Return the labels at ``path``, read as ``form`` or as the one format that fits.

    Raise ``AmbiguousError`` when several fit, ``UsageError`` when none does or the path does not exist.
    """
    return read_table(resolve_location(path), format_name, options or ReadOptions(), progress)


def read_table(
    location: DataLocation, format_name: str | None, options: ReadOptions, progress: Progress = SILENT
) -> Table:
    """Return the labels at ``there``, as ``open_table`` does."""
    chosen = (
        require_choice("format", format_name, FORMATS) if format_name else _detect_format(location, options, progress)
    )
    table = FORMATS[chosen].read(location, options, progress)
    if not len(table.names):
        raise UsageError(
            _("{path} holds no usable image when read as '{format}'.").format(path=location.path, format=chosen),
            _("{count} were left out: {first}").format(count=len(table.rejected), first=table.rejected[0])
            if table.rejected
            else _describe_contents(location),
        )
    return table


def _detect_format(there: DataLocation, options: ReadOptions, progress: Progress) -> str:
    if options.pattern is not None:
        return file_names.FORMAT.name  # only file names have a pattern
    path = there.path
    evidence = {name: text for name, form in FORMATS.items() if (text := form.detect(there))}
    written = [name for name in evidence if name not in (file_names.FORMAT.name, class_folders.FORMAT.name)]
    if len(evidence) == 2 and len(written) == 1 and file_names.FORMAT.name in evidence:
        # What somebody wrote down goes before what the names of files may mean.
        progress.show_message(_("The names of the files could hold classes too: --format names reads those."))
        evidence = {name: evidence[name] for name in written}
    if len(evidence) == 1:
        [(name, text)] = evidence.items()
        progress.show_message(_("Read as {format}: {evidence}").format(format=name, evidence=text))
        return name
    if evidence:
        raise AmbiguousError(
            _("{path} can be read in {count} ways.").format(path=path, count=len(evidence)),
            "\n".join(f"  {name}: {text}" for name, text in evidence.items()),
            _("Say which one with --format."),
        )
    if there.file and there.find_by_suffix(*csv_classes_reader.EXTENSIONS):
        return csv_classes_reader.FORMAT.name  # its reader says what the table lacks
    if lone := class_folders.find_single_class_folder(there):
        raise UsageError(
            _("{path} holds one class folder alone: {name}.").format(path=path, name=lone),
            _("Expected two or more, for a folder of photos need not be a class."),
            _("If it is one: {option}").format(option=f"--format {class_folders.NAME}"),
        )
    raise UsageError(
        _("{path} holds no labels that lince knows. {holds}").format(path=path, holds=_describe_contents(there)),
        _("Expected one of: {formats}.").format(formats=", ".join(FORMATS)),
        _("If the file names hold the class, say where with --pattern, such as {example}.").format(
            example="{class}_{n}"
        ),
    )


def _describe_contents(there: DataLocation) -> str:
    if there.file:
        return _("It is a file ending in {ending}.").format(ending=posixpath.splitext(there.file)[1] or _("nothing"))
    endings = Counter(posixpath.splitext(name)[1].lower() or _("no ending") for name in there.tree.listing.list_files())
    found = ", ".join(f"{count} x {ending}" for ending, count in endings.most_common(5)) or _("no files")
    return _("Found there: {files}; folders: {folders}.").format(
        files=found, folders=", ".join(there.tree.listing.list_folders()[:8]) or _("none")
    )
