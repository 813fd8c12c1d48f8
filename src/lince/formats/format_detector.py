"""Opens the labels at a path: finds the one format that fits, or reads the format that was named.

Every format looks for evidence at the location, and exactly one must find some. Nothing is guessed: where several do,
the user chooses.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lince.annotations import NOTICE_KINDS, RejectedItem
from lince.errors import AmbiguousError, UsageError
from lince.formats import class_folders, file_names, lince_project
from lince.formats.builders.classification_table import shorten_list
from lince.formats.csv_classes import reader as csv_classes_reader
from lince.formats.csv_text import CSV_SUFFIXES
from lince.formats.registry import FORMATS
from lince.formats.table import LabelTable, ReadOptions
from lince.formats.unread_labels import UnreadLabels, find_unread_labels
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage.archives import open_inner_archives
from lince.storage.resolve import resolve_location
from lince.storage.tree import DataLocation
from lince.validation import require_choice

_MAX_LISTED = 5  # labels that are not read, in an error
_NAME_FORMATS: dict[str, Callable[[], str]] = {
    file_names.NAME: lambda: _("The file names could contain classes too: --format names reads them."),
    class_folders.NAME: lambda: _("The folders could be classes too: --format folders reads them."),
}  # formats without label files, and what is said where they yield


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
    location = open_inner_archives(location, progress)
    detected = (
        require_choice("--format", format_name, FORMATS) if format_name else _detect_format(location, options, progress)
    )
    table = FORMATS[detected].read(location, options, progress)
    if not len(table.names):
        skipped = [item for item in table.rejected if item.kind not in {"lost", "unlabelled", *NOTICE_KINDS}]
        raise UsageError(
            _("{path} contains no usable image when read as '{format}'.").format(path=location.path, format=detected),
            _("{count} were skipped: {first}").format(
                count=len(skipped), first="".join(f"\n  {item}" for item in skipped[:_MAX_LISTED])
            )
            if skipped
            else _describe_contents(location),
        )
    if detected in _NAME_FORMATS:
        table = _tell_unread_labels(table, location)
    return table if location.file or detected == lince_project.NAME else _tell_own_outputs(table, location)


def _tell_own_outputs(table: LabelTable, location: DataLocation) -> LabelTable:
    """Return ``table`` with notices of what lince wrote among the data, such as runs, which is not read."""
    reason = _("written by lince; give it by itself to read it")
    notices = tuple(RejectedItem(name, reason, kind="own-output") for name in location.tree.listing.left_out)
    return replace(table, rejected=table.rejected + notices)


def describe_own_outputs(rejected: Iterable[RejectedItem]) -> str:
    """Return a line that names what lince wrote among the data and was not read; empty where there is nothing."""
    return _describe_own_names([item.path for item in rejected if item.kind == "own-output"])


def _describe_own_names(names: Sequence[str]) -> str:
    if not names:
        return ""
    return _("Not read as data, since lince wrote it: {names}").format(names=shorten_list(names))


def _tell_unread_labels(table: LabelTable, location: DataLocation) -> LabelTable:
    """Return a table whose classes are names of folders or files, with notices of the label files it passes over."""
    found = [] if location.file else find_unread_labels(location.tree)
    unread = [item for item in found if item.is_certain and item.path in location.tree.listing.name_set]
    readable = csv_classes_reader.list_tables(location) if unread else []
    notices = tuple(
        RejectedItem(
            item.path,
            _("not read: {what}; {remedy}").format(what=item.what, remedy=_choose_remedy(item, readable)),
            kind="unread-labels",
        )
        for item in unread
    )
    return replace(table, rejected=table.rejected + notices)


def _choose_remedy(item: UnreadLabels, readable: Sequence[str]) -> str:
    """Return what to do about ``item``; the tables ``readable`` only have to be asked for."""
    option = f"--format {csv_classes_reader.NAME}"
    return _("{option} reads it").format(option=option) if item.path in readable else item.remedy


def _detect_format(location: DataLocation, options: ReadOptions, progress: Progress) -> str:
    """Return the name of the one format that fits, or raise as ``open_table`` does."""
    if options.pattern is not None:
        return file_names.NAME  # only file names have a pattern
    evidence = _gather_evidence(location, progress)
    if len(evidence) == 1:
        [(name, text)] = evidence.items()
        if name == class_folders.NAME:
            _require_clear_folders(location)
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

    Where one format with label files fits, the names of folders and files, which could be classes too, yield to it.
    """
    own = FORMATS[lince_project.NAME].detect(location)
    if own:
        return {lince_project.NAME: own}  # what else lies in the folder of a project (exports, runs) is not its labels
    evidence = {name: text for name, record in FORMATS.items() if (text := record.detect(location))}
    with_label_files = {name: text for name, text in evidence.items() if name not in _NAME_FORMATS}
    if len(with_label_files) != 1:
        return evidence
    for name, make_text in _NAME_FORMATS.items():
        if name in evidence:
            progress.show_message(make_text())
    return with_label_files


def _require_clear_folders(location: DataLocation) -> None:
    """Raise ``AmbiguousError`` when folders that nobody called classes may be something else.

    That is where all hold the same folders or layers of the same photos, and where labels that no format reads lie
    beside them.
    """
    remedy = _("If they are classes: {option}").format(option=f"--format {class_folders.NAME}")
    repeated = class_folders.find_repeated_folders(location)
    if repeated is not None:
        names, inner_names = repeated
        raise AmbiguousError(
            _("The folders {names} in {path} all contain the same folders: {inner}.").format(
                names=shorten_list(names), path=location.path, inner=shorten_list(inner_names)
            ),
            _("Expected classes; these may be parts of the data with the classes inside."),
            _("If they are parts, rename them to train, val and test, or give one of them as the data.") + " " + remedy,
        )
    layers = class_folders.find_layers(location)
    if layers is not None:
        names, example = layers
        raise AmbiguousError(
            _("The folders {names} in {path} contain files of the same names, such as {example}.").format(
                names=shorten_list(names), path=location.path, example=example
            ),
            _("Expected classes; these may be layers of the same photos, such as masks, depth or outlines."),
            _("For masks, call the folder of photos images and the folder of masks masks.") + " " + remedy,
        )
    unread = [item for item in find_unread_labels(location.tree) if item.is_certain]
    readable = csv_classes_reader.list_tables(location) if unread else []
    unread = [replace(item, remedy=_choose_remedy(item, readable)) for item in unread]
    if unread:
        raise AmbiguousError(
            _("{path} contains folders that may be classes, and labels beside them:").format(path=location.path)
            + "".join(f"\n  {item}" for item in unread[:_MAX_LISTED]),
            _("Expected one or the other."),
            remedy,
        )


def _unknown_format_error(location: DataLocation) -> UsageError:
    unread = find_unread_labels(location.tree, location.file)
    if unread:
        return UsageError(
            _("{path} contains labels that lince cannot use as they are:").format(path=location.path)
            + "".join(f"\n  {item}" for item in unread[:_MAX_LISTED]),
            _("Expected one of: {formats}.").format(formats=", ".join(FORMATS)),
        )
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
    text = _("Found there: {files}; folders: {folders}.").format(
        files=files, folders=", ".join(location.tree.listing.list_folders()[:8]) or _("none")
    )
    own = _describe_own_names(location.tree.listing.left_out)
    return f"{text} {own}." if own else text
