"""The verb export: a run's model for other runtimes, judged beside the run on the run's own photos."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.data import SPLITS, TEST, TRAIN, UNASSIGNED, VAL, Dataset, open_dataset
from lince.errors import DataError, LinceError, UsageError
from lince.evaluation.found import FoundObjects, holds_objects
from lince.evaluation.predictions import Predictions
from lince.exporting import contained
from lince.exporting.asking import Photos
from lince.exporting.contained import Contained
from lince.exporting.export import Exported, Material, Order
from lince.exporting.export import export as export_model
from lince.exporting.judging import Recorded
from lince.messages import _
from lince.progress import SILENT, Progress, Stage
from lince.runtime import modelfolder
from lince.training import run
from lince.training.run import Run

COUNT = 100  # photos on which an export is judged
EXPORTS, CONTAINED = "exports", "self-contained.onnx"


def export(  # noqa: PLR0913
    model: str | Path,
    to: str = "onnx",
    *,
    precision: str = "fp32",
    out: str | Path | None = None,
    data: str | Path | Dataset | None = None,
    count: int = COUNT,
    max_drop: float = 1.0,
    unchecked: bool = False,
    progress: Progress = SILENT,
) -> Exported:
    """Write the model of a run for the runtime ``to`` and return where it is and how it was judged.

    ``precision`` is fp32, fp16 or int8; ``out`` a new folder (``exports/...`` in the run by default) or a file ending
    in ``.lince``. It is judged on ``count`` photos of the run's test part, or of ``data``, and refused when it loses
    more than ``max_drop`` points. ``unchecked`` takes what cannot be judged on this machine. Raises ``UsageError``,
    ``MissingExtraError`` or ``ModelError``, and leaves nothing behind then.
    """
    folder = modelfolder.locate(Path(model))
    order = Order(to, precision, max_drop, unchecked)
    target = Path(out) if out is not None else Path(model) / EXPORTS / _name(order)
    return export_model(_material(Path(model), folder, data, count, progress), order, target, progress)


def contain(
    model: str | Path,
    out: str | Path | None = None,
    *,
    data: str | Path | Dataset | None = None,
    count: int = COUNT,
    progress: Progress = SILENT,
) -> tuple[Path, Contained]:
    """Write the model of a run as one graph from pixels to answers, and return its path and how near it is to lince.

    ``out`` is a file ending in ``.onnx`` (``exports/self-contained.onnx`` in the run by default). It is compared on
    ``count`` photos of the run's test part, or of ``data``, and refused with ``ModelError`` when it answers otherwise.
    """
    target = Path(out) if out is not None else Path(model) / EXPORTS / CONTAINED
    if target.suffix.lower() != ".onnx":
        raise UsageError(
            _("A self-contained model is one file: {path} cannot be it.").format(path=target),
            _("Expected a name that ends in .onnx."),
        )
    photos = _material(Path(model), modelfolder.locate(Path(model)), data, count, progress).test
    with progress.stage(_("Comparing with lince"), len(photos)) as stage:
        return target, contained.contain(model, target, _seen(photos, stage))


def _seen(photos: Photos, stage: Stage) -> Iterator[NDArray[np.uint8]]:
    for data in photos.each():
        yield images.decode(data)
        stage.advance()


def _name(order: Order) -> str:
    return order.to if order.precision == "fp32" else f"{order.to}-{order.precision}"


def _material(model: Path, folder: Path, data: str | Path | Dataset | None, count: int, progress: Progress) -> Material:
    """Return the photos to judge on and to learn ranges from: of the run's data, or of ``data``."""
    own = Run(model)
    known = (own.folder / run.ORIGIN).is_file() and (own.folder / run.SPLIT).is_file()
    if data is None and not known:
        raise UsageError(
            _("{model} does not tell which photos it was trained and tested on.").format(model=model),
            _("Expected photos on which the export can be judged."),
            _("Give labelled ones: --data FOLDER"),
        )
    if data is None:
        dataset = _own_data(own, progress)
    else:
        dataset = data if isinstance(data, Dataset) else open_dataset(data, progress=progress)
    rows = dataset.indices(TEST)
    where = "test" if len(rows) else "all"
    rows = rows if len(rows) else np.arange(len(dataset))
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))]
    if not len(chosen):
        raise DataError(_("There is no photo to judge the export on."), _("Expected at least one."))
    return Material(
        folder,
        Photos(dataset.select(chosen), where),
        dataset.select(dataset.indices(TRAIN)),
        dataset.select(dataset.indices(VAL)),
        _recorded(own) if data is None else None,
    )


def _own_data(own: Run, progress: Progress) -> Dataset:
    """Return the data of a run with its own division; raise ``DataError`` when it is not there any more."""
    origin = own.origin
    reading = {name: origin[name] for name in ("format", "pattern", "merge", "fix") if name in origin}
    try:
        dataset = open_dataset(origin["path"], **reading, progress=progress)
    except LinceError as error:
        raise DataError(
            _("The data of this run cannot be read: {reason}").format(reason=error.found),
            _("Expected it in {path}.").format(path=origin["path"]),
            _("Bring it back, or give other labelled photos: --data FOLDER"),
        ) from error
    text = (own.folder / run.SPLIT).read_bytes().decode("utf-8", "surrogateescape")
    parts = {row["name"]: row["split"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    numbers = [SPLITS.get(parts.get(dataset.images.name(row), ""), UNASSIGNED) for row in range(len(dataset))]
    divided = replace(dataset, splits=np.array(numbers, np.int8))
    return divided.select(np.flatnonzero(divided.splits != UNASSIGNED))


def _recorded(own: Run) -> Recorded | None:
    path = own.folder / run.PREDICTIONS
    if not path.is_file():
        return None
    return FoundObjects.load(path) if holds_objects(path) else Predictions.load(path)
