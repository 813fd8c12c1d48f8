"""Class maps as tables: the area of each class in each photo as CSV and JSON, and over all photos."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince import fileio, outputs
from lince.annotations import RejectedItem
from lince.inference.result import require_results
from lince.inference.segmentation.result import SegmentationResult

SegmentationOutcome = SegmentationResult | RejectedItem


@dataclass(frozen=True)
class ClassTotal:
    """A class over several photos: in how many it is, and the mean of its shares over all photos (0..1)."""

    name: str
    photos: int
    mean_share: float
    pixels: int
    area: float | None


def save_csv(outcomes: Sequence[SegmentationOutcome], path: str | Path) -> Path:
    """Write a row for each class in each photo to ``path`` and return it; the columns are those of ``to_rows``.

    Raises ``DataError`` when no photo was predicted.
    """
    fileio.write_text(Path(path), format_csv(require_results(outcomes)))
    outputs.record_output(Path(path), outputs.PREDICTIONS_TABLE)
    return Path(path)


def format_csv(results: Sequence[SegmentationResult], cutout_paths: Mapping[tuple[int, str], str] | None = None) -> str:
    """Return the text of the CSV file of ``save_csv``.

    With ``cutout_paths``, a last column has the paths of the cut-outs, by the ``id`` of the result and the class.
    """
    columns = [*results[0].columns, *(["cutout"] if cutout_paths is not None else [])]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for result in results:
        for row in result.to_rows():
            cells = {} if cutout_paths is None else {"cutout": cutout_paths.get((id(result), row["class"]), "")}
            writer.writerow(row | cells)
    return text.getvalue()


def build_json_record(outcomes: Sequence[SegmentationOutcome]) -> dict[str, Any]:
    """Return the outcomes as a JSON object: the totals by class, the results, and the rejected files."""
    results = [outcome for outcome in outcomes if isinstance(outcome, SegmentationResult)]
    return {
        "totals": [
            {"class": one.name, "photos": one.photos, "share": round(one.mean_share, 6), "pixels": one.pixels}
            | ({} if one.area is None else {"area": one.area})
            for one in sum_by_class(results)
        ],
        "predictions": [result.to_dict() for result in results],
        "rejected": [
            {"file": outcome.path, "reason": outcome.reason, "remedy": outcome.remedy}
            for outcome in outcomes
            if isinstance(outcome, RejectedItem)
        ],
    }


def sum_by_class(results: Sequence[SegmentationResult]) -> list[ClassTotal]:
    """Return the totals of the classes that are in any photo, in the order of the classes.

    All ``results`` are of one model and have the same scale.
    """
    totals = []
    for row, name in enumerate(results[0].classes.names if results else ()):
        counts = [int(result.runs.count_pixels(row + 2)[row + 1]) for result in results]
        shares = [count / (result.size[0] * result.size[1]) for count, result in zip(counts, results, strict=True)]
        if not any(counts):
            continue
        scale = results[0].scale
        area = float(f"{scale.compute_area(sum(counts)):.6g}") if scale else None
        present = sum(count > 0 for count in counts)
        totals.append(ClassTotal(name, present, sum(shares) / len(shares), sum(counts), area))
    return totals
