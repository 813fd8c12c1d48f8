"""Reads and writes the split of a dataset as a CSV file beside its images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.datasets.dataset import Dataset
from lince.errors import DataError
from lince.formats.builders.classification_table import shorten_list
from lince.formats.csv_headers import is_split_header
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, SPLITS, UNASSIGNED
from lince.storage.scan import SPLIT_FILE

FILE_NAME = SPLIT_FILE
_MAX_BYTES = 2**30  # larger files are refused
_HEADER = ["file", "split"]
_MAX_HEADER_BYTES = 4096


def write_split_file(path: Path, dataset: Dataset, folds: NDArray[np.int8] | None = None) -> None:
    """Write the split of each image of ``dataset`` to ``path``, with columns ``file`` and ``split``.

    With ``folds`` (N,), from 0 and -1 for none, there is a third column ``fold``, counted from 1.
    """
    split_names = {split: name for name, split in SPLITS.items()}
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEADER if folds is None else [*_HEADER, "fold"])
    for row, split in enumerate(dataset.splits.tolist()):
        cells = [dataset.images.get_name(row), split_names.get(split, "")]
        if folds is not None:
            cells.append(str(folds[row] + 1) if folds[row] >= 0 else "")
        table.writerow(cells)
    fileio.write_text(path, text.getvalue())


def apply_split_file_if_present(dataset: Dataset, progress: Progress = SILENT) -> Dataset:
    """Return ``dataset`` with the split in the file beside it; unchanged when there is none.

    A file of that name whose columns are those of somebody's own table, such as classes, is
    reported to ``progress`` and not used. Raise ``DataError`` as ``apply_split_file`` does.
    """
    path = dataset.root / FILE_NAME
    if not path.is_file():
        return dataset
    with path.open("rb") as stream:
        header = stream.readline(_MAX_HEADER_BYTES).decode("utf-8-sig", "replace")
    if not is_split_header(header):
        text = _(
            "{path} is not a file of lince split (no columns {names}): not used. Rename it if it holds labels; if it "
            "holds splits, call its columns {names}."
        )
        progress.show_message(text.format(path=path, names=",".join(_HEADER)))
        return dataset
    return apply_split_file(dataset, path, progress)


def apply_split_file(dataset: Dataset, path: Path, progress: Progress = SILENT) -> Dataset:
    """Return ``dataset`` with the split in the file at ``path``.

    Images that are not in the file are in no split; they, and lines without an image, are reported to ``progress``.
    Raise ``DataError`` when the file cannot be read or names none of the images.
    """
    split_by_name = dict(_read_rows(path))
    names = [dataset.images.get_name(row) for row in range(len(dataset))]
    splits = np.array([split_by_name.pop(name, None) for name in names], object)
    missing = [name for name, split in zip(names, splits, strict=True) if split is None]
    if len(missing) == len(names):
        raise DataError(
            _("{path} contains none of the {count:,} images of {root}.").format(
                path=path, count=len(names), root=dataset.root
            ),
            _("Expected their names, such as {name}.").format(name=names[0] if names else ""),
            _("Remove the file, and split the data again with lince split."),
        )
    progress.show_message(_("Split read from {path}.").format(path=path))
    for leftover_names, make_text in ((missing, _missing_text), (list(split_by_name), _unknown_text)):
        if leftover_names:
            progress.show_message(make_text(path, leftover_names))
    return replace(dataset, splits=np.array([UNASSIGNED if split is None else split for split in splits], np.int8))


def _read_rows(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (file, split) for each line.

    Raise ``DataError`` on a file that is too large or no split file, on an unknown split, and on a repeated file.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(_("{path} is too large for a split file.").format(path=path))
    try:
        rows = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
        if next(rows, [])[:2] != _HEADER:
            raise _split_file_error(path, 1, _("the first line is not {header}").format(header=",".join(_HEADER)))
        names: set[str] = set()
        for cells in filter(None, rows):
            word = cells[1].strip().lower() if len(cells) > 1 else None
            if word is None or (word and word not in SPLIT_WORDS):
                raise _split_file_error(path, rows.line_num, _("unknown split '{word}'").format(word=word or ""))
            if cells[0] in names:
                raise _split_file_error(path, rows.line_num, _("{name} appears twice").format(name=cells[0]))
            names.add(cells[0])
            yield cells[0], SPLIT_WORDS[word] if word else UNASSIGNED
    except (UnicodeDecodeError, csv.Error) as error:
        raise _split_file_error(path, 1, str(error)) from error


def _split_file_error(path: Path, line: int, reason: str) -> DataError:
    """Return the error for a line of the file, counted from 1."""
    return DataError(
        _("{path}:{line}: {reason}.").format(path=path, line=line, reason=reason),
        _("Expected a file and train, val or test on each line."),
        _("Correct the line, or remove the file and split the data again with lince split."),
    )


def _missing_text(path: Path, names: Sequence[str]) -> str:
    """Return the message about images that are not in the file."""
    text = _("{count:,} images are not in {path}, so they are in no split: {names}")
    return text.format(count=len(names), path=path, names=shorten_list(names, 3))


def _unknown_text(path: Path, names: Sequence[str]) -> str:
    """Return the message about lines whose file is not in the dataset."""
    text = _("{count:,} lines of {path} name images that do not exist: {names}")
    return text.format(count=len(names), path=path, names=shorten_list(names, 3))
