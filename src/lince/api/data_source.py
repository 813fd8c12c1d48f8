"""Opens the data that a function of ``lince`` is given: a path, a URL, a DataFrame, or an open dataset."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.datasets import Dataset, open_dataset
from lince.datasets.frame_table import DataFrame, FrameTable, is_data_frame, make_frame_table
from lince.datasets.open import list_void_words, make_path_absolute
from lince.progress import SILENT, Progress
from lince.splits import TEST

DataSource = str | os.PathLike[str] | Dataset | DataFrame
_READ_OPTIONS = ("format", "pattern", "merge", "fix", "void")


def open_data(data: DataSource, progress: Progress = SILENT, **options: Any) -> Dataset:
    """Return ``data`` itself where it is a dataset, else what ``open_dataset`` reads at that path.

    ``options`` are those of ``open_dataset`` (``format``, ``pattern``, ``merge``, ``fix``, ``void``). They say how
    files are read, so they do not apply to a dataset. Raises ``UsageError`` and ``DataError`` as ``open_dataset`` does.
    """
    return data if isinstance(data, Dataset) else open_dataset(data, **options, progress=progress)


def open_with_origin(
    data: DataSource,
    progress: Progress,
    *,
    merge: Mapping[str, Any] | None,
    fix: Iterable[str],
    void: Iterable[str | int],
    **options: str | None,
) -> tuple[Dataset, dict[str, Any]]:
    """Return the dataset of ``data``, and how ``reopen_data`` opens it again: the beginning of a run's ``data.json``.

    ``options`` are the others of ``open_dataset``. A DataFrame is kept whole, as a table.
    """
    repairs = [fix] if isinstance(fix, str) else sorted(fix)
    groups = {name: list(members) for name, members in (merge or {}).items()}
    words = sorted(list_void_words(void))
    origin: dict[str, Any] = {**options, "merge": groups, "fix": repairs, "void": words}
    if isinstance(data, Dataset):
        return data, {**origin, "path": str(data.root), "format": data.format}
    if is_data_frame(data):
        table = make_frame_table(data)
        dataset = open_dataset(table, merge=merge, fix=repairs, void=words, progress=progress, **options)
        return dataset, {**origin, "path": str(table.root), "table": table.to_dict()}
    path: Any = data
    dataset = open_dataset(path, merge=merge, fix=repairs, void=words, progress=progress, **options)
    return dataset, {**origin, "path": make_path_absolute(path)}


def reopen_data(origin: Mapping[str, Any], progress: Progress = SILENT) -> Dataset:
    """Return the dataset of a training run, read again from where it was and with the options of then.

    ``origin`` is the content of the run's ``data.json`` (``TrainingRun.data_source``); options that an earlier version
    of lince did not record have their defaults.
    """
    options = {name: origin[name] for name in _READ_OPTIONS if name in origin}
    if "table" in origin:
        return open_dataset(FrameTable.from_dict(origin["table"], origin["path"]), **options, progress=progress)
    return open_dataset(origin["path"], **options, progress=progress)


def find_test_rows(dataset: Dataset) -> tuple[NDArray[np.int64], str]:
    """Return the rows of the test split and ``test``, or all rows and ``all`` where the dataset has no test split."""
    rows = dataset.get_split_indices(TEST)
    return (rows, "test") if len(rows) else (np.arange(len(dataset)), "all")
