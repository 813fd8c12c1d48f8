"""Exports the model of a run for other runtimes and verifies it on images: ``lince.export`` and ``lince.contain``."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images, outputs
from lince.api.data_source import DataSource, find_test_rows, open_data, reopen_data
from lince.datasets import Dataset, compute_content_keys
from lince.errors import DataError, LinceError, UsageError
from lince.export import standalone
from lince.export.model_outputs import EvaluationImages
from lince.export.pipeline import (
    ExportInput,
    ExportOptions,
    ExportResult,
    export_model,
    require_target,
    resolve_precision,
)
from lince.export.standalone import StandaloneReport
from lince.i18n import _
from lince.inference import model_folder
from lince.model_card import ModelCard
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress, ProgressStage
from lince.sampling import sample_evenly
from lince.splits import SPLITS, TRAIN, UNASSIGNED, VAL
from lince.tasks import get_task, load_predictions
from lince.training import run_folder
from lince.training.run_folder import TrainingRun
from lince.training.seen_images import SeenImages, find_seen_images

DEFAULT_IMAGE_COUNT = 100  # images on which an export is compared with its run
EXPORTS_FOLDER, SELF_CONTAINED_NAME = "exports", "self-contained.onnx"


def export(  # noqa: PLR0913
    model: str | os.PathLike[str],
    to: str = "onnx",
    *,
    precision: str | None = None,
    out: str | os.PathLike[str] | None = None,
    data: DataSource | None = None,
    count: int = DEFAULT_IMAGE_COUNT,
    max_drop: float = 1.0,
    unchecked: bool = False,
    progress: Progress = AUTOMATIC,
) -> ExportResult:
    """Write the model of a run for the runtime ``to``, verify it, and return its path and the measurements.

    ``precision`` is ``fp32``, ``fp16`` or ``int8``, by default that of the run where the target has it. ``out`` is a
    new folder (by default in ``exports`` of the run) or a file ending in ``.lince``. Outputs, quality and speed of the
    export and of the run are compared on ``count`` images of the run's test split, or of ``data``. The export is
    refused when it loses more than ``max_drop`` percentage points of accuracy or mAP50. ``unchecked`` allows targets
    that cannot be run, and so not be verified, on this machine.

    Raises ``UsageError`` for an invalid choice, ``MissingExtraError`` when the target needs a library that is not
    installed, ``DataError`` when there are no images, and ``ModelError`` when the export differs too much. Nothing is
    left behind then.
    """
    folder = model_folder.find_model_folder(Path(model))
    options = resolve_precision(ExportOptions(to, precision, max_drop, unchecked), ModelCard.load(folder))
    target = Path(out) if out is not None else Path(model) / EXPORTS_FOLDER / _export_folder_name(options)
    require_target(options, target)
    return export_model(_build_export_input(Path(model), folder, data, count, progress), options, target, progress)


def contain(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    data: DataSource | None = None,
    count: int = DEFAULT_IMAGE_COUNT,
    overwrite: bool = False,
    progress: Progress = AUTOMATIC,
) -> tuple[Path, StandaloneReport]:
    """Write the model of a run as one self-contained ONNX file, and return its path and how close it is.

    ``out`` is a file ending in ``.onnx`` (by default ``exports/self-contained.onnx`` in the run). It is compared with
    the run's model on ``count`` images of the run or of ``data``, those of the test split first. Raises ``ModelError``,
    and keeps no file, when it differs too much; ``UsageError`` for another suffix, and for a file that lince did not
    write so, unless ``overwrite`` is given.
    """
    target = Path(out) if out is not None else Path(model) / EXPORTS_FOLDER / SELF_CONTAINED_NAME
    if target.suffix.lower() != ".onnx":
        raise UsageError(
            _("A self-contained model is a single file, so it cannot be written to {path}.").format(path=target),
            _("Expected a file name that ends in .onnx."),
        )
    outputs.require_output_file(target, outputs.SELF_CONTAINED_MODEL, overwrite=overwrite, sources=[data])
    folder = model_folder.find_model_folder(Path(model))
    test_images = _add_seen_images(_build_export_input(Path(model), folder, data, count, progress), count)
    with progress.open_stage(_("Comparing with lince"), sum(map(len, test_images))) as stage:
        report = standalone.export_standalone(model, target, _iter_images(test_images, stage))
    outputs.record_output(target, outputs.SELF_CONTAINED_MODEL)
    return target, report


def _add_seen_images(export_input: ExportInput, count: int) -> list[EvaluationImages]:
    """Return the test images of ``export_input`` and, up to ``count`` in all, its validation and training images.

    Whether two networks give the same results may be compared on images that trained them.
    """
    chosen = [export_input.test]
    for part, name in ((export_input.val, "val"), (export_input.train, "train")):
        missing = count - sum(map(len, chosen))
        if part is not None and missing > 0:
            chosen.append(EvaluationImages(part.select(sample_evenly(len(part), missing)), name))
    return chosen


def _iter_images(images_to_read: Sequence[EvaluationImages], stage: ProgressStage) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of each image as uint8 RGB (H, W, 3), and advance ``stage``."""
    for encoded in chain.from_iterable(part.iter_encoded() for part in images_to_read):
        yield images.decode_image(encoded)
        stage.advance()


def _export_folder_name(options: ExportOptions) -> str:
    """Return the name of the export's folder: the target, and the precision unless it is fp32."""
    return options.target_name if options.precision == "fp32" else f"{options.target_name}-{options.precision}"


def _build_export_input(
    model: Path, folder: Path, data: DataSource | None, count: int, progress: Progress
) -> ExportInput:
    """Return what an export is made from: test images to compare on, and images for int8 calibration and validation.

    They are those of the run's own data and split, or those of ``data``. The run's recorded predictions are only
    compared on its own data. Raises ``UsageError`` when the run has no record of its data and ``data`` is not given.
    """
    run = TrainingRun(model)
    has_data = (run.folder / run_folder.DATA_FILE).is_file() and (run.folder / run_folder.SPLIT_FILE).is_file()
    if data is None and not has_data:
        raise UsageError(
            _("{model} does not record which photos it was trained and tested on.").format(model=model),
            _("Expected photos to validate the export on."),
            _("Give labelled photos: --data FOLDER"),
        )
    dataset = _open_run_dataset(run, progress) if data is None else open_data(data, progress)
    task = get_task(ModelCard.load(folder).task)
    if task.fits(dataset):  # unlabelled images are compared too, where there are no others
        dataset = task.select_usable(dataset)
        if unlabelled := task.describe_unlabelled(dataset):
            progress.show_message(unlabelled)
    rows, split = find_test_rows(dataset)
    if data is not None:
        rows, split = _prefer_unseen(dataset, rows, split, find_seen_images(model), progress)
    rows = rows[sample_evenly(len(rows), count)]
    if not len(rows):
        raise DataError(_("There is no photo to validate the export on."), _("Expected at least one."))
    return ExportInput(
        folder,
        EvaluationImages(dataset.select(rows), split),
        dataset.select(dataset.get_split_indices(TRAIN)),
        dataset.select(dataset.get_split_indices(VAL)),
        _load_run_predictions(run) if data is None else None,
    )


def _prefer_unseen(
    dataset: Dataset, rows: NDArray[np.int64], split: str, seen: SeenImages, progress: Progress
) -> tuple[NDArray[np.int64], str]:
    """Return those of ``rows`` that the run has not seen, and the name of what they are.

    Where it has seen all of them they are all kept, since outputs can still be compared, and named ``seen``.
    """
    keys = compute_content_keys(dataset.select(rows), progress) if seen.split_by_key else []
    counts = seen.count(keys)
    if not counts.seen:
        return rows, split
    unseen = np.array([key not in seen.split_by_key for key in keys], bool)
    if not unseen.any():
        progress.show_message(replace(counts, are_measured=True).warning)
        return rows, "seen"
    progress.show_message(counts.note)
    return rows[unseen], split if split == "test" else "unseen"


def _open_run_dataset(run: TrainingRun, progress: Progress) -> Dataset:
    """Return the dataset of a run with the run's own split, without the images that were in none.

    Raises ``DataError`` when it cannot be read any more.
    """
    origin = run.data_source
    try:
        dataset = reopen_data(origin, progress)
    except LinceError as error:
        raise DataError(
            _("The data of this run cannot be read: {reason}").format(reason=error.problem),
            _("Expected it in {path}.").format(path=origin["path"]),
            _("Restore it, or give other labelled photos: --data FOLDER"),
        ) from error
    text = (run.folder / run_folder.SPLIT_FILE).read_bytes().decode("utf-8", "surrogateescape")
    split_names = {row["name"]: row["split"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    splits = [SPLITS.get(split_names.get(dataset.images.get_name(row), ""), UNASSIGNED) for row in range(len(dataset))]
    dataset = replace(dataset, splits=np.array(splits, np.int8))
    return dataset.select(np.flatnonzero(dataset.splits != UNASSIGNED))


def _load_run_predictions(run: TrainingRun) -> Any:
    """Return the predictions of the run on its test images; ``None`` where they were not kept."""
    path = run.folder / run_folder.PREDICTIONS_FILE
    return load_predictions(path)[1] if path.is_file() else None
