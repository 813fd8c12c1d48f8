"""Caches the labels of large local datasets in an index file, so that they open in seconds.

An index is used only while the data has not changed: every folder and label file has the same size and modification
time, and where there are few label files, also the same content. It is written beside the data (``.lince``) or, where
that is not possible, to the cache folder. One that is truncated, changed or of another version is ignored and replaced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import Classes, ObjectTable, RejectedItem, StringColumn
from lince.datasets import array_file
from lince.errors import DataError
from lince.formats import DataLocation, LabelTable, ReadOptions, lince_project
from lince.formats.format_detector import read_table
from lince.i18n import _, get_language
from lince.label_sets import LabelSets
from lince.progress import SILENT, Progress
from lince.storage.scan import looks_like_image
from lince.storage.tree import LocalFolder

INDEX_VERSION = 5  # to be raised when a reader or the layout changes; indexes of other versions are ignored
MIN_INDEXED_ITEMS = 20_000  # images and objects; reading fewer is fast enough
_MIN_AGE_NS = 2 * 10**9  # nanoseconds since the last change, because file systems store coarse times
_MAX_HASHED_FILES, _MAX_HASHED_BYTES = 1000, 2**30  # of label files; with more, only times and sizes are compared
_OBJECT_COLUMNS = {name: name for name in ("class_ids", "boxes", "flags", "starts", "points")} | {
    "rings": "ring_starts",
    "corners": "point_starts",
}  # column of the index: field of ``ObjectTable``


def open_with_index(
    location: DataLocation, format_name: str | None, options: ReadOptions, progress: Progress = SILENT
) -> LabelTable:
    """Return the labels at ``location`` from a current index, or read them, and write an index for a large dataset.

    ``format_name`` is the format to read, ``None`` to detect it. Raise what ``read_table`` raises.
    """
    if not isinstance(location.tree, LocalFolder):
        return read_table(location, format_name, options, progress)
    paths = _index_paths(location, format_name, options)
    for path in paths:
        indexed = _load_index(path, location)
        if indexed is not None:
            progress.show_message(
                _("Format: {format}, from the cached index: {path}").format(format=indexed.format, path=path)
            )
            return indexed
    start_time = time.time_ns()
    table = read_table(location, format_name, options, progress)
    if _is_worth_an_index(table):
        _save_index(table, location, paths, start_time)
    return table


def _is_worth_an_index(table: LabelTable) -> bool:
    """Whether a table is large, and the times of its files say when it changes; those of a database do not."""
    is_large = len(table.names) + len(table.objects or ()) >= MIN_INDEXED_ITEMS
    return is_large and table.tree is None and table.pixels is None and table.format != lince_project.NAME


@dataclass(frozen=True)
class _FileStamps:
    """State of the folders and label files of a dataset when they were read.

    ``paths`` are relative to the root; those of folders end in '/'. ``stats`` int64 (N, 2) are size in bytes and
    modification time in nanoseconds. Folders have size 0; the root, which the index itself changes, has a digest of its
    file names and time 0. ``digest`` is that of the contents of the label files, empty when there are too many.
    """

    paths: StringColumn
    stats: NDArray[np.int64]
    digest: str

    @classmethod
    def collect(cls, root: Path, folders: Iterable[str], labels: list[str]) -> _FileStamps:
        """Return the current state of ``folders`` and ``labels``, paths from ``root``. Raise ``OSError``."""
        paths = [*(f"{name}/" for name in sorted(folders)), *labels]
        stats = _stat_paths(root, paths)
        return cls(StringColumn.from_strings(paths), stats, _labels_digest(root, labels, stats))

    def is_current(self, root: Path) -> bool:
        """Whether nothing has changed since the stamps were taken."""
        paths = list(self.paths)
        try:
            stats = _stat_paths(root, paths)
            if not np.array_equal(stats, self.stats):
                return False
            labels = [path for path in paths if not path.endswith("/")]
            return _labels_digest(root, labels, stats) == self.digest
        except OSError:
            return False


def _stat_paths(root: Path, paths: list[str]) -> NDArray[np.int64]:
    """Return size and time of each path, as in ``_FileStamps.stats``. Raise ``OSError`` when one is gone."""
    base = os.path.join(root, "")
    stats = np.empty((len(paths), 2), np.int64)
    for row, path in enumerate(paths):
        if path == "/":
            stats[row] = _folder_digest(root), 0
            continue
        status = os.stat(base + path)
        stats[row] = 0 if path.endswith("/") else status.st_size, status.st_mtime_ns
    return stats


def _folder_digest(folder: Path) -> int:
    """Return a number below 16**15 for the names in ``folder``, without hidden ones."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return int(fileio.compute_digest("/".join(names).encode("utf-8", "surrogateescape"))[:15], 16)


def _labels_digest(root: Path, labels: list[str], stats: NDArray[np.int64]) -> str:
    """Return the digest of the contents of ``labels``; empty when they are too many or too large."""
    if len(labels) > _MAX_HASHED_FILES or stats[len(stats) - len(labels) :, 0].sum() > _MAX_HASHED_BYTES:
        return ""
    contents = (fileio.compute_digest((root / name).read_bytes()) for name in labels)
    return fileio.compute_digest("".join(contents).encode())


def _index_paths(location: DataLocation, format_name: str | None, options: ReadOptions) -> list[Path]:
    """Return the two possible paths of the index: beside the data, and in the cache folder.

    The names depend on the options of reading, because these change the result, and on the language, in which the
    rejected items are worded.
    """
    chosen = [options.pattern, sorted(options.void), sorted(options.fix)]
    settings = repr([INDEX_VERSION, location.file, format_name, *chosen, get_language()])
    root = location.tree.root
    path_in_data = root / ".lince" / f"index-{fileio.compute_digest(settings.encode())}.columns"
    digest = fileio.compute_digest(f"{settings} {root.absolute()}".encode())
    return [path_in_data, fileio.get_cache_folder() / "indexes" / f"{digest}.columns"]


def _save_index(table: LabelTable, location: DataLocation, paths: list[Path], start_time: int) -> None:
    """Write the index of ``table`` to the first of ``paths`` that can be written; nothing when none can.

    ``start_time`` is when reading began, in nanoseconds.
    """
    root = location.tree.root
    stamps = _stamp_sources(table, location)
    if stamps is None or (len(stamps.stats) and stamps.stats[:, 1].max() > start_time - _MIN_AGE_NS):
        return  # a change just after reading could leave the same time stamp
    record, columns = _pack_table(table, os.path.relpath(table.root, root), stamps)
    for path in paths:
        try:
            array_file.write_columns(path, record, columns)
        except OSError:
            continue
        return


def _stamp_sources(table: LabelTable, location: DataLocation) -> _FileStamps | None:
    """Return the state of all files that were read; ``None`` when it is not certain which these are."""
    root, listing = location.tree.root, location.tree.listing
    labels = [name for name in listing.names if not looks_like_image(name)]
    if location.file and location.file not in labels:
        labels.append(location.file)
    outside = {os.path.dirname(name) for name in table.names if name.startswith("..") or os.path.isabs(name)}
    base = os.path.relpath(table.root, root)
    if base != ".":
        outside |= {os.path.join(base, os.path.dirname(name)) for name in table.names}
    if outside and not location.file:
        return None  # labels of images outside may be outside, too
    try:
        return _FileStamps.collect(root, {*listing.all_folders, *outside}, labels)
    except OSError:
        return None


def _pack_table(table: LabelTable, base: str, stamps: _FileStamps) -> tuple[dict[str, Any], array_file.Columns]:
    """Return the JSON record and the arrays of an index."""
    record: dict[str, Any] = {
        "format": table.format,
        "base": base,
        "classes": table.classes.names,
        "rejected": [asdict(item) for item in table.rejected],
        "repaired": [asdict(item) for item in table.repaired],
        "digest": stamps.digest,
    }
    columns: array_file.Columns = {"class_ids": table.class_ids, "splits": table.splits, "stamps": stamps.stats}
    columns |= _pack_strings("names", table.names) | _pack_strings("paths", stamps.paths)
    if table.sizes is not None:
        columns["sizes"] = table.sizes
    if table.label_sets is not None:
        record["is_listed"] = table.label_sets.is_listed
        columns |= {"sets.starts": table.label_sets.starts, "sets.class_ids": table.label_sets.class_ids}
        columns["sets.is_known"] = table.label_sets.is_known.astype(np.uint8)
    if table.void_masks is not None:
        columns |= _pack_strings("void_masks", table.void_masks)
    if table.objects is not None:
        columns |= {f"objects.{name}": getattr(table.objects, field) for name, field in _OBJECT_COLUMNS.items()}
        columns |= _pack_strings("objects.masks", table.objects.masks)
    return record, columns


def _load_index(path: Path, location: DataLocation) -> LabelTable | None:
    """Return the table in the index at ``path``; ``None`` when there is none that is valid and current."""
    try:
        record, columns = array_file.read_columns(path)
        stamps = _FileStamps(_unpack_strings("paths", columns), columns["stamps"], record["digest"])
        if not stamps.is_current(location.tree.root):
            return None
        return _unpack_table(record, columns, location.tree.root)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def _unpack_table(record: dict[str, Any], columns: array_file.Columns, root: Path) -> LabelTable:
    """Return the table of the JSON record and the arrays of an index."""
    objects = None
    if "objects.starts" in columns:
        object_columns = {field: columns[f"objects.{name}"] for name, field in _OBJECT_COLUMNS.items()}
        objects = ObjectTable(**object_columns, masks=_unpack_strings("objects.masks", columns))
    label_sets = None
    if "sets.starts" in columns:
        starts, class_ids, is_known = (columns[f"sets.{name}"] for name in ("starts", "class_ids", "is_known"))
        label_sets = LabelSets(starts, class_ids, is_known.astype(bool), record["is_listed"])
    return LabelTable(
        root=root if record["base"] == "." else Path(os.path.normpath(root / record["base"])),
        format=record["format"],
        names=_unpack_strings("names", columns),
        classes=Classes(tuple(record["classes"])),
        class_ids=columns["class_ids"],
        splits=columns["splits"],
        rejected=tuple(RejectedItem(**item) for item in record["rejected"]),
        objects=objects,
        sizes=columns.get("sizes"),
        repaired=tuple(RejectedItem(**item) for item in record["repaired"]),
        label_sets=label_sets,
        void_masks=_unpack_strings("void_masks", columns) if "void_masks.blob" in columns else None,
    )


def _pack_strings(name: str, column: StringColumn) -> array_file.Columns:
    """Return the arrays of a column of strings."""
    blob = np.frombuffer(column.blob, np.uint8)
    return {f"{name}.blob": blob, f"{name}.starts": column.starts, f"{name}.ends": column.ends}


def _unpack_strings(name: str, columns: array_file.Columns) -> StringColumn:
    """Return the column of strings from its arrays."""
    return StringColumn(columns[f"{name}.blob"].tobytes(), columns[f"{name}.starts"], columns[f"{name}.ends"])
