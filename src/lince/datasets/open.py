"""The door for data: any path in any known format, or the name of a built-in set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lince.datasets import builtin, split_file
from lince.datasets.dataset import Dataset, build_dataset
from lince.datasets.index_cache import open_with_index
from lince.formats import FIXES, ReadOptions
from lince.progress import SILENT, Progress
from lince.storage.remote import is_url
from lince.storage.resolve import resolve_location
from lince.validation import require_choice

BUILTIN_DATASETS: dict[str, Callable[[], Dataset]] = {"lince:digits": builtin.load_digits_dataset}


def open_dataset(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    progress: Progress = SILENT,
) -> Dataset:
    """Return the dataset at ``path`` or the built-in one of that name.

    A path is a folder, a file of labels, a zip archive of them, or an address (``s3://``, ``gs://``, ``https://``).

    ``format`` says how to read it when several ways fit, ``pattern`` where the class stands in file names
    (``{class}_{n}``), ``merge`` which classes become one, ``fix`` what to mend while reading (``clip``,
    ``order``, ``duplicates``; the files stay as they are). A division that ``lince split`` wrote beside the data is
    honoured. Raise ``UsageError`` or ``DataError``.
    """
    name = os.fspath(path)
    if name.startswith("lince:"):
        dataset = BUILTIN_DATASETS[require_choice("data", name, BUILTIN_DATASETS)]()
    else:
        there = name if is_url(name) else Path(name).expanduser()
        table = open_with_index(resolve_location(there), format, ReadOptions(pattern, _require_fixes(fix)), progress)
        dataset = split_file.apply_split_file_if_present(build_dataset(table), progress)
    return dataset.merge_classes(merge) if merge else dataset


def make_path_absolute(path: str | os.PathLike[str]) -> str:
    """Return the text that means the data at ``path`` from any working folder."""
    name = os.fspath(path)
    if name.startswith("lince:") or is_url(name):
        return name
    return str(Path(name).expanduser().absolute())


def _require_fixes(wanted: Iterable[str]) -> frozenset[str]:
    return frozenset(require_choice("fix", word, FIXES) for word in wanted)
