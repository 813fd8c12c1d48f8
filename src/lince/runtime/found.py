"""What a detector found, in tables: as CSV for spreadsheets, as JSON for programs, and counted."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lince import files
from lince.annotations import Rejected
from lince.errors import DataError, UsageError
from lince.messages import _
from lince.runtime.detection import Found

_HEADER = ("file", "number", "class", "score", "left", "top", "right", "bottom")

Finding = Found | Rejected


def save_csv(found: Sequence[Finding], path: str | Path) -> Path:
    """Write one line for each object: photo, number, class, score, and its box in pixels of the upright photo."""
    files.write_text(Path(path), table(answered(found)))
    return Path(path)


def record(found: Sequence[Finding]) -> dict[str, Any]:
    """Return what was found as JSON, and what was not an image with its reason."""
    photos = [one for one in found if isinstance(one, Found)]
    return {
        "counts": totals(photos),
        "photos": [one.to_dict() for one in photos],
        "rejected": [
            {"file": one.path, "reason": one.reason, "remedy": one.remedy} for one in found if isinstance(one, Rejected)
        ],
    }


def totals(photos: Sequence[Found]) -> dict[str, int]:
    """Return how many objects of each class were found on all ``photos`` of one model, in the classes' order."""
    found: Counter[str] = Counter()
    for one in photos:
        found.update(one.counts())
    return {name: found[name] for one in photos[:1] for name in one.classes.names if found[name]}


def answered(found: Sequence[Finding]) -> list[Found]:
    """Return the photos of ``found`` that were looked at; raise ``DataError`` when there is none."""
    photos = [one for one in found if isinstance(one, Found)]
    if not photos:
        raise DataError(
            _("None of the {count} files is an image that can be read.").format(count=len(found)),
            _("Expected at least one photo."),
        )
    return photos


def require_free(folder: Path) -> None:
    """Raise ``UsageError`` when ``folder`` holds something already."""
    if folder.exists() and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise UsageError(
            _("{path} exists already.").format(path=folder),
            _("Expected a new folder to write to, or an empty one."),
            _("Choose another name, or remove it."),
        )


def table(photos: Sequence[Found], crops: Mapping[int, Sequence[str]] | None = None) -> str:
    """Return the lines of ``save_csv``, with where the crops of each photo lie by its ``id`` where they are given."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER if crops is None else (*_HEADER, "crop"))
    for one in photos:
        paths = (crops or {}).get(id(one), [""] * len(one.detections))
        for number, (thing, path) in enumerate(zip(one.to_dict()["objects"], paths, strict=True), 1):
            row = (one.name, number, thing["class"], thing["score"], *thing["box"])
            writer.writerow(row if crops is None else (*row, path))
    return text.getvalue()
