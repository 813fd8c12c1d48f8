"""The verbs that bring data into another form: convert, merge."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lince.datasets import Dataset, open_dataset
from lince.datasets.conversion import COPY_IMAGES, ConvertOptions, ConvertResult, convert_dataset, require_empty_target
from lince.datasets.merge import merge_datasets
from lince.progress import SILENT, Progress

DatasetSource = str | os.PathLike[str] | Dataset


def convert(  # noqa: PLR0913
    data: DatasetSource | Sequence[DatasetSource],
    out: str | os.PathLike[str],
    to: str,
    *,
    images: str = COPY_IMAGES,
    lossy: bool = False,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    allow_unusable: bool = False,
    progress: Progress = SILENT,
) -> ConvertResult:
    """Write ``data`` (a path, a dataset, or several, whose classes are matched by name) to the new folder ``out``.

    ``to`` names the format. ``images``: ``copy``, ``link``, or ``reference`` (they stay where they are). What the
    format cannot hold is counted, and refused unless ``lossy``. ``format``, ``pattern``, ``merge`` and ``fix`` are
    those of ``lince.open``. The folder is written whole or not at all. Raise ``UsageError`` or ``DataError``.
    """
    how = ConvertOptions(images, lossy, allow_unusable)
    given = [data] if isinstance(data, (str, os.PathLike, Dataset)) else list(data)
    target = Path(out).expanduser()
    for source in given:
        require_empty_target(target, source.root if isinstance(source, Dataset) else Path(source).expanduser())
    repairs = tuple(fix)
    datasets = [
        source
        if isinstance(source, Dataset)
        else open_dataset(source, format=format, pattern=pattern, fix=repairs, progress=progress)
        for source in given
    ]
    return convert_dataset(merge_datasets(datasets, merge), target, to, how, progress)


def merge(datasets: Sequence[Dataset], groups: Mapping[str, Sequence[str]] | None = None) -> Dataset:
    """Return ``datasets`` as one, classes matched by name; ``groups`` are classes to be made one."""
    return merge_datasets(datasets, groups)
