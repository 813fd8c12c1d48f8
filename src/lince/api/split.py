"""The verb that divides data: split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lince.datasets import Dataset, open_dataset, split_file
from lince.datasets import stratified_split as dividing
from lince.datasets.groups import ImageGroups, find_groups
from lince.errors import UsageError
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLITS, UNASSIGNED


@dataclass(frozen=True, eq=False)
class SplitResult:
    """A divided ``dataset``, the ``path`` of its table, what was kept together, and what leaks all the same.

    ``leaks`` counts the images outside of a test part that came with the data and that are like one inside.
    """

    dataset: Dataset
    path: Path
    groups: ImageGroups | None
    leak_count: int

    @property
    def split_sizes(self) -> dict[str, int]:
        """How many images each part has, and how many have none."""
        named = {name: len(self.dataset.get_split_indices(number)) for name, number in SPLITS.items()}
        return {**named, "": len(self.dataset.get_split_indices(UNASSIGNED))}


def split(  # noqa: PLR0913
    data: str | Path | Dataset,
    out: str | Path | None = None,
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
    progress: Progress = SILENT,
) -> SplitResult:
    """Divide ``data`` and write the table ``splits.csv`` beside it (or ``out``), which every verb then honours.

    Parts that the data brings along stay as they are unless ``anew``. Photos that show the same stay together unless
    ``together`` is off; ``group`` is a pattern of file names whose ``{group}`` names what belongs together. ``folds``
    deals the images that are not in the test part into so many. Raise ``UsageError`` or ``DataError``.
    """
    if isinstance(data, Dataset):
        dataset = data
    else:
        dataset = open_dataset(data, format=format, pattern=pattern, merge=merge, fix=fix, progress=progress)
    if anew:
        dataset = replace(dataset, splits=np.full(len(dataset), UNASSIGNED, np.int8))
    target = _resolve_table_path(dataset, out)
    kept = find_groups(dataset, progress, group) if together else None
    ids = kept.ids if kept is not None and kept.grouped_count else None
    divided = dividing.split_dataset(dataset, val, test, seed, ids)
    dealt = None if folds is None else dividing.assign_folds(divided, folds, seed, ids)
    split_file.write_split_file(target, divided, dealt)
    leaks = 0 if ids is None else len(dividing.find_split_leaks(divided, ids))
    return SplitResult(divided, target, kept, leaks)


def _resolve_table_path(dataset: Dataset, out: str | Path | None) -> Path:
    if out is not None:
        path = Path(out).expanduser()
        return path / split_file.FILE_NAME if path.is_dir() else path
    if not dataset.root.is_dir():
        raise UsageError(
            _("{root} is no folder that a table could lie in.").format(root=dataset.root),
            _("Expected the path of the table to write."),
            _("Name it after the data: lince split DATA splits.csv."),
        )
    return dataset.root / split_file.FILE_NAME
