"""Checks that runs can be compared: at least two, with the same classes, on the same test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.errors import DataError, UsageError
from lince.i18n import _

P = TypeVar("P")


def align_runs(
    runs: Mapping[str, P], index: Callable[[P], Mapping[Any, int]], shared_only: bool
) -> tuple[dict[str, P], dict[str, int]]:
    """Return the predictions of ``runs`` for the images that all have, in one order, and the numbers left out.

    Classes are in the order of the first run, groups those of the first run that has them. ``index`` returns the row of
    each image that counts by what identifies it. ``shared_only`` allows that test sets differ.

    Raises ``UsageError`` for fewer than two runs, and ``DataError`` when class names or test sets differ.
    """
    require_multiple_runs(runs)
    items: dict[str, Any] = dict(runs)
    classes = require_same_classes({name: item.classes for name, item in items.items()})
    reordered = {name: item.reorder_classes(classes) for name, item in items.items()}
    rows_by_run = {name: index(item) for name, item in reordered.items()}
    first = next(iter(rows_by_run.values()))
    shared = [identity for identity in first if all(identity in rows for rows in rows_by_run.values())]
    left_out = {name: len(rows) - len(shared) for name, rows in rows_by_run.items()}
    require_same_images(left_out, len(shared), shared_only)
    aligned = {
        name: item.select([rows_by_run[name][identity] for identity in shared]) for name, item in reordered.items()
    }
    groups = find_shared_groups(aligned.values())
    return {name: replace(item, groups=groups) for name, item in aligned.items()}, left_out


def index_images(identities: Iterable[tuple[int, Hashable]]) -> dict[Any, int]:
    """Return the row of each of ``identities``, (row, what identifies it), by that and its number among equals."""
    copies: Counter[Hashable] = Counter()
    rows: dict[Any, int] = {}
    for row, identity in identities:
        rows[identity, copies[identity]] = row
        copies[identity] += 1
    return rows


def find_shared_groups(predictions: Iterable[Any]) -> NDArray[np.int64] | None:
    """Return the groups (N,) of the first of ``predictions`` that has them; all are of the same images in one order."""
    return next((item.groups for item in predictions if item.groups is not None), None)


def require_multiple_runs(runs: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` when ``runs`` has fewer than two."""
    if len(runs) < 2:
        raise UsageError(_("There is only one training run to compare."), _("Expected two or more training runs."))


def require_same_classes(classes_by_run: Mapping[str, Classes]) -> Classes:
    """Return the classes of the first run; ``classes_by_run`` has those of each run by its name.

    Raises ``DataError`` when another run has other class names; their order may differ.
    """
    names = list(classes_by_run)
    first = classes_by_run[names[0]]
    for name in names[1:]:
        different = sorted(set(first.names) ^ set(classes_by_run[name].names))
        if different:
            raise DataError(
                _("{first} and {other} have different classes: {names}.").format(
                    first=names[0], other=name, names=", ".join(different)
                ),
                _("Expected runs with the same class names, in any order."),
                _("Train both on the same classes; --merge can combine classes."),
            )
    return first


def require_same_images(left_out: Mapping[str, int], shared: int, shared_only: bool) -> None:
    """Raise ``DataError`` when the runs have no test image in common, or not all and ``shared_only`` is not set.

    ``left_out`` counts, for each run, the test images that are not in all test sets; ``shared`` counts those that are.
    """
    if shared and (shared_only or not any(left_out.values())):
        return
    sizes = ", ".join(f"{name}: {shared + extra}" for name, extra in left_out.items())
    raise DataError(
        _("The test sets differ: {shared} images are in all of them ({sizes}).").format(shared=shared, sizes=sizes),
        _("Expected runs tested on the same images with the same labels."),
        _("Run lince evaluate for each run on one test set, or compare on the shared images only (--shared).")
        if shared
        else _("Run lince evaluate for each run on one test set."),
    )
