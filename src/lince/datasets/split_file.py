"""The division of a dataset as a small table that lies beside it, travels with it, and is honoured on opening."""

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
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLIT_WORDS, SPLITS, UNASSIGNED
from lince.storage.scan import SPLIT_FILE

FILE_NAME = SPLIT_FILE
_MAX_BYTES = 2**30
_HEADER = ["file", "split"]


def write_split_file(path: Path, dataset: Dataset, folds: NDArray[np.int8] | None = None) -> None:
    """Write the part of each image of ``dataset``, and its fold from 1 where ``folds`` (N,) are given, to ``path``."""
    words = {number: word for word, number in SPLITS.items()}
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEADER if folds is None else [*_HEADER, "fold"])
    for row, part in enumerate(dataset.splits.tolist()):
        cells = [dataset.images.get_name(row), words.get(part, "")]
        if folds is not None:
            cells.append(str(folds[row] + 1) if folds[row] >= 0 else "")
        table.writerow(cells)
    fileio.write_text(path, text.getvalue())


def apply_split_file_if_present(dataset: Dataset, progress: Progress = SILENT) -> Dataset:
    """Return ``dataset`` divided as the table beside it says; the same when there is none.

    Images and lines that the other does not know are told. Raise ``DataError`` on a table that cannot be read.
    """
    path = dataset.root / FILE_NAME
    return apply_split_file(dataset, path, progress) if path.is_file() else dataset


def apply_split_file(dataset: Dataset, path: Path, progress: Progress = SILENT) -> Dataset:
    """Return ``dataset`` divided as the table at ``path`` says. Raise ``DataError`` when it cannot be read."""
    said = dict(_read_rows(path))
    names = [dataset.images.get_name(row) for row in range(len(dataset))]
    splits = np.array([said.pop(name, None) for name in names], object)
    missing = [name for name, split in zip(names, splits, strict=True) if split is None]
    if len(missing) == len(names):
        raise DataError(
            _("{path} divides none of the {count:,} images of {root}.").format(
                path=path, count=len(names), root=dataset.root
            ),
            _("Expected their names, such as {name}.").format(name=names[0] if names else ""),
            _("Divide the data anew with lince split, or remove the file."),
        )
    progress.show_message(_("Divided as {path} says.").format(path=path))
    for texts, words in ((missing, _missing_text), (list(said), _unknown_text)):
        if texts:
            progress.show_message(words(path, texts))
    return replace(dataset, splits=np.array([UNASSIGNED if split is None else split for split in splits], np.int8))


def _read_rows(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (file, split) of each line; refuse a table that is not one, a word that is no part, a file named twice."""
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(_("{path} is too large for a division.").format(path=path))
    try:
        lines = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
        if next(lines, [])[:2] != _HEADER:
            raise _split_file_error(path, 1, _("the first line is not {header}").format(header=",".join(_HEADER)))
        seen: set[str] = set()
        for cells in filter(None, lines):
            word = cells[1].strip().lower() if len(cells) > 1 else None
            if word is None or (word and word not in SPLIT_WORDS):
                raise _split_file_error(path, lines.line_num, _("unknown split '{word}'").format(word=word or ""))
            if cells[0] in seen:
                raise _split_file_error(path, lines.line_num, _("{name} stands twice").format(name=cells[0]))
            seen.add(cells[0])
            yield cells[0], SPLIT_WORDS[word] if word else UNASSIGNED
    except (UnicodeDecodeError, csv.Error) as error:
        raise _split_file_error(path, 1, str(error)) from error


def _split_file_error(path: Path, line: int, reason: str) -> DataError:
    return DataError(
        _("{path}:{line}: {reason}.").format(path=path, line=line, reason=reason),
        _("Expected a file and train, val or test on each line."),
        _("Divide the data anew with lince split, or correct the line."),
    )


def _missing_text(path: Path, names: Sequence[str]) -> str:
    text = _("{count:,} images are not in {path} and in no part: {names}")
    return text.format(count=len(names), path=path, names=shorten_list(names, 3))


def _unknown_text(path: Path, names: Sequence[str]) -> str:
    text = _("{count:,} lines of {path} name no image that is here: {names}")
    return text.format(count=len(names), path=path, names=shorten_list(names, 3))
