"""Opens the labels at a path: finds the one format that fits, or reads the format that was named.

Every format looks for evidence at the location, and exactly one must find some. Nothing is guessed: where several do,
the user chooses.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from pathlib import Path

from lince.errors import AmbiguousError, UsageError
from lince.formats import class_folders, file_names
from lince.formats.csv_classes import reader as csv_classes_reader
from lince.formats.csv_text import CSV_SUFFIXES
from lince.formats.registry import FORMATS
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage.resolve import resolve_location
from lince.storage.tree import DataLocation
from lince.validation import require_choice


def open_table(
    path: Path | str, format_name: str | None = None, options: ReadOptions | None = None, progress: Progress = SILENT
) -> LabelTable:
    """Return the labels at ``path``, read as the format ``format_name`` or as the one format that fits.

    ``path`` is a folder, a file, a zip archive or a URL. Raise ``AmbiguousError`` when several formats fit,
    ``UsageError`` when none does, the path does not exist or no image can be used, ``DataError`` when the files are
    damaged.
    """
    return read_table(resolve_location(path), format_name, options or ReadOptions(), progress)


def read_table(
    location: DataLocation, format_name: str | None, options: ReadOptions, progress: Progress = SILENT
) -> LabelTable:
    """Return the labels at ``location``, as ``open_table`` does."""
    detected = (
        require_choice("format", format_name, FORMATS) if format_name else _detect_format(location, options, progress)
    )
    table = FORMATS[detected].read(location, options, progress)
    if not len(table.names):
        raise UsageError(
            _("{path} contains no usable image when read as '{format}'.").format(path=location.path, format=detected),
            _("{count} were skipped: {first}").format(count=len(table.rejected), first=table.rejected[0])
            if table.rejected
            else _describe_contents(location),
        )
    return table


def _detect_format(location: DataLocation, options: ReadOptions, progress: Progress) -> str:
    """Return the name of the one format that fits, or raise as ``open_table`` does."""
    if options.pattern is not None:
        return file_names.NAME  # only file names have a pattern
    evidence = _gather_evidence(location, progress)
    if len(evidence) == 1:
        [(name, text)] = evidence.items()
        progress.show_message(_("Format: {format} ({evidence})").format(format=name, evidence=text))
        return name
    if evidence:
        raise AmbiguousError(
            _("{path} matches {count} formats.").format(path=location.path, count=len(evidence)),
            "\n".join(f"  {name}: {text}" for name, text in evidence.items()),
            _("Choose one with --format."),
        )
    if location.file and location.find_by_suffix(*CSV_SUFFIXES):
        return csv_classes_reader.NAME  # its reader says what the table lacks
    raise _unknown_format_error(location)


def _gather_evidence(location: DataLocation, progress: Progress) -> dict[str, str]:
    """Return the evidence for each format that fits ``location``, by format name.

    Where one format with label files fits and the file names could hold classes too, the label files win.
    """
    evidence = {name: text for name, record in FORMATS.items() if (text := record.detect(location))}
    with_label_files = [name for name in evidence if name not in (file_names.NAME, class_folders.NAME)]
    if len(evidence) == 2 and len(with_label_files) == 1 and file_names.NAME in evidence:
        progress.show_message(_("The file names could contain classes too: --format names reads them."))
        evidence = {name: evidence[name] for name in with_label_files}
    return evidence


def _unknown_format_error(location: DataLocation) -> UsageError:
    if folder := class_folders.find_single_class_folder(location):
        return UsageError(
            _("{path} contains only one class folder: {name}.").format(path=location.path, name=folder),
            _("Expected two or more, because a single folder of photos may not be a class."),
            _("If it is one: {option}").format(option=f"--format {class_folders.NAME}"),
        )
    return UsageError(
        _("{path} contains no labels in a format that lince supports. {holds}").format(
            path=location.path, holds=_describe_contents(location)
        ),
        _("Expected one of: {formats}.").format(formats=", ".join(FORMATS)),
        _("If the file names contain the class, give its position with --pattern, such as {example}.").format(
            example="{class}_{n}"
        ),
    )


def _describe_contents(location: DataLocation) -> str:
    """Return a sentence on which files there are, for the error that no format fits."""
    if location.file:
        return _("It is a file with the extension {ending}.").format(
            ending=posixpath.splitext(location.file)[1] or _("nothing")
        )
    suffix_counts = Counter(
        posixpath.splitext(name)[1].lower() or _("no extension") for name in location.tree.listing.list_files()
    )
    files = ", ".join(f"{count} x {suffix}" for suffix, count in suffix_counts.most_common(5)) or _("no files")
    return _("Found there: {files}; folders: {folders}.").format(
        files=files, folders=", ".join(location.tree.listing.list_folders()[:8]) or _("none")
    )
