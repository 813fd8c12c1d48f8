"""Opens a dataset in any known format, or a built-in one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lince.datasets import builtin, split_file
from lince.datasets.dataset import Dataset, build_dataset
from lince.datasets.frame_table import DataFrame, FrameTable, is_data_frame, make_frame_table, open_frame_table
from lince.datasets.index_cache import open_with_index
from lince.errors import UsageError
from lince.formats import FIXES, ReadOptions
from lince.formats.format_detector import describe_own_outputs
from lince.formats.table import LabelTable
from lince.i18n import _
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress
from lince.storage.resolve import resolve_location
from lince.storage.url import is_url
from lince.validation import require_choice

BUILTIN_DATASETS: dict[str, Callable[[], Dataset]] = {"lince:digits": builtin.load_digits_dataset}


def open_dataset(  # noqa: PLR0913
    path: str | os.PathLike[str] | DataFrame | FrameTable,
    *,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    void: Iterable[str | int] = (),
    root: str | os.PathLike[str] | None = None,
    progress: Progress = AUTOMATIC,
) -> Dataset:
    """Return the dataset at ``path``, or the built-in dataset of that name (``lince:digits``).

    ``path`` is a folder, a label file, a zip archive, or a URL (``s3://``, ``gs://``, ``https://``). ``format`` names
    the format when several are possible. ``pattern`` says where the class is in file names (``{class}_{n}``).
    ``merge`` maps the name of a new class to those that it replaces. ``fix`` lists what to repair while reading:
    ``clip``, ``order``, ``duplicates``; files are never changed. ``void`` lists values, ``#rrggbb`` colours or names of
    mask images by which nothing is said of a pixel, besides 255 and "void". A split file that ``lince split`` wrote
    into the folder is applied.

    ``path`` may also be a pandas DataFrame: a table with one row per photo or per box, whose columns have the names of
    those of CSV tables; its photos are found from ``root``, by default the working folder.

    Raise ``UsageError`` when the path does not exist, the format is unknown or not clear, or an option is invalid, and
    ``DataError`` when the data cannot be read.
    """
    options = ReadOptions(pattern, list_void_words(void), _require_fixes(fix))
    if not isinstance(path, (str, os.PathLike)):
        dataset = _open_frame(path, root, format, options, progress)
        return dataset.merge_classes(merge) if merge else dataset
    name = os.fspath(path)
    if name.startswith("lince:"):
        dataset = BUILTIN_DATASETS[require_choice("data", name, BUILTIN_DATASETS)]()
    else:
        location = resolve_location(name if is_url(name) else Path(name).expanduser())
        table = open_with_index(location, format, options, progress)
        _require_masks(table, options)
        if own_outputs := describe_own_outputs(table.rejected):
            progress.show_message(own_outputs)
        dataset = split_file.apply_split_file_if_present(build_dataset(table), progress)
    return dataset.merge_classes(merge) if merge else dataset


def _open_frame(
    data: object, root: str | os.PathLike[str] | None, format_name: str | None, options: ReadOptions, progress: Progress
) -> Dataset:
    """Return the dataset of a DataFrame, or of the table that was made of one; ``UsageError`` for anything else."""
    if not (isinstance(data, FrameTable) or is_data_frame(data)):
        raise UsageError(
            _("Data cannot be of the type {kind}.").format(kind=type(data).__name__),
            _("Expected the path of a folder, of labels or of an archive, or a pandas DataFrame."),
        )
    table = data if isinstance(data, FrameTable) else make_frame_table(data, root)
    return split_file.apply_split_file_if_present(open_frame_table(table, format_name, options, progress), progress)


def list_void_words(void: Iterable[str | int]) -> frozenset[str]:
    """Return the values, colours and names of ``void``, a list or a text with commas, as words."""
    listed = void.split(",") if isinstance(void, str) else void
    return frozenset(word for item in listed if (word := str(item).strip()))


def _require_masks(table: LabelTable, options: ReadOptions) -> None:
    """Raise ``UsageError`` where ``void`` is given for labels that are no mask images."""
    if options.void and table.void_masks is None:
        raise UsageError(
            _("--void was given, but {root} has labels of the format '{name}'.").format(
                root=table.root, name=table.format
            ),
            _("Expected mask images, in which a value may say nothing of a pixel."),
            _("Leave --void out."),
        )


def make_path_absolute(path: str | os.PathLike[str]) -> str:
    """Return the text that means the data at ``path`` from any working directory; URLs and built-in names stay."""
    name = os.fspath(path)
    if name.startswith("lince:") or is_url(name):
        return name
    return str(Path(name).expanduser().absolute())


def _require_fixes(names: Iterable[str]) -> frozenset[str]:
    """Return the names of repairs, a list or a text with commas, as a set; raise ``UsageError`` on an unknown one."""
    listed = names.split(",") if isinstance(names, str) else names
    return frozenset(require_choice("--fix", name.strip(), FIXES) for name in listed)
