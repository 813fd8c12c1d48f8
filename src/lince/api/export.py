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
from lince.datasets import Dataset, open_dataset
from lince.errors import DataError, LinceError, UsageError
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.detection.predictions import DetectionPredictions, is_detection_file
from lince.export import standalone
from lince.export.model_outputs import EvaluationImages
from lince.export.pipeline import ExportInput, ExportOptions, ExportResult, export_model
from lince.export.standalone import StandaloneReport
from lince.export.validator import RecordedOutputs
from lince.i18n import _
from lince.inference import model_folder
from lince.progress import SILENT, Progress, ProgressStage
from lince.splits import SPLITS, TEST, TRAIN, UNASSIGNED, VAL
from lince.training import run_folder
from lince.training.run_folder import TrainingRun

DEFAULT_IMAGE_COUNT = 100  # photos on which an export is judged
EXPORTS_FOLDER, SELF_CONTAINED_NAME = "exports", "self-contained.onnx"


def export(  # noqa: PLR0913
    model: str | Path,
    to: str = "onnx",
    *,
    precision: str = "fp32",
    out: str | Path | None = None,
    data: str | Path | Dataset | None = None,
    count: int = DEFAULT_IMAGE_COUNT,
    max_drop: float = 1.0,
    unchecked: bool = False,
    progress: Progress = SILENT,
) -> ExportResult:
    """Write the model of a run for the runtime ``to`` and return where it is and how it was judged.

    ``precision`` is fp32, fp16 or int8; ``out`` a new folder (``exports/...`` in the run by default) or a file ending
    in ``.lince``. It is judged on ``count`` photos of the run's test part, or of ``data``, and refused when it loses
    more than ``max_drop`` points. ``unchecked`` takes what cannot be judged on this machine. Raises ``UsageError``,
    ``MissingExtraError`` or ``ModelError``, and leaves nothing behind then.
    """
    folder = model_folder.find_model_folder(Path(model))
    order = ExportOptions(to, precision, max_drop, unchecked)
    target = Path(out) if out is not None else Path(model) / EXPORTS_FOLDER / _export_folder_name(order)
    return export_model(_build_export_input(Path(model), folder, data, count, progress), order, target, progress)


def contain(
    model: str | Path,
    out: str | Path | None = None,
    *,
    data: str | Path | Dataset | None = None,
    count: int = DEFAULT_IMAGE_COUNT,
    progress: Progress = SILENT,
) -> tuple[Path, StandaloneReport]:
    """Write the model of a run as one graph from pixels to answers, and return its path and how near it is to lince.

    ``out`` is a file ending in ``.onnx`` (``exports/self-contained.onnx`` in the run by default). It is compared on
    ``count`` photos of the run's test part, or of ``data``, and refused with ``ModelError`` when it answers otherwise.
    """
    target = Path(out) if out is not None else Path(model) / EXPORTS_FOLDER / SELF_CONTAINED_NAME
    if target.suffix.lower() != ".onnx":
        raise UsageError(
            _("A self-contained model is one file: {path} cannot be it.").format(path=target),
            _("Expected a name that ends in .onnx."),
        )
    photos = _build_export_input(Path(model), model_folder.find_model_folder(Path(model)), data, count, progress).test
    with progress.open_stage(_("Comparing with lince"), len(photos)) as stage:
        return target, standalone.export_standalone(model, target, _iter_images(photos, stage))


def _iter_images(photos: EvaluationImages, stage: ProgressStage) -> Iterator[NDArray[np.uint8]]:
    for data in photos.iter_encoded():
        yield images.decode_image(data)
        stage.advance()


def _export_folder_name(order: ExportOptions) -> str:
    return order.target_name if order.precision == "fp32" else f"{order.target_name}-{order.precision}"


def _build_export_input(
    model: Path, folder: Path, data: str | Path | Dataset | None, count: int, progress: Progress
) -> ExportInput:
    """Return the photos to judge on and to learn ranges from: of the run's data, or of ``data``."""
    own = TrainingRun(model)
    known = (own.folder / run_folder.DATA_FILE).is_file() and (own.folder / run_folder.SPLIT_FILE).is_file()
    if data is None and not known:
        raise UsageError(
            _("{model} does not tell which photos it was trained and tested on.").format(model=model),
            _("Expected photos on which the export can be judged."),
            _("Give labelled ones: --data FOLDER"),
        )
    if data is None:
        dataset = _open_run_dataset(own, progress)
    else:
        dataset = data if isinstance(data, Dataset) else open_dataset(data, progress=progress)
    rows = dataset.get_split_indices(TEST)
    where = "test" if len(rows) else "all"
    rows = rows if len(rows) else np.arange(len(dataset))
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))]
    if not len(chosen):
        raise DataError(_("There is no photo to judge the export on."), _("Expected at least one."))
    return ExportInput(
        folder,
        EvaluationImages(dataset.select(chosen), where),
        dataset.select(dataset.get_split_indices(TRAIN)),
        dataset.select(dataset.get_split_indices(VAL)),
        _load_run_predictions(own) if data is None else None,
    )


def _open_run_dataset(own: TrainingRun, progress: Progress) -> Dataset:
    """Return the data of a run with its own division; raise ``DataError`` when it is not there any more."""
    origin = own.data_source
    reading = {name: origin[name] for name in ("format", "pattern", "merge", "fix") if name in origin}
    try:
        dataset = open_dataset(origin["path"], **reading, progress=progress)
    except LinceError as error:
        raise DataError(
            _("The data of this run cannot be read: {reason}").format(reason=error.problem),
            _("Expected it in {path}.").format(path=origin["path"]),
            _("Bring it back, or give other labelled photos: --data FOLDER"),
        ) from error
    text = (own.folder / run_folder.SPLIT_FILE).read_bytes().decode("utf-8", "surrogateescape")
    parts = {row["name"]: row["split"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    numbers = [SPLITS.get(parts.get(dataset.images.get_name(row), ""), UNASSIGNED) for row in range(len(dataset))]
    divided = replace(dataset, splits=np.array(numbers, np.int8))
    return divided.select(np.flatnonzero(divided.splits != UNASSIGNED))


def _load_run_predictions(own: TrainingRun) -> RecordedOutputs | None:
    path = own.folder / run_folder.PREDICTIONS_FILE
    if not path.is_file():
        return None
    return DetectionPredictions.load(path) if is_detection_file(path) else ClassificationPredictions.load(path)
