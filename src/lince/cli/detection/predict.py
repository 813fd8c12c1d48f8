"""The command ``lince predict`` for detectors: options, lines, and the files written for images."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lince.cli import threshold_options
from lince.cli.console import Console
from lince.cli.options import offer_values, parse_decimal
from lince.cli.output_options import DEFAULT_FOLDER, resolve_output_folder
from lince.cli.task_commands import describe_count
from lince.formats.registry import FORMATS
from lince.i18n import _
from lince.inference.detection import tables
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.result import DetectionResult
from lince.inference.detection.sliced_inference import SlicingPredictor
from lince.inference.detection.tables import DetectionOutcome
from lince.number_format import format_count, format_percent
from lince.validation import require_choice

PredictImages = Callable[..., list[DetectionOutcome]]
_MAX_SCORES = 5  # of one class in a line


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that only detectors support."""
    threshold_options.add_threshold_option(parser)
    parser.add_argument(
        "--iou",
        type=parse_decimal,
        metavar=_("FRACTION"),
        help=_(
            "two boxes of one class that overlap by more (IoU, 0 to 1) count as one object (default: the model's own)"
        ),
    )
    parser.add_argument(
        "--slice",
        action="store_true",
        help=_("sliced inference: also run on tiles of large photos, to find small objects; slower"),
    )
    layouts = FORMATS.list_writable(boxes_only=True)
    layout = parser.add_argument(
        "--to",
        metavar=_("NAME"),
        help=_("also save the predictions as a labelled dataset; one of: {names}").format(names=", ".join(layouts)),
    )
    offer_values(layout, layouts)


def predict_photos(
    model: DetectionPredictor, arguments: argparse.Namespace, console: Console, predict_images: PredictImages
) -> tuple[dict[str, Any], list[str]]:
    """Detect objects on every image, print and write the results; return the JSON document and the last lines.

    ``predict_images`` is ``TaskCommands.predict_images``. Output folders are checked before the work starts.
    """
    model = apply_model_options(model, arguments)
    folder = _requested_folder(arguments, model)
    results = predict_images(model.predict_many, arguments, console)
    written, losses = _save_results(results, folder, arguments.to, console) if folder else ([], [])
    if arguments.csv:
        written.insert(0, str(tables.save_csv(results, arguments.csv)))
    if console.as_json:
        return {**tables.build_json_record(results), "written": written, "lost": losses}, []
    lines = [*summarise_detections(results), *(_("Written: {path}").format(path=path) for path in written)]
    return {}, [*lines, *(_("Lost in the conversion: {what}").format(what=loss) for loss in losses)]


def _save_results(
    results: Sequence[DetectionOutcome], folder: Path, to: str | None, console: Console
) -> tuple[list[str], list[str]]:
    """Write the results into ``folder``; return the paths, and what the label format ``to`` cannot hold."""
    # Drawing and the writers of label formats take time to load, which the help page and plain predictions save.
    from lince.inference.detection import results_folder  # noqa: PLC0415

    saved = results_folder.save_detections(results, folder, to, console)
    return list(map(str, saved.paths)), list(saved.losses)


def _requested_folder(arguments: argparse.Namespace, model: DetectionPredictor) -> Path | None:
    """Return the new folder to write to; ``None`` when nothing is to be written."""
    if arguments.to:
        boxes_only = not model.result_class.gives_masks
        require_choice("--to", arguments.to, FORMATS.list_writable(boxes_only=boxes_only))
    save = DEFAULT_FOLDER if arguments.to and arguments.save is None else arguments.save
    return resolve_output_folder(save, arguments.source)


def apply_model_options(model: DetectionPredictor, arguments: argparse.Namespace) -> DetectionPredictor:
    """Return ``model`` with the options that change what it finds, on images and on videos alike."""
    if arguments.slice:
        model = SlicingPredictor.from_predictor(model)
    model = threshold_options.apply_thresholds(model, arguments.threshold)
    return model if arguments.iou is None else model.with_iou(arguments.iou)


def format_detections(result: DetectionResult) -> str:
    """Return an image and its objects with their highest scores: "photo.jpg  2 helmet 91% 88%, 1 head 71%"."""
    scores = result.detections.scores
    parts = []
    for name, count in result.counts().items():
        class_scores = scores[result.detections.class_ids == result.classes.names.index(name)].tolist()
        cells = [format_percent(score, 0) for score in class_scores[:_MAX_SCORES]] + ["…"] * (count > _MAX_SCORES)
        parts.append(" ".join([format_count(count), name, *cells]))
    return f"{result.name}  {', '.join(parts) or _('no objects')}"


def summarise_detections(outcomes: Sequence[DetectionOutcome]) -> list[str]:
    """Return the number of images and of objects by class, and the number of images without objects."""
    results = [result for result in outcomes if isinstance(result, DetectionResult)]
    processed = describe_count(_("{used:,} of {total:,} photos processed"), outcomes)
    empty_count = sum(not len(result.detections) for result in results)
    counts = ", ".join(f"{format_count(count)} {name}" for name, count in tables.count_by_class(results).items())
    lines = [f"{processed}: {counts or _('no objects')}"]
    if empty_count and counts:
        lines.append(_("no objects in {count:,} of them").format(count=empty_count))
    return lines
