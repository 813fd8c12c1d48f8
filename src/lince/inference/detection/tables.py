"""Detections as tables: CSV, JSON, and counts by class."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lince import fileio, outputs
from lince.annotations import RejectedItem
from lince.inference.detection.result import MASK_COLUMNS, DetectionResult
from lince.inference.result import require_results

_CSV_HEADER = ("file", "number", "class", "score", "left", "top", "right", "bottom")

DetectionOutcome = DetectionResult | RejectedItem


def save_csv(outcomes: Sequence[DetectionOutcome], path: str | Path) -> Path:
    """Write one row per detection to ``path`` and return it: file, number, class, score, and box in pixels.

    Raises ``DataError`` when no image was predicted.
    """
    fileio.write_text(Path(path), format_csv(require_results(outcomes)))
    outputs.record_output(Path(path), outputs.PREDICTIONS_TABLE)
    return Path(path)


def build_json_record(outcomes: Sequence[DetectionOutcome]) -> dict[str, Any]:
    """Return the outcomes as a JSON object: counts by class, the results, and the rejected files."""
    results = [outcome for outcome in outcomes if isinstance(outcome, DetectionResult)]
    return {
        "counts": count_by_class(results),
        "photos": [result.to_dict() for result in results],
        "rejected": [
            {"file": outcome.path, "reason": outcome.reason, "remedy": outcome.remedy}
            for outcome in outcomes
            if isinstance(outcome, RejectedItem)
        ],
    }


def count_by_class(results: Sequence[DetectionResult]) -> dict[str, int]:
    """Return the number of detections of each class on all images, in the order of the classes, without zeros.

    All ``results`` are of one model.
    """
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.counts())
    return {name: counts[name] for result in results[:1] for name in result.classes.names if counts[name]}


def format_csv(results: Sequence[DetectionResult], crop_paths: Mapping[int, Sequence[str]] | None = None) -> str:
    """Return the text of the CSV file of ``save_csv``.

    With ``crop_paths``, a last column has the paths of the crops, by the ``id`` of the result and the position of the
    detection.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    extra = MASK_COLUMNS if any(result.gives_masks for result in results[:1]) else ()
    header = (*_CSV_HEADER, *extra)
    writer.writerow(header if crop_paths is None else (*header, "crop"))
    for result in results:
        paths = (crop_paths or {}).get(id(result), [""] * len(result.detections))
        for number, (record, path) in enumerate(zip(result.to_dict()["objects"], paths, strict=True), 1):
            masked = [record[name] for name in extra]
            row = (result.name, number, record["class"], record["score"], *record["box"], *masked)
            writer.writerow(row if crop_paths is None else (*row, path))
    return text.getvalue()
