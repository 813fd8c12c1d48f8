"""The door for what models said: kept in a folder, whatever the task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lince.annotations import RejectedItem
from lince.errors import UsageError
from lince.i18n import _
from lince.inference.classification import results_file as named
from lince.inference.classification.predictor import ClassificationResult
from lince.inference.detection.predictor import DetectionResult
from lince.progress import SILENT, Progress


def save_answers(
    answers: Sequence[ClassificationResult | DetectionResult | RejectedItem],
    folder: str | Path,
    to: str | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write what one model said of photos into ``folder`` and return it.

    Of a classifier: ``predictions.csv``, ``predictions.json`` and ``sheet.jpg``, which shows up to 48 photos, evenly
    taken from all. Of a detector: what ``runtime.found.save`` writes, into a new folder, with a labelled set in the
    format ``to`` beside it. Raises ``DataError`` when no photo was answered.
    """
    found_on = [one for one in answers if not isinstance(one, ClassificationResult)]
    if any(isinstance(one, DetectionResult) for one in found_on):
        from lince.inference.detection import results_folder  # noqa: PLC0415

        return results_folder.save_detections(found_on, folder, to, progress).folder
    if to:
        raise UsageError(
            _("There are no boxes to write in the format '{name}'.").format(name=to),
            _("Expected what a detector found."),
        )
    return named.save_classifications([one for one in answers if not isinstance(one, DetectionResult)], folder)
