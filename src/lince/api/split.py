"""Splits a dataset into training, validation and test: ``lince.split``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lince import outputs
from lince.api.data_source import DataSource, open_data
from lince.datasets import Dataset, split_file
from lince.datasets.division import Division, DivisionOptions, divide_dataset
from lince.datasets.groups import ImageGroups
from lince.errors import UsageError
from lince.i18n import _
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress
from lince.splits import SPLITS, UNASSIGNED


@dataclass(frozen=True, eq=False)
class SplitResult:
    """A division of a dataset, and the split file that was written to ``path``."""

    division: Division
    path: Path

    @property
    def dataset(self) -> Dataset:
        """The dataset with its splits."""
        return self.division.dataset

    @property
    def groups(self) -> ImageGroups:
        """The images that were kept together, and the groups that held too much and were cut."""
        return self.division.groups

    @property
    def leak_count(self) -> int:
        """The images outside of a given test split that are in one group with an image inside it."""
        return self.division.leak_count

    @property
    def split_sizes(self) -> dict[str, int]:
        """The number of images of each split by its name; the empty name counts the images in no split."""
        sizes = {name: len(self.dataset.get_split_indices(number)) for name, number in SPLITS.items()}
        return {**sizes, "": len(self.dataset.get_split_indices(UNASSIGNED))}


def split(  # noqa: PLR0913
    data: DataSource,
    out: str | os.PathLike[str] | None = None,
    *,
    val: float = 0.1,
    test: float = 0.2,
    folds: int | None = None,
    seed: int = 0,
    anew: bool = False,
    together: bool = True,
    group: str | None = None,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    void: Iterable[str | int] = (),
    overwrite: bool = False,
    progress: Progress = AUTOMATIC,
) -> SplitResult:
    """Split ``data`` at random and write the split file, which every other command then applies.

    ``val`` and ``test`` are fractions. A split that the data brings is kept unless ``anew``. Images that show the same
    scene (copies, altered copies, films, near duplicates) stay in one split unless ``together`` is false; ``group`` is
    a pattern of file names whose ``{group}`` names what belongs together, in either case. ``train`` with the same
    fractions and seed draws the same split. ``folds`` also deals the images outside the test
    split into that many folds for cross-validation. The table is written to ``out``, by default ``splits.csv`` in the
    folder of the data; a table there that lince did not write, or that was changed since, is only replaced with
    ``overwrite``. ``format``, ``pattern``, ``merge``, ``fix`` and ``void`` are those of ``lince.open``.

    Raises ``UsageError`` for invalid fractions or where the table cannot be written, and ``DataError`` when too many
    images belong together to fill all splits.
    """
    dataset = open_data(data, progress, format=format, pattern=pattern, merge=merge, fix=fix, void=void)
    if anew:
        dataset = replace(dataset, splits=np.full(len(dataset), UNASSIGNED, np.int8))
    target = _resolve_table_path(dataset, out)
    outputs.require_output_file(target, outputs.SPLIT_TABLE, overwrite=overwrite, sources=[data])
    options = DivisionOptions(val, test, seed, together=together, pattern=group, folds=folds)
    division = divide_dataset(dataset, options, progress)
    split_file.write_split_file(target, division.dataset, division.folds)
    outputs.record_output(target, outputs.SPLIT_TABLE)
    return SplitResult(division, target)


def _resolve_table_path(dataset: Dataset, out: str | os.PathLike[str] | None) -> Path:
    """Return the path of the split file.

    Raises ``UsageError`` for data outside a folder when ``out`` is not given, and for a folder with other files in it:
    beside other photos, the table would be applied to them.
    """
    if out is not None:
        path = Path(out).expanduser()
        if not path.is_dir():
            return path
        if not (dataset.root.is_dir() and path.samefile(dataset.root)):
            outputs.require_output_folder(path, outputs.SPLIT_FOLDER)
        return path / split_file.FILE_NAME
    if not dataset.root.is_dir():
        raise UsageError(
            _("{root} is not a folder that the split table can be written to.").format(root=dataset.root),
            _("Expected the path of the table to write."),
            _("Give it after the data: lince split DATA splits.csv."),
        )
    return dataset.root / split_file.FILE_NAME
