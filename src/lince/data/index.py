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

from lince import files
from lince.annotations import Classes, Objects, Rejected, Strings
from lince.data import flatfile
from lince.errors import DataError
from lince.labels import Options, Place, Table
from lince.labels.open import open_place
from lince.labels.scan import looks_like_image
from lince.labels.tree import Folder
from lince.messages import _
from lince.progress import SILENT, Progress

VERSION = 1  # of the readers and of what is kept; indexes of other versions are not used
WORTH = 20_000  # images and marks from which an index pays
_STILL = 2 * 10**9  # nanoseconds that data must have rested: clocks of file systems are coarse
_FEW, _LITTLE = 1000, 2**30  # label files, and their bytes, up to which contents are compared too
_MARKED = ("class_ids", "boxes", "flags", "starts", "rings", "corners", "points")


def open_indexed(there: Place, form: str | None, options: Options, progress: Progress = SILENT) -> Table:
    """Return the labels at ``there`` from an index that still holds, or read, and then indexed where that pays."""
    if not isinstance(there.tree, Folder):
        return open_place(there, form, options, progress)
    for path in _paths(there, form, options):
        found = _load(path, there)
        if found is not None:
            progress.say(_("Read as {format}, from its index: {path}").format(format=found.format, path=path))
            return found
    began = time.time_ns()
    table = open_place(there, form, options, progress)
    if len(table.names) + len(table.objects or ()) >= WORTH and table.tree is None and table.pixels is None:
        _save(table, there, _paths(there, form, options), began)
    return table


@dataclass(frozen=True)
class _Stamps:
    """What the data looked like: ``paths`` from the root, and ``facts`` int64 (N, 2), bytes and time of each.

    A folder, whose path ends in '/', has 0 for bytes; the root, which the index itself changes, a digest of its names
    and no time. ``digest`` is over the contents of the label files, empty where they are many.
    """

    paths: Strings
    facts: NDArray[np.int64]
    digest: str

    @classmethod
    def take(cls, root: Path, folders: Iterable[str], labels: list[str]) -> _Stamps:
        """Look at ``folders`` and ``labels``, paths from ``root``. Raise ``OSError`` when one is gone."""
        paths = [*(f"{name}/" for name in sorted(folders)), *labels]
        facts = _facts(root, paths)
        return cls(Strings.of(paths), facts, _digest(root, labels, facts))

    def hold(self, root: Path) -> bool:
        """Whether everything is as it was."""
        paths = list(self.paths)
        try:
            facts = _facts(root, paths)
            same = np.array_equal(facts, self.facts)
            return same and _digest(root, [path for path in paths if not path.endswith("/")], facts) == self.digest
        except OSError:
            return False


def _facts(root: Path, paths: list[str]) -> NDArray[np.int64]:
    base = os.path.join(root, "")
    found = np.empty((len(paths), 2), np.int64)
    for row, path in enumerate(paths):
        if path == "/":
            found[row] = _names_digest(root), 0
            continue
        status = os.stat(base + path)
        found[row] = 0 if path.endswith("/") else status.st_size, status.st_mtime_ns
    return found


def _names_digest(folder: Path) -> int:
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return int(files.digest("/".join(names).encode("utf-8", "surrogateescape"))[:15], 16)


def _digest(root: Path, labels: list[str], facts: NDArray[np.int64]) -> str:
    if len(labels) > _FEW or facts[len(facts) - len(labels) :, 0].sum() > _LITTLE:
        return ""
    contents = (files.digest((root / name).read_bytes()) for name in labels)
    return files.digest("".join(contents).encode())


def _paths(there: Place, form: str | None, options: Options) -> list[Path]:
    """Return where the index of this reading may lie: beside the data, and in the cache folder."""
    wanted = repr([VERSION, there.file, form, options.pattern, sorted(options.fix)])
    root = there.tree.root
    beside = root / ".lince" / f"index-{files.digest(wanted.encode())}.columns"
    own = files.digest(f"{wanted} {root.absolute()}".encode())
    return [beside, files.cache_folder() / "indexes" / f"{own}.columns"]


def _save(table: Table, there: Place, paths: list[Path], began: int) -> None:
    root = there.tree.root
    stamps = _stamps(table, there)
    if stamps is None or (len(stamps.facts) and stamps.facts[:, 1].max() > began - _STILL):
        return  # it cannot be told apart from what is written a moment later
    record, columns = _packed(table, os.path.relpath(table.root, root), stamps)
    for path in paths:
        try:
            flatfile.write(path, record, columns)
        except OSError:
            continue
        return


def _stamps(table: Table, there: Place) -> _Stamps | None:
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
        return _Stamps.take(root, {*listing.every_folder, *beyond}, labels)
    except OSError:
        return None


def _packed(table: Table, base: str, stamps: _Stamps) -> tuple[dict[str, Any], flatfile.Columns]:
    record: dict[str, Any] = {
        "format": table.format,
        "base": base,
        "classes": table.classes.names,
        "rejected": [asdict(one) for one in table.rejected],
        "repaired": [asdict(one) for one in table.repaired],
        "digest": stamps.digest,
    }
    columns: flatfile.Columns = {"class_ids": table.class_ids, "splits": table.splits, "stamps": stamps.facts}
    columns |= _texts("names", table.names) | _texts("paths", stamps.paths)
    if table.sizes is not None:
        columns["sizes"] = table.sizes
    if table.objects is not None:
        columns |= {f"objects.{name}": getattr(table.objects, name) for name in _MARKED}
        columns |= _texts("objects.masks", table.objects.masks)
    return record, columns


def _load(path: Path, there: Place) -> Table | None:
    """Return the table of the index at ``path``; ``None`` when there is none, or none that holds."""
    try:
        record, columns = flatfile.read(path)
        stamps = _Stamps(_strings("paths", columns), columns["stamps"], record["digest"])
        if not stamps.hold(there.tree.root):
            return None
        return _unpacked(record, columns, there.tree.root)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def _unpacked(record: dict[str, Any], columns: flatfile.Columns, root: Path) -> Table:
    objects = None
    if "objects.starts" in columns:
        marked = {name: columns[f"objects.{name}"] for name in _MARKED}
        objects = Objects(**marked, masks=_strings("objects.masks", columns))
    return Table(
        root=root if record["base"] == "." else Path(os.path.normpath(root / record["base"])),
        format=record["format"],
        names=_strings("names", columns),
        classes=Classes(tuple(record["classes"])),
        class_ids=columns["class_ids"],
        splits=columns["splits"],
        rejected=tuple(Rejected(**one) for one in record["rejected"]),
        objects=objects,
        sizes=columns.get("sizes"),
        repaired=tuple(Rejected(**one) for one in record["repaired"]),
    )


def _texts(name: str, column: Strings) -> flatfile.Columns:
    blob = np.frombuffer(column.blob, np.uint8)
    return {f"{name}.blob": blob, f"{name}.starts": column.starts, f"{name}.ends": column.ends}


def _strings(name: str, columns: flatfile.Columns) -> Strings:
    return Strings(columns[f"{name}.blob"].tobytes(), columns[f"{name}.starts"], columns[f"{name}.ends"])
