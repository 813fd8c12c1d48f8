"""What a model answered, kept: as CSV for spreadsheets, as JSON for programs, as a picture for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from lince import files, images
from lince.annotations import Rejected
from lince.errors import DataError
from lince.messages import _
from lince.runtime import draw
from lince.runtime.predictor import Prediction

CSV, JSON, SHEET = "predictions.csv", "predictions.json", "sheet.jpg"
SHOWN = 48  # photos on the sheet, eight rows of six
_SIDE = 180

Answer = Prediction | Rejected


def save_answers(answers: Sequence[Answer], folder: str | Path) -> Path:
    """Write ``predictions.csv``, ``predictions.json`` and ``sheet.jpg`` into ``folder`` and return it.

    The sheet shows up to 48 photos, evenly taken from all; it is left out where no photo lies in a file. Raises
    ``DataError`` when no photo was answered.
    """
    target = Path(folder)
    save_csv(answers, target / CSV)
    files.write_json(target / JSON, record(answers))
    shown = [answer for answer in _predictions(answers) if answer.path]
    if shown:
        rows = np.linspace(0, len(shown) - 1, min(SHOWN, len(shown))).round().astype(int)
        sheet = draw.contact_sheet([_cell(shown[row]) for row in rows])
        files.write_bytes(target / SHEET, images.encode_jpeg(sheet))
    return target


def save_csv(answers: Sequence[Answer], path: str | Path) -> Path:
    """Write one line for each photo that was answered: file, class, probability, truth, and every probability."""
    predictions = _predictions(answers)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = predictions[0].classes.names
    writer.writerow(("file", "class", "probability", "truth", *(f"p:{name}" for name in names)))
    for one in predictions:
        shares = [] if one.label.probabilities is None else one.label.probabilities.tolist()
        writer.writerow((one.name, one.class_name, _share(one.label.score), one.truth_name or "", *map(_share, shares)))
    files.write_text(Path(path), text.getvalue())
    return Path(path)


def record(answers: Sequence[Answer], top: int | None = None) -> dict[str, Any]:
    """Return the answers as JSON, with the ``top`` classes of each, and what was not an image with its reason."""
    predictions = [answer for answer in answers if isinstance(answer, Prediction)]
    known = [one for one in predictions if one.right is not None]
    found: dict[str, Any] = {
        "predictions": [one.to_dict(top) for one in predictions],
        "rejected": [
            {"file": one.path, "reason": one.reason, "remedy": one.remedy}
            for one in answers
            if isinstance(one, Rejected)
        ],
    }
    if known:
        found["right"], found["known"] = sum(bool(one.right) for one in known), len(known)
    return found


def _predictions(answers: Sequence[Answer]) -> list[Prediction]:
    found = [answer for answer in answers if isinstance(answer, Prediction)]
    if not found:
        raise DataError(
            _("None of the {count} files is an image that can be read.").format(count=len(answers)),
            _("Expected at least one photo."),
        )
    return found


def _cell(one: Prediction) -> draw.Cell:
    image = images.read(Path(one.path or ""), at_least=(_SIDE, _SIDE))
    answer = f"{one.label.score:.0%} {one.class_name}"  # a long name is cut at its end, and the share stays
    below = _("truth: {name}").format(name=one.truth_name) if one.right is False else PurePosixPath(one.name).name
    return draw.Cell(image, (answer, below), one.right)


def _share(value: float) -> str:
    return f"{value:.6g}"
