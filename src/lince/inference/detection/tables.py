"""What a detector found, in tables: as CSV for spreadsheets, as JSON for programs, and counted."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lince import fileio
from lince.annotations import RejectedItem
from lince.errors import DataError, UsageError
from lince.i18n import _
from lince.inference.detection.predictor import DetectionResult

_CSV_HEADER = ("file", "number", "class", "score", "left", "top", "right", "bottom")

DetectionOutcome = DetectionResult | RejectedItem


def save_csv(outcomes: Sequence[DetectionOutcome], path: str | Path) -> Path:
    """Write one line for each object: photo, number, class, score, and its box in pixels of the upright photo."""
    fileio.write_text(Path(path), format_csv(require_results(outcomes)))
    return Path(path)


def build_json_record(outcomes: Sequence[DetectionOutcome]) -> dict[str, Any]:
    """Return what was found as JSON, and what was not an image with its reason."""
    photos = [one for one in outcomes if isinstance(one, DetectionResult)]
    return {
        "counts": count_by_class(photos),
        "photos": [one.to_dict() for one in photos],
        "rejected": [
            {"file": one.path, "reason": one.reason, "remedy": one.remedy}
            for one in outcomes
            if isinstance(one, RejectedItem)
        ],
    }


def count_by_class(results: Sequence[DetectionResult]) -> dict[str, int]:
    """Return how many objects of each class were found on all ``photos`` of one model, in the classes' order."""
    found: Counter[str] = Counter()
    for one in results:
        found.update(one.counts())
    return {name: found[name] for one in results[:1] for name in one.classes.names if found[name]}


def require_results(outcomes: Sequence[DetectionOutcome]) -> list[DetectionResult]:
    """Return the photos of ``found`` that were looked at; raise ``DataError`` when there is none."""
    photos = [one for one in outcomes if isinstance(one, DetectionResult)]
    if not photos:
        raise DataError(
            _("None of the {count} files is an image that can be read.").format(count=len(outcomes)),
            _("Expected at least one photo."),
        )
    return photos


def require_free_folder(folder: Path) -> None:
    """Raise ``UsageError`` when ``folder`` holds something already."""
    if folder.exists() and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise UsageError(
            _("{path} exists already.").format(path=folder),
            _("Expected a new folder to write to, or an empty one."),
            _("Choose another name, or remove it."),
        )


def format_csv(results: Sequence[DetectionResult], crop_paths: Mapping[int, Sequence[str]] | None = None) -> str:
    """Return the lines of ``save_csv``, with where the crops of each photo lie by its ``id`` where they are given."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_HEADER if crop_paths is None else (*_CSV_HEADER, "crop"))
    for one in results:
        paths = (crop_paths or {}).get(id(one), [""] * len(one.detections))
        for number, (thing, path) in enumerate(zip(one.to_dict()["objects"], paths, strict=True), 1):
            row = (one.name, number, thing["class"], thing["score"], *thing["box"])
            writer.writerow(row if crop_paths is None else (*row, path))
    return text.getvalue()
