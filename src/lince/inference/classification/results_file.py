"""What a model answered, kept: as CSV for spreadsheets, as JSON for programs, as a picture for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from lince import fileio, images
from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.i18n import _
from lince.inference import drawing
from lince.inference.classification.predictor import ClassificationResult

CSV_NAME, JSON_NAME, SHEET_NAME = "predictions.csv", "predictions.json", "sheet.jpg"
MAX_SHEET_IMAGES = 48  # photos on the sheet, eight rows of six
_CELL_SIDE = 180

ClassificationOutcome = ClassificationResult | RejectedItem


def save_classifications(outcomes: Sequence[ClassificationOutcome], folder: str | Path) -> Path:
    """Write ``predictions.csv``, ``predictions.json`` and ``sheet.jpg`` into ``folder`` and return it.

    The sheet shows up to 48 photos, evenly taken from all; it is left out where no photo lies in a file. Raises
    ``DataError`` when no photo was answered.
    """
    target = Path(folder)
    save_csv(outcomes, target / CSV_NAME)
    fileio.write_json(target / JSON_NAME, build_json_record(outcomes))
    shown = [answer for answer in _require_results(outcomes) if answer.path]
    if shown:
        rows = np.linspace(0, len(shown) - 1, min(MAX_SHEET_IMAGES, len(shown))).round().astype(int)
        sheet = drawing.draw_contact_sheet([_build_cell(shown[row]) for row in rows])
        fileio.write_bytes(target / SHEET_NAME, images.encode_jpeg(sheet))
    return target


def save_csv(outcomes: Sequence[ClassificationOutcome], path: str | Path) -> Path:
    """Write one line for each photo that was answered: file, class, probability, truth, and every probability."""
    predictions = _require_results(outcomes)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = predictions[0].classes.names
    writer.writerow(("file", "class", "probability", "truth", *(f"p:{name}" for name in names)))
    for one in predictions:
        shares = [] if one.label.probabilities is None else one.label.probabilities.tolist()
        writer.writerow(
            (
                one.name,
                one.class_name,
                _format_probability(one.label.score),
                one.truth_name or "",
                *map(_format_probability, shares),
            )
        )
    fileio.write_text(Path(path), text.getvalue())
    return Path(path)


def build_json_record(outcomes: Sequence[ClassificationOutcome], top: int | None = None) -> dict[str, Any]:
    """Return the answers as JSON, with the ``top`` classes of each, and what was not an image with its reason."""
    predictions = [answer for answer in outcomes if isinstance(answer, ClassificationResult)]
    known = [one for one in predictions if one.is_correct is not None]
    found: dict[str, Any] = {
        "predictions": [one.to_dict(top) for one in predictions],
        "rejected": [
            {"file": one.path, "reason": one.reason, "remedy": one.remedy}
            for one in outcomes
            if isinstance(one, RejectedItem)
        ],
    }
    if known:
        found["right"], found["known"] = sum(bool(one.is_correct) for one in known), len(known)
    return found


def _require_results(answers: Sequence[ClassificationOutcome]) -> list[ClassificationResult]:
    found = [answer for answer in answers if isinstance(answer, ClassificationResult)]
    if not found:
        raise DataError(
            _("None of the {count} files is an image that can be read.").format(count=len(answers)),
            _("Expected at least one photo."),
        )
    return found


def _build_cell(one: ClassificationResult) -> drawing.SheetCell:
    image = images.read_image(Path(one.path or ""), at_least=(_CELL_SIDE, _CELL_SIDE))
    answer = f"{one.label.score:.0%} {one.class_name}"  # a long name is cut at its end, and the share stays
    below = _("truth: {name}").format(name=one.truth_name) if one.is_correct is False else PurePosixPath(one.name).name
    return drawing.SheetCell(image, (answer, below), one.is_correct)


def _format_probability(value: float) -> str:
    return f"{value:.6g}"
