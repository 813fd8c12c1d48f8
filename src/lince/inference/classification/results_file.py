"""Saves the results of a classifier as CSV, JSON and a contact sheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lince import fileio, images, outputs
from lince.annotations import RejectedItem
from lince.i18n import NARROW_SPACE, _
from lince.inference import drawing
from lince.inference.classification.result import ClassificationResult
from lince.inference.result import require_results
from lince.inference.save import require_no_format
from lince.number_format import format_percent
from lince.progress import SILENT, Progress
from lince.sampling import sample_evenly

CSV_NAME, JSON_NAME, SHEET_NAME = "predictions.csv", "predictions.json", "sheet.jpg"
MAX_SHEET_IMAGES = 48  # images on the contact sheet, eight rows of six
_CELL_SIDE = 180  # pixels of an image on it

ClassificationOutcome = ClassificationResult | RejectedItem


def save_classifications(
    outcomes: Sequence[ClassificationOutcome],
    folder: str | Path,
    to: str | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write ``predictions.csv``, ``predictions.json`` and ``sheet.jpg`` into ``folder`` and return the folder.

    The contact sheet shows up to 48 images, evenly spread over all; it is left out where no image is in a file. Raises
    ``DataError`` when no image was predicted, and ``UsageError`` when a label format (``to``) is requested.
    """
    del progress
    require_no_format(to)
    target = Path(folder)
    save_csv(outcomes, target / CSV_NAME)
    fileio.write_json(target / JSON_NAME, build_json_record(outcomes))
    in_files = [result for result in require_results(outcomes) if result.path]
    if in_files:
        rows = sample_evenly(len(in_files), MAX_SHEET_IMAGES, round_to_nearest=True)
        sheet = drawing.draw_contact_sheet([_build_cell(in_files[row]) for row in rows])
        fileio.write_bytes(target / SHEET_NAME, images.encode_jpeg(sheet))
    return target


def save_csv(outcomes: Sequence[ClassificationOutcome], path: str | Path) -> Path:
    """Write one row per predicted image to ``path``: file, class, probability, true class, and every probability.

    Raises ``DataError`` when no image was predicted.
    """
    results = require_results(outcomes)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = results[0].classes.names
    writer.writerow(("file", "class", "probability", "truth", *(f"p:{name}" for name in names)))
    for result in results:
        probabilities = [] if result.label.probabilities is None else result.label.probabilities.tolist()
        writer.writerow(
            (
                result.name,
                result.class_name,
                _format_probability(result.label.score),
                result.truth_name or "",
                *map(_format_probability, probabilities),
            )
        )
    fileio.write_text(Path(path), text.getvalue())
    outputs.record_output(Path(path), outputs.PREDICTIONS_TABLE)
    return Path(path)


def build_json_record(outcomes: Sequence[ClassificationOutcome], top: int | None = None) -> dict[str, Any]:
    """Return the outcomes as a JSON object: the predictions with their ``top`` classes, and the rejected files.

    Where true classes are known, ``known`` counts them and ``right`` the correct predictions, both without images that
    the model has seen in training; ``seen`` counts those.
    """
    results = [outcome for outcome in outcomes if isinstance(outcome, ClassificationResult)]
    with_truth = [result for result in results if result.is_correct is not None and not result.was_seen]
    record: dict[str, Any] = {
        "predictions": [result.to_dict(top) for result in results],
        "rejected": [
            {"file": outcome.path, "reason": outcome.reason, "remedy": outcome.remedy}
            for outcome in outcomes
            if isinstance(outcome, RejectedItem)
        ],
    }
    if with_truth:
        record["right"], record["known"] = sum(bool(result.is_correct) for result in with_truth), len(with_truth)
    if seen_count := sum(bool(result.was_seen) for result in results):
        record["seen"] = seen_count
    return record


def _build_cell(result: ClassificationResult) -> drawing.SheetCell:
    """Return the cell of the contact sheet: the image, its predicted class, and the true class where that differs."""
    image = images.read_image(Path(result.path or ""), min_size=(_CELL_SIDE, _CELL_SIDE))
    # A long line is truncated at its end, so the probability comes first.
    prediction = f"{format_percent(result.label.score, 0).replace(NARROW_SPACE, ' ')} {result.class_name}"
    second_line = PurePosixPath(result.name).name
    if result.is_correct is False:
        second_line = _("actual: {name}").format(name=result.truth_name)
    return drawing.SheetCell(image, (prediction, second_line), result.is_correct)


def _format_probability(value: float) -> str:
    """Return ``value`` with six significant digits."""
    return f"{value:.6g}"
