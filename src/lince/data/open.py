"""The door for data: any path in any known format, or the name of a built-in set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lince.choices import one_of
from lince.data import samples, splitfile
from lince.data.dataset import Dataset, from_table
from lince.data.index import open_indexed
from lince.labels import FIXES, Options
from lince.labels.place import place
from lince.labels.remote import is_address
from lince.progress import SILENT, Progress

BUILT_IN: dict[str, Callable[[], Dataset]] = {"lince:digits": samples.digits}


def open_dataset(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  (the option's name on the command line)
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
        dataset = BUILT_IN[one_of("data", name, BUILT_IN)]()
    else:
        there = name if is_address(name) else Path(name).expanduser()
        table = open_indexed(place(there), format, Options(pattern, _fixes(fix)), progress)
        dataset = splitfile.honoured(from_table(table), progress)
    return dataset.merged(merge) if merge else dataset


def lasting(path: str | os.PathLike[str]) -> str:
    """Return the text that means the data at ``path`` from any working folder."""
    name = os.fspath(path)
    if name.startswith("lince:") or is_address(name):
        return name
    return str(Path(name).expanduser().absolute())


def _fixes(wanted: Iterable[str]) -> frozenset[str]:
    return frozenset(one_of("fix", word, FIXES) for word in wanted)
