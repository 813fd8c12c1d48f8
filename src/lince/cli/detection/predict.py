"""``lince predict`` for detectors: options, lines and files of images."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from lince import fileio
from lince.cli.console import Console
from lince.errors import UsageError
from lince.formats.registry import FORMATS
from lince.i18n import _
from lince.inference.detection import tables
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.result import DetectionResult
from lince.inference.detection.sliced import SlicingPredictor
from lince.inference.detection.tables import DetectionOutcome
from lince.number_format import format_count, format_percent
from lince.validation import require_choice

PredictImages = Callable[..., list[DetectionOutcome]]
DETECTION_OPTIONS = ("threshold", "to", "slice")
DEFAULT_FOLDER = "answers"
_MAX_SCORES = 5  # scores of one class in a line


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that only a detector understands."""
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar=_("FRACTION"),
        help=_(
            "confidence threshold, 0 to 1, or for one class: helmet=0.4 (can be repeated; default: the model's own)"
        ),
    )
    parser.add_argument(
        "--slice",
        action="store_true",
        help=_("sliced inference: also run on tiles of large photos, to find small objects; slower"),
    )
    names = ", ".join(FORMATS.list_writable(boxes_only=True))
    parser.add_argument(
        "--to",
        metavar=_("NAME"),
        help=_("also save the predictions as a labelled dataset; one of: {names}").format(names=names),
    )


def run(
    model: DetectionPredictor, arguments: argparse.Namespace, console: Console, predict_images: PredictImages
) -> None:
    """Detect objects on every image with ``predict_images``, print and write them."""
    model = apply_thresholds(SlicingPredictor.from_predictor(model) if arguments.slice else model, arguments.threshold)
    folder = _requested_folder(arguments)
    results = predict_images(model.predict_many, arguments, console)
    written, losses = _save_results(results, folder, arguments.to, console) if folder else ([], [])
    if arguments.csv:
        written.insert(0, str(tables.save_csv(results, arguments.csv)))
    if console.as_json:
        console.print_result({**tables.build_json_record(results), "written": written, "lost": losses}, [])
    else:
        lines = [*summarise_detections(results), *(_("Written: {path}").format(path=path) for path in written)]
        console.print_result({}, [*lines, *(_("Lost in the conversion: {what}").format(what=loss) for loss in losses)])


def _save_results(
    found: Sequence[DetectionOutcome], folder: Path, to: str | None, console: Console
) -> tuple[list[str], list[str]]:
    from lince.inference.detection import results_folder  # noqa: PLC0415

    saved = results_folder.save_detections(found, folder, to, console)
    return list(map(str, saved.paths)), list(saved.losses)


def _requested_folder(arguments: argparse.Namespace) -> Path | None:
    """Return the new folder to write to, if any is wanted; asked before the work, so that none is done in vain."""
    if arguments.to:
        require_choice("--to", arguments.to, FORMATS.list_writable(boxes_only=True))
    return resolve_output_folder(DEFAULT_FOLDER if arguments.to and arguments.save is None else arguments.save)


def resolve_output_folder(wanted: str | None) -> Path | None:
    """Return the folder that ``--save`` asks for, if it does; raise ``UsageError`` when it is taken."""
    if wanted is None:
        return None
    if wanted == DEFAULT_FOLDER:
        return _first_free_folder(Path(DEFAULT_FOLDER))
    fileio.require_empty_folder(Path(wanted))
    return Path(wanted)


def _first_free_folder(folder: Path) -> Path:
    """Return ``folder``, or the first of folder2, folder3, ... that is not there yet."""
    tries = (folder.with_name(f"{folder.name}{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([folder], tries) if not one.exists())


def apply_thresholds(model: DetectionPredictor, texts: Sequence[str]) -> DetectionPredictor:
    """Return ``model`` with the thresholds in ``texts``, such as ``0.3`` and ``helmet=0.4``."""
    named: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        value = _parse_score(text, number)
        if equals:
            named[name.strip()] = value
        else:
            model = model.with_threshold(value)
    return model.with_threshold(named) if named else model


def format_detections(one: DetectionResult) -> str:
    """Return a photo and what is on it: "photo.jpg  2 helmet 91% 88%, 1 head 71%"."""
    scores = one.detections.scores
    parts = []
    for name, number in one.counts().items():
        sure = scores[one.detections.class_ids == one.classes.names.index(name)].tolist()
        shown = [format_percent(score, 0) for score in sure[:_MAX_SCORES]] + ["…"] * (number > _MAX_SCORES)
        parts.append(" ".join([format_count(number), name, *shown]))
    return f"{one.name}  {', '.join(parts) or _('no objects')}"


def summarise_detections(found: Sequence[DetectionOutcome]) -> list[str]:
    """Return in words how many photos were looked at and what is on them."""
    photos = [one for one in found if isinstance(one, DetectionResult)]
    looked = _("{used:,} of {total:,} photos processed").format(used=len(photos), total=len(found))
    empty = sum(not len(one.detections) for one in photos)
    counted = ", ".join(f"{format_count(number)} {name}" for name, number in tables.count_by_class(photos).items())
    lines = [f"{looked}: {counted or _('no objects')}"]
    if empty and counted:
        lines.append(_("no objects in {count:,} of them").format(count=empty))
    return lines


def _parse_score(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise UsageError(
            _("--threshold cannot be '{text}'.").format(text=text),
            _("Expected a number from 0 to 1, or one for a class: 0.3, helmet=0.4."),
        ) from None
