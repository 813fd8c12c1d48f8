"""Saves the results of a model that judges whole images as CSV, JSON and a contact sheet."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lince import fileio, images, outputs
from lince.annotations import RejectedItem
from lince.inference import drawing
from lince.inference.result import require_results
from lince.inference.save import require_no_format
from lince.inference.whole_image_result import WholeImageResult, format_probability
from lince.progress import SILENT, Progress
from lince.sampling import sample_evenly

CSV_NAME, JSON_NAME, SHEET_NAME = "predictions.csv", "predictions.json", "sheet.jpg"
MAX_SHEET_IMAGES = 48  # images on the contact sheet, eight rows of six
_CELL_SIDE = 180  # pixels of an image on it

ImageOutcome = WholeImageResult | RejectedItem


def save_image_results(
    outcomes: Sequence[ImageOutcome],
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


def save_csv(outcomes: Sequence[ImageOutcome], path: str | Path) -> Path:
    """Write one row per predicted image to ``path``: file, prediction, truth, and every probability.

    Raises ``DataError`` when no image was predicted.
    """
    results = require_results(outcomes)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = results[0].classes.names
    writer.writerow(("file", *results[0].table_columns, "truth", *(f"p:{name}" for name in names)))
    for result in results:
        numbers = map(format_probability, result.probabilities.tolist())
        writer.writerow((result.name, *result.table_cells, result.truth_cell, *numbers))
    fileio.write_text(Path(path), text.getvalue())
    outputs.record_output(Path(path), outputs.PREDICTIONS_TABLE)
    return Path(path)


def build_json_record(outcomes: Sequence[ImageOutcome], top: int | None = None) -> dict[str, Any]:
    """Return the outcomes as a JSON object: the predictions with their ``top`` classes, and the rejected files.

    Where the truth is known, ``known`` counts the images and ``right`` the correct predictions, both without images
    that the model has seen in training; ``seen`` counts those.
    """
    results = [outcome for outcome in outcomes if isinstance(outcome, WholeImageResult)]
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


def _build_cell(result: WholeImageResult) -> drawing.SheetCell:
    """Return the cell of the contact sheet."""
    return result.make_sheet_cell(images.read_image(Path(result.path or ""), min_size=(_CELL_SIDE, _CELL_SIDE)))


def count_by_class(outcomes: Sequence[ImageOutcome]) -> tuple[dict[str, int], int]:
    """Return the number of images that are said to have each class, most first, and of those without any."""
    results = [outcome for outcome in outcomes if isinstance(outcome, WholeImageResult)]
    names = [result.classes.names[class_id] for result in results for class_id in result.predicted_class_ids]
    return dict(Counter(names).most_common()), sum(not result.predicted_class_ids for result in results)
