"""The door for what models said: kept in a folder, whatever the task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lince.annotations import Rejected
from lince.errors import UsageError
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime import answers as named
from lince.runtime.detection import Found
from lince.runtime.predictor import Prediction


def save_answers(
    answers: Sequence[Prediction | Found | Rejected],
    folder: str | Path,
    to: str | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write what one model said of photos into ``folder`` and return it.

    Of a classifier: ``predictions.csv``, ``predictions.json`` and ``sheet.jpg``, which shows up to 48 photos, evenly
    taken from all. Of a detector: what ``runtime.found.save`` writes, into a new folder, with a labelled set in the
    format ``to`` beside it. Raises ``DataError`` when no photo was answered.
    """
    found_on = [one for one in answers if not isinstance(one, Prediction)]
    if any(isinstance(one, Found) for one in found_on):
        from lince.runtime import foundfolder  # noqa: PLC0415  (the formats of labels take long to load)

        return foundfolder.save(found_on, folder, to, progress).folder
    if to:
        raise UsageError(
            _("There are no boxes to write in the format '{name}'.").format(name=to),
            _("Expected what a detector found."),
        )
    return named.save_answers([one for one in answers if not isinstance(one, Found)], folder)
