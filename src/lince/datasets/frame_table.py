"""Opens a pandas DataFrame as a dataset, by the rules of CSV tables and through their readers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np

from lince.annotations import RejectedItem
from lince.datasets.dataset import Dataset, build_dataset
from lince.errors import UsageError
from lince.formats import ReadOptions
from lince.formats.format_detector import read_table
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage.file_list import FileListing
from lince.storage.scan import list_files, looks_like_image, sort_entries
from lince.storage.tree import DataLocation, LocalFolder

TABLE_NAME = "<DataFrame>.csv"  # in messages; no file can be called so on Windows, and hardly one elsewhere
_IMAGE_COLUMNS = frozenset({"image", "path", "class", "class_id", "split"})  # of what ``lince.to_pandas`` returns
_MAX_PROBES = 50  # cells of a column in which photos are looked for


class DataFrame(Protocol):
    """What is used of a pandas DataFrame."""

    columns: Any
    index: Any
    iloc: Any

    def __len__(self) -> int: ...

    def __getitem__(self, names: list[str]) -> Any: ...

    def reset_index(self) -> Any:
        """Return the same with its index as columns."""


@dataclass(frozen=True)
class FrameTable:
    """A DataFrame as a CSV table: its ``text``, and the folder ``root`` that its photos are in.

    ``folders`` are those of the photos that it names, relative to the root, '' for the root itself; empty where no
    column names photos by their paths.
    """

    text: str
    root: Path
    folders: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the table as a JSON object, from which ``from_dict`` makes it again."""
        return {"text": self.text, "folders": list(self.folders)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], root: str | os.PathLike[str]) -> FrameTable:
        """Return the table that ``to_dict`` gave, with its photos in ``root`` now."""
        return cls(record["text"], Path(root), tuple(record["folders"]))


class _FrameTree(LocalFolder):
    """A folder with one file more, the table, which is only in memory.

    Where the table names its photos by their paths, their folders alone are listed, not all that is below the root.
    """

    def __init__(self, table: FrameTable) -> None:
        super().__init__(table.root)
        self._content = table.text.encode("utf-8", "surrogatepass")
        self._folders = table.folders

    @cached_property
    def listing(self) -> FileListing:
        """The files in the folders of the photos, or all below the root."""
        if not self._folders:
            return super().listing
        names = [
            os.path.join(folder, name).replace(os.sep, "/")
            for folder in self._folders
            if (self.root / folder).is_dir()
            for name in list_files(self.root / folder)
        ]
        return FileListing(sort_entries(names))

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists."""
        return name == TABLE_NAME or super().has(name)

    def read(self, name: str, max_bytes: int = 2**62) -> bytes:
        """Return the table, or the content of a file."""
        return self._content if name == TABLE_NAME else super().read(name, max_bytes)

    def head(self, name: str, count: int) -> bytes:
        """Return the first ``count`` bytes of the table or of a file."""
        return self._content[:count] if name == TABLE_NAME else super().head(name, count)


def is_data_frame(data: object) -> TypeGuard[DataFrame]:
    """Return whether ``data`` is a pandas DataFrame."""
    return any(
        cls.__name__ == "DataFrame" and cls.__module__.partition(".")[0] == "pandas" for cls in type(data).__mro__
    )


def make_frame_table(frame: DataFrame, root: str | os.PathLike[str] | None = None) -> FrameTable:
    """Return a DataFrame as a table; its photos are named from ``root``, by default the working folder.

    The index is a column where it has a name or holds no whole numbers. Raises ``UsageError`` when there is no row, and
    for two columns of one name.
    """
    if not len(frame):
        raise UsageError(_("The DataFrame has no rows."), _("Expected one for each photo, or for each box."))
    base = Path(root if root is not None else Path.cwd()).expanduser().absolute()
    if any(frame.index.names) or frame.index.dtype.kind not in "iu":
        frame = frame.reset_index()
    if not frame.columns.is_unique:
        raise UsageError(
            _("Two columns of the DataFrame have one name: {names}.").format(names=", ".join(map(str, frame.columns))),
            _("Expected a name of its own for each column."),
        )
    if set(frame.columns) >= _IMAGE_COLUMNS:
        frame = frame[["path", "class", "split"]]
    columns = {str(name): [_to_cell(value) for value in frame.iloc[:, i]] for i, name in enumerate(frame.columns)}
    photos = _find_photo_column(columns, base)
    if photos is None:
        return FrameTable(_write_table(frame, columns), base)
    paths = [os.path.normpath(os.path.join(base, cell)) if cell else "" for cell in columns[photos]]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths if path]) if _share_a_drive(paths) else base
    columns[photos] = [os.path.relpath(path, folder).replace(os.sep, "/") if path else "" for path in paths]
    folders = {os.path.dirname(cell) for cell in columns[photos] if cell}
    return FrameTable(_write_table(frame, columns), Path(folder), tuple(sorted(folders)))


def open_frame_table(
    table: FrameTable,
    format_name: str | None = None,
    options: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """Return the dataset of a table; raise what ``open_dataset`` raises.

    Photos beside those that the rows name are no part of it: rows are often chosen from a larger table.
    """
    labels = read_table(DataLocation(_FrameTree(table), TABLE_NAME), format_name, options or ReadOptions(), progress)
    rejected = tuple(item for item in labels.rejected if not _is_beside(item))
    return build_dataset(replace(labels, rejected=rejected))


def _is_beside(item: RejectedItem) -> bool:
    """Whether ``item`` is a photo that no row names."""
    return item.kind == "unlabelled" and looks_like_image(item.path)


def _to_cell(value: Any) -> str:
    """Return a value of a DataFrame as the text of a cell; an empty one for a missing value."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return ""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple):
        value = list(value)
    text = str(value)
    return "" if text in ("<NA>", "NaT") else text


def _write_table(frame: Any, columns: Mapping[str, Sequence[str]]) -> str:
    """Return ``columns`` as the text of a CSV table, by pandas."""
    return str(type(frame)(dict(columns)).to_csv(index=False, lineterminator="\n"))


def _find_photo_column(columns: Mapping[str, Sequence[str]], base: Path) -> str | None:
    """Return the first column one of whose first cells is the path of a photo, from ``base``."""
    for name, cells in columns.items():
        probes = [cell for cell in cells[:_MAX_PROBES] if looks_like_image(cell)]
        if any(os.path.isfile(os.path.join(base, cell)) for cell in probes):
            return name
    return None


def _share_a_drive(paths: Sequence[str]) -> bool:
    """Whether all ``paths`` have a folder in common; on Windows those of two drives have none."""
    return len({os.path.splitdrive(path)[0].lower() for path in paths if path}) == 1
