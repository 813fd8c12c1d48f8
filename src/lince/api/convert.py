"""Converts datasets to another format and merges several into one: ``lince.convert`` and ``lince.merge``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lince.api.data_source import DataSource, open_data
from lince.datasets import Dataset
from lince.datasets.conversion import COPY_IMAGES, ConvertOptions, ConvertResult, convert_dataset, require_empty_target
from lince.datasets.frame_table import is_data_frame
from lince.datasets.merge import merge_datasets
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress


def convert(  # noqa: PLR0913
    data: DataSource | Sequence[DataSource],
    out: str | os.PathLike[str],
    to: str,
    *,
    images: str = COPY_IMAGES,
    lossy: bool = False,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    void: Iterable[str | int] = (),
    allow_unusable: bool = False,
    progress: Progress = AUTOMATIC,
) -> ConvertResult:
    """Write ``data`` to the new folder ``out`` in the format ``to``, and return what was written and what was lost.

    ``data`` is a path, a dataset, or several of them, which are merged with their classes matched by name. ``images``
    is ``copy``, ``link`` (hard links), or ``reference`` (the labels name the files where they are). What the format
    cannot hold is counted, and refused unless ``lossy``; many unusable items (as in ``lince.train``) are refused unless
    ``allow_unusable``. ``format``, ``pattern``, ``merge``, ``fix`` and ``void`` are those of ``lince.open``.

    The folder is written whole or not at all. Raises ``UsageError`` when ``out`` is not empty or an option is invalid,
    and ``DataError`` when the data cannot be read or would lose something.
    """
    options = ConvertOptions(images, lossy, allow_unusable)
    is_single = isinstance(data, (str, os.PathLike, Dataset)) or is_data_frame(data)
    sources: list[Any] = [data] if is_single else list(data)  # type: ignore[arg-type]
    target = Path(out).expanduser()
    for source in sources:
        if not is_data_frame(source):
            require_empty_target(target, source.root if isinstance(source, Dataset) else Path(source).expanduser())
    repairs = tuple(fix)
    datasets = [
        open_data(source, progress, format=format, pattern=pattern, fix=repairs, void=void) for source in sources
    ]
    return convert_dataset(merge_datasets(datasets, merge), target, to, options, progress)


def merge(datasets: Sequence[DataSource], groups: Mapping[str, Sequence[str]] | None = None) -> Dataset:
    """Return ``datasets``, opened or not, as one, with their classes matched by name.

    ``groups`` maps a new class name to the classes that it replaces. Raises ``UsageError`` for an unknown class.
    """
    return merge_datasets([open_data(data) for data in datasets], groups)
