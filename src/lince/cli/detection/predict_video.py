"""The command ``lince predict`` for detectors on videos and cameras: options, and the summary at the end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lince.annotations import Classes
from lince.cli import video_options
from lince.cli.console import Console
from lince.cli.detection import predict as predict_detection
from lince.cli.task_commands import VideoRunner
from lince.cli.video_options import parse_frame_range, parse_timestamp
from lince.errors import UsageError
from lince.i18n import _
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.media import VideoItem
from lince.inference.video.video_result import LEFT
from lince.number_format import format_count

if TYPE_CHECKING:
    from lince.inference.video.video_result import VideoResult

__all__ = ["configure", "parse_frame_range", "parse_timestamp", "prepare_video", "summarise_video"]


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options of detectors that only videos and cameras support."""
    parser.add_argument("--track", action="store_true", help=_("track objects across frames and number them"))
    parser.add_argument(
        "--line",
        action="append",
        default=[],
        metavar=_("X,Y,X,Y[:NAME]"),
        help=_("count objects that cross this line, in pixels or percent (can be repeated)"),
    )
    parser.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar=_("X,Y,X,Y,...[:NAME]"),
        help=_("count objects in this zone and measure dwell time (can be repeated)"),
    )


def prepare_video(model: DetectionPredictor, arguments: argparse.Namespace, console: Console) -> VideoRunner:
    """Return what processes one video by the options in ``arguments``, and writes the results into a folder if asked.

    Raises ``UsageError`` for ``--csv``, and for options that cannot be read.
    """
    from lince.inference.video import video_pipeline  # noqa: PLC0415

    if arguments.csv:
        raise UsageError(
            _("{options} cannot be used with videos.").format(options="--csv"),
            _("Expected --save, which also writes tables."),
        )
    adjusted = predict_detection.apply_model_options(model, arguments)
    end = arguments.end or (None if arguments.images else arguments.to)  # beside photos, --to is a label format
    part = video_options.parse_frame_range(arguments.start, end, arguments.every)
    process = video_pipeline.prepare_videos(
        adjusted, part, console, track=arguments.track, lines=arguments.line, zones=arguments.zone
    )

    def run_one(item: VideoItem, folder: Path | None) -> tuple[dict[str, Any], list[str]]:
        result = process(item, folder)
        return result.to_dict(model.classes), summarise_video(result, model.classes)

    return run_one


def summarise_video(result: VideoResult, classes: Classes) -> list[str]:
    """Return the lines on frames, objects, counts on lines and in zones, written files, and warnings.

    Objects are counted as the maximum in one frame, and with ``--track`` also as the number of different objects.
    """
    names = classes.names
    lines = [_("{count:,} frames processed, {seconds:.1f} s").format(count=result.frame_count, seconds=result.seconds)]
    max_counts = ", ".join(
        f"{format_count(count)} {names[class_id]}" for class_id, count in sorted(result.max_counts.items())
    )
    lines.append(_("maximum at one time: {counts}").format(counts=max_counts or _("nothing")))
    if result.track_counts:
        track_counts = ", ".join(
            f"{format_count(count)} {names[class_id]}" for class_id, count in sorted(result.track_counts.items())
        )
        lines.append(_("tracked: {counts}").format(counts=track_counts))
    for (line, class_id, direction), count in sorted(result.crossing_counts.items()):
        text = (
            _("{line}: {count:,} {name} to the left")
            if direction == LEFT
            else _("{line}: {count:,} {name} to the right")
        )
        lines.append(text.format(line=line, count=count, name=names[class_id]))
    for (zone, class_id), count in sorted(result.stay_counts.items()):
        lines.append(_("{zone}: {count:,} {name} inside").format(zone=zone, count=count, name=names[class_id]))
    lines += [_("Written: {path}").format(path=path) for path in result.written_paths]
    return lines + _warning_lines(result, names)


def _warning_lines(result: VideoResult, names: Sequence[str]) -> list[str]:
    """Return what was incomplete: broken frames, a file that is cut off, the audio, crops that were not kept."""
    lines = video_options.list_warning_lines(result)
    if result.full_crop_classes:
        class_names = ", ".join(names[class_id] for class_id in result.full_crop_classes)
        lines.append(_("Not all crops were saved; there are too many of: {names}.").format(names=class_names))
    return lines
