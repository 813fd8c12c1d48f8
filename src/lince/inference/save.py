"""Writes the results of a model into a folder, whatever its task: ``lince.save_answers``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lince import fileio, outputs
from lince.annotations import RejectedItem
from lince.errors import UsageError
from lince.i18n import _
from lince.inference.result import PredictionResult, require_results
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress
from lince.tasks import get_task


def save_answers(
    answers: Sequence[PredictionResult | RejectedItem],
    folder: str | os.PathLike[str],
    to: str | None = None,
    progress: Progress = AUTOMATIC,
    *,
    overwrite: bool = False,
) -> Path:
    """Write the results of one model into ``folder`` and return the folder.

    ``answers`` are what ``predict_many`` yielded. A classifier writes ``predictions.csv``, ``predictions.json`` and
    ``sheet.jpg``, a contact sheet of up to 48 images. So does a multilabel model, and labels in the format ``to`` where
    that is given. A detector and a segmentation model write what their ``results_folder`` says, into a new folder, and
    a labelled dataset in the format ``to`` where that is given. The folder is new or empty, or holds the files of a
    classifier that an earlier call wrote; where they were changed since, ``overwrite`` replaces them.

    Raises ``DataError`` when no image was predicted, and ``UsageError`` for results of several tasks, for a format
    where the task has no boxes, and for a folder with anything else in it.
    """
    tasks = sorted({result.task for result in require_results(answers)})
    if len(tasks) > 1:
        raise UsageError(
            _("The results are of several tasks: {names}.").format(names=", ".join(tasks)),
            _("Expected the results of one model."),
        )
    outputs.require_output_folder(folder, outputs.ANSWERS, overwrite=overwrite)
    written: Path = get_task(tasks[0]).load_part("save_results")(answers, folder, to, progress)
    outputs.record_output(written, outputs.ANSWERS)
    return written


def save_records(
    results: Sequence[PredictionResult | RejectedItem],
    folder: str | os.PathLike[str],
    to: str | None = None,
    progress: Progress = AUTOMATIC,
) -> Path:
    """Write ``predictions.json`` into ``folder`` and return the folder.

    This is the part ``save_results`` of tasks that have none of their own. Raises ``UsageError`` when a label format is
    requested.
    """
    del progress
    require_no_format(to)
    records = [result.to_dict() for result in results if isinstance(result, PredictionResult)]
    fileio.write_json(Path(folder) / "predictions.json", {"predictions": records})
    return Path(folder)


def require_no_format(to: str | None) -> None:
    """Raise ``UsageError`` when results without boxes are to be written in the label format ``to``."""
    if to:
        raise UsageError(
            _("There are no boxes to write in the format '{name}'.").format(name=to),
            _("Expected the results of a detector."),
        )
