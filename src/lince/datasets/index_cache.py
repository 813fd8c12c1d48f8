"""An index beside large sets, so that they open in seconds: what their label files said, as columns in one file.

It is used only while the data is as it was: every folder and label file has the time and size of then, and where they
are few, the content. It is written by who may write, beside the data (``.lince``) or else in the cache folder, and
one that is cut off, changed, or of another version is made anew.
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
from lince.formats import DataLocation, ReadOptions, Table
from lince.formats.registry import read_table
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage.scan import looks_like_image
from lince.storage.tree import LocalFolder

INDEX_VERSION = 2  # of the readers and of what is kept; indexes of other versions are not used
MIN_INDEXED_ITEMS = 20_000  # images and marks from which an index pays
_MIN_AGE_NS = 2 * 10**9  # nanoseconds that data must have rested: clocks of file systems are coarse
_MAX_HASHED_FILES, _MAX_HASHED_BYTES = (
    1000,
    2**30,
)  # label files, and their bytes, up to which contents are compared too
_OBJECT_COLUMNS = ("class_ids", "boxes", "flags", "starts", "rings", "corners", "points")


def open_with_index(place: DataLocation, form: str | None, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Return the labels at ``there`` from an index that still holds, or read, and then indexed where that pays."""
    if not isinstance(place.tree, LocalFolder):
        return read_table(place, form, options, progress)
    for path in _index_paths(place, form, options):
        found = _load_index(path, place)
        if found is not None:
            progress.show_message(_("Read as {format}, from its index: {path}").format(format=found.format, path=path))
            return found
    began = time.time_ns()
    table = read_table(place, form, options, progress)
    if len(table.names) + len(table.objects or ()) >= MIN_INDEXED_ITEMS and table.tree is None and table.pixels is None:
        _save_index(table, place, _index_paths(place, form, options), began)
    return table


@dataclass(frozen=True)
class _FileStamps:
    """What the data looked like: ``paths`` from the root, and ``facts`` int64 (N, 2), bytes and time of each.

    A folder, whose path ends in '/', has 0 for bytes; the root, which the index itself changes, a digest of its names
    and no time. ``digest`` is over the contents of the label files, empty where they are many.
    """

    paths: StringColumn
    stats: NDArray[np.int64]
    digest: str

    @classmethod
    def collect(cls, root: Path, folders: Iterable[str], labels: list[str]) -> _FileStamps:
        """Look at ``folders`` and ``labels``, paths from ``root``. Raise ``OSError`` when one is gone."""
        paths = [*(f"{name}/" for name in sorted(folders)), *labels]
        facts = _stat_paths(root, paths)
        return cls(StringColumn.from_strings(paths), facts, _labels_digest(root, labels, facts))

    def is_current(self, root: Path) -> bool:
        """Whether everything is as it was."""
        paths = list(self.paths)
        try:
            facts = _stat_paths(root, paths)
            same = np.array_equal(facts, self.stats)
            return (
                same and _labels_digest(root, [path for path in paths if not path.endswith("/")], facts) == self.digest
            )
        except OSError:
            return False


def _stat_paths(root: Path, paths: list[str]) -> NDArray[np.int64]:
    base = os.path.join(root, "")
    found = np.empty((len(paths), 2), np.int64)
    for row, path in enumerate(paths):
        if path == "/":
            found[row] = _folder_digest(root), 0
            continue
        status = os.stat(base + path)
        found[row] = 0 if path.endswith("/") else status.st_size, status.st_mtime_ns
    return found


def _folder_digest(folder: Path) -> int:
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return int(fileio.compute_digest("/".join(names).encode("utf-8", "surrogateescape"))[:15], 16)


def _labels_digest(root: Path, labels: list[str], facts: NDArray[np.int64]) -> str:
    if len(labels) > _MAX_HASHED_FILES or facts[len(facts) - len(labels) :, 0].sum() > _MAX_HASHED_BYTES:
        return ""
    contents = (fileio.compute_digest((root / name).read_bytes()) for name in labels)
    return fileio.compute_digest("".join(contents).encode())


def _index_paths(there: DataLocation, form: str | None, options: ReadOptions) -> list[Path]:
    """Return where the index of this reading may lie: beside the data, and in the cache folder."""
    wanted = repr([INDEX_VERSION, there.file, form, options.pattern, sorted(options.fix)])
    root = there.tree.root
    beside = root / ".lince" / f"index-{fileio.compute_digest(wanted.encode())}.columns"
    own = fileio.compute_digest(f"{wanted} {root.absolute()}".encode())
    return [beside, fileio.get_cache_folder() / "indexes" / f"{own}.columns"]


def _save_index(table: Table, there: DataLocation, paths: list[Path], began: int) -> None:
    root = there.tree.root
    stamps = _stamp_sources(table, there)
    if stamps is None or (len(stamps.stats) and stamps.stats[:, 1].max() > began - _MIN_AGE_NS):
        return  # it cannot be told apart from what is written a moment later
    record, columns = _pack_table(table, os.path.relpath(table.root, root), stamps)
    for path in paths:
        try:
            array_file.write_columns(path, record, columns)
        except OSError:
            continue
        return


def _stamp_sources(table: Table, there: DataLocation) -> _FileStamps | None:
    """Return the stamps of all that reading looked at; ``None`` when that is not known to be all."""
    root, listing = there.tree.root, there.tree.listing
    labels = [name for name in listing.names if not looks_like_image(name)]
    if there.file and there.file not in labels:
        labels.append(there.file)
    beyond = {os.path.dirname(name) for name in table.names if name.startswith("..") or os.path.isabs(name)}
    base = os.path.relpath(table.root, root)
    if base != ".":
        beyond |= {os.path.join(base, os.path.dirname(name)) for name in table.names}
    if beyond and not there.file:
        return None  # the labels of photos elsewhere may lie elsewhere too
    try:
        return _FileStamps.collect(root, {*listing.all_folders, *beyond}, labels)
    except OSError:
        return None


def _pack_table(table: Table, base: str, stamps: _FileStamps) -> tuple[dict[str, Any], array_file.Columns]:
    record: dict[str, Any] = {
        "format": table.format,
        "base": base,
        "classes": table.classes.names,
        "rejected": [asdict(one) for one in table.rejected],
        "repaired": [asdict(one) for one in table.repaired],
        "digest": stamps.digest,
    }
    columns: array_file.Columns = {"class_ids": table.class_ids, "splits": table.splits, "stamps": stamps.stats}
    columns |= _pack_strings("names", table.names) | _pack_strings("paths", stamps.paths)
    if table.sizes is not None:
        columns["sizes"] = table.sizes
    if table.objects is not None:
        columns |= {f"objects.{name}": getattr(table.objects, name) for name in _OBJECT_COLUMNS}
        columns |= _pack_strings("objects.masks", table.objects.masks)
    return record, columns


def _load_index(path: Path, there: DataLocation) -> Table | None:
    """Return the table of the index at ``path``; ``None`` when there is none, or none that holds."""
    try:
        record, columns = array_file.read_columns(path)
        stamps = _FileStamps(_unpack_strings("paths", columns), columns["stamps"], record["digest"])
        if not stamps.is_current(there.tree.root):
            return None
        return _unpack_table(record, columns, there.tree.root)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def _unpack_table(record: dict[str, Any], columns: array_file.Columns, root: Path) -> Table:
    objects = None
    if "objects.starts" in columns:
        marked = {name: columns[f"objects.{name}"] for name in _OBJECT_COLUMNS}
        objects = ObjectTable(**marked, masks=_unpack_strings("objects.masks", columns))
    return Table(
        root=root if record["base"] == "." else Path(os.path.normpath(root / record["base"])),
        format=record["format"],
        names=_unpack_strings("names", columns),
        classes=Classes(tuple(record["classes"])),
        class_ids=columns["class_ids"],
        splits=columns["splits"],
        rejected=tuple(RejectedItem(**one) for one in record["rejected"]),
        objects=objects,
        sizes=columns.get("sizes"),
        repaired=tuple(RejectedItem(**one) for one in record["repaired"]),
    )


def _pack_strings(name: str, column: StringColumn) -> array_file.Columns:
    blob = np.frombuffer(column.blob, np.uint8)
    return {f"{name}.blob": blob, f"{name}.starts": column.starts, f"{name}.ends": column.ends}


def _unpack_strings(name: str, columns: array_file.Columns) -> StringColumn:
    return StringColumn(columns[f"{name}.blob"].tobytes(), columns[f"{name}.starts"], columns[f"{name}.ends"])
