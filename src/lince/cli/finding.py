"""What a detector finds on photos, on the console and in files: each photo with what is on it and how sure that is."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from lince.annotations import Rejected
from lince.choices import one_of
from lince.cli.console import Console
from lince.cli.parser import WRITABLE_BOXES
from lince.errors import UsageError
from lince.evaluation.figures import count, percent
from lince.messages import _
from lince.progress import SILENT
from lince.runtime import found as tables
from lince.runtime.detection import DetectionPredictor, Found
from lince.runtime.found import Finding
from lince.runtime.slicing import SlicingPredictor

OPTIONS = ("threshold", "to", "slice")
DEFAULT = "answers"
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
    parser.add_argument(
        "--slice", action="store_true", help=_("look at large photos in pieces too, for small objects; takes longer")
    )
    names = ", ".join(WRITABLE_BOXES)
    parser.add_argument(
        "--to",
        metavar=_("NAME"),
        help=_("save the photos as a labelled set too, one of: {names}; of a video: where to stop, 90s or 1:30").format(
            names=names
        ),
    )


def run(model: DetectionPredictor, arguments: argparse.Namespace, console: Console) -> None:
    """Look at every photo, print and write what is on it."""
    model = thresholded(SlicingPredictor.of(model) if arguments.slice else model, arguments.threshold)
    folder = _folder(arguments)
    found = _looked(model, arguments.source, console)
    written, losses = _saved(found, folder, arguments.to, console) if folder else ([], [])
    if arguments.csv:
        written.insert(0, str(tables.save_csv(found, arguments.csv)))
    if console.as_json:
        console.result({**tables.record(found), "written": written, "lost": losses}, [])
    else:
        lines = [*summary(found), *(_("Written: {path}").format(path=path) for path in written)]
        console.result({}, [*lines, *(_("Lost on the way: {what}").format(what=loss) for loss in losses)])


def _saved(found: Sequence[Finding], folder: Path, to: str | None, console: Console) -> tuple[list[str], list[str]]:
    from lince.runtime import foundfolder  # noqa: PLC0415  (the formats of labels take long to load)

    saved = foundfolder.save(found, folder, to, console)
    return list(map(str, saved.paths)), list(saved.losses)


def _folder(arguments: argparse.Namespace) -> Path | None:
    """Return the new folder to write to, if any is wanted; asked before the work, so that none is done in vain."""
    if arguments.to:
        one_of("--to", arguments.to, WRITABLE_BOXES)
    return free_folder(DEFAULT if arguments.to and arguments.save is None else arguments.save)


def free_folder(wanted: str | None) -> Path | None:
    """Return the folder that ``--save`` asks for, if it does; raise ``UsageError`` when it is taken."""
    if wanted is None:
        return None
    if wanted == DEFAULT:
        return _free(Path(DEFAULT))
    tables.require_free(Path(wanted))
    return Path(wanted)


def _free(folder: Path) -> Path:
    """Return ``folder``, or the first of folder2, folder3, ... that is not there yet."""
    tries = (folder.with_name(f"{folder.name}{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([folder], tries) if not one.exists())


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


def _looked(model: DetectionPredictor, where: list[str], console: Console) -> list[Finding]:
    # Lines come as the answers do; where a person watches them, a bar would be in their way.
    watched = sys.stdout.isatty() and not console.as_json
    found: list[Finding] = []
    for one in model.predict_many(where, progress=SILENT if watched else console):
        found.append(one)
        if isinstance(one, Rejected):
            console.say(_("Not used: {what}").format(what=one))
        elif not console.as_json:
            print(line(one))
    tables.answered(found)
    return found


def summary(found: Sequence[Finding]) -> list[str]:
    """Return in words how many photos were looked at and what is on them."""
    photos = [one for one in found if isinstance(one, Found)]
    looked = _("{used:,} of {total:,} photos looked at").format(used=len(photos), total=len(found))
    empty = sum(not len(one.detections) for one in photos)
    counted = ", ".join(f"{count(number)} {name}" for name, number in tables.totals(photos).items())
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
