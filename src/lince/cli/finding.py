"""What a detector finds on photos, on the console and in files: each photo with what is on it and how sure that is."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lince.annotations import Rejected
from lince.cli.console import Console
from lince.errors import DataError, UsageError
from lince.evaluation.figures import count, percent
from lince.messages import _
from lince.progress import SILENT
from lince.runtime.detection import DetectionPredictor, Found

OPTIONS = ("threshold",)
_SHOWN = 5  # scores of one class in a line


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that only a detector understands."""
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar=_("SHARE"),
        help=_("how sure the model must be, from 0 to 1; of one class alone: helmet=0.4; may be given again"),
    )


def run(model: DetectionPredictor, arguments: argparse.Namespace, console: Console) -> None:
    """Look at every photo, print and write what is on it."""
    found = _looked(thresholded(model, arguments.threshold), arguments.source, console)
    if console.as_json:
        console.result(record(found), [])
    else:
        console.result({}, summary(found))


def thresholded(model: DetectionPredictor, texts: Sequence[str]) -> DetectionPredictor:
    """Return ``model`` with the thresholds in ``texts``, such as ``0.3`` and ``helmet=0.4``."""
    named: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        value = _share(text, number)
        if equals:
            named[name.strip()] = value
        else:
            model = model.with_threshold(value)
    return model.with_threshold(named) if named else model


def line(one: Found) -> str:
    """Return a photo and what is on it: "photo.jpg  2 helmet 91% 88%, 1 head 71%"."""
    scores = one.detections.scores
    parts = []
    for name, number in one.counts().items():
        sure = scores[one.detections.class_ids == one.classes.names.index(name)].tolist()
        shown = [percent(score, 0) for score in sure[:_SHOWN]] + ["…"] * (number > _SHOWN)
        parts.append(" ".join([count(number), name, *shown]))
    return f"{one.name}  {', '.join(parts) or _('nothing found')}"


def _looked(model: DetectionPredictor, where: list[str], console: Console) -> list[Found | Rejected]:
    # Lines come as the answers do; where a person watches them, a bar would be in their way.
    watched = sys.stdout.isatty() and not console.as_json
    found: list[Found | Rejected] = []
    for one in model.predict_many(where, progress=SILENT if watched else console):
        found.append(one)
        if isinstance(one, Rejected):
            console.say(_("Not used: {what}").format(what=one))
        elif not console.as_json:
            print(line(one))
    if all(isinstance(one, Rejected) for one in found):
        raise DataError(
            _("None of the {count} files is an image that can be read.").format(count=len(found)),
            _("Expected at least one photo."),
        )
    return found


def record(found: Sequence[Found | Rejected]) -> dict[str, Any]:
    """Return what was found as JSON, and what was not an image with its reason."""
    photos = [one for one in found if isinstance(one, Found)]
    return {
        "counts": totals(photos),
        "photos": [one.to_dict() for one in photos],
        "rejected": [
            {"file": one.path, "reason": one.reason, "remedy": one.remedy} for one in found if isinstance(one, Rejected)
        ],
    }


def totals(photos: Sequence[Found]) -> Mapping[str, int]:
    """Return how many objects of each class were found on all ``photos``, in the classes' order."""
    found: Counter[str] = Counter()
    for one in photos:
        found.update(one.counts())
    return {name: found[name] for one in photos[:1] for name in one.classes.names if found[name]}


def summary(found: Sequence[Found | Rejected]) -> list[str]:
    """Return in words how many photos were looked at and what is on them."""
    photos = [one for one in found if isinstance(one, Found)]
    looked = _("{used:,} of {total:,} photos looked at").format(used=len(photos), total=len(found))
    empty = sum(not len(one.detections) for one in photos)
    counted = ", ".join(f"{count(number)} {name}" for name, number in totals(photos).items())
    lines = [f"{looked}: {counted or _('nothing found')}"]
    if empty and counted:
        lines.append(_("nothing found on {count:,} of them").format(count=empty))
    return lines


def _share(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise UsageError(
            _("--threshold cannot be '{text}'.").format(text=text),
            _("Expected a number from 0 to 1, or one for a class: 0.3, helmet=0.4."),
        ) from None
