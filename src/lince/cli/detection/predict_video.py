"""``lince predict`` for videos and cameras: options, and the summary in the end."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lince.annotations import Classes
from lince.api.extras import require_video_extra
from lince.cli.console import Console
from lince.cli.detection import predict as predict_detection
from lince.cli.options import parse_duration, parse_positive
from lince.errors import UsageError
from lince.i18n import _
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.sliced import SlicingPredictor
from lince.inference.video.frames import FrameRange
from lince.inference.video.video_result import LEFT
from lince.number_format import format_count

if TYPE_CHECKING:
    from lince.inference.video.video_result import VideoResult

VIDEO_OPTIONS = ("every", "start", "end", "track", "line", "zone")


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that only videos and cameras understand."""
    parser.add_argument(
        "--every",
        metavar=_("STEP"),
        help=_("process every N-th frame (5) or one frame per interval (0.5s) (default: all frames)"),
    )
    parser.add_argument(
        "--start", "--from", dest="start", metavar=_("TIME"), help=_("start time: 90s, 1:30 (default: the beginning)")
    )
    parser.add_argument("--end", metavar=_("TIME"), help=_("end time: 90s, 1:30 (default: the end)"))
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


def run(model: DetectionPredictor, arguments: argparse.Namespace, console: Console) -> None:
    """Watch the video, print and write what is on it."""
    if len(arguments.source) != 1:
        raise UsageError(
            _("A video was given together with other sources ({count}).").format(count=len(arguments.source) - 1),
            _("Expected one video or camera at a time."),
        )
    if arguments.csv:
        raise UsageError(
            _("{options} cannot be used with videos.").format(options="--csv"),
            _("Expected --save, which also writes tables."),
        )
    model = predict_detection.apply_thresholds(
        SlicingPredictor.from_predictor(model) if arguments.slice else model, arguments.threshold
    )
    folder = predict_detection.resolve_output_folder(arguments.save)
    with require_video_extra():
        from lince.inference.video import regions, video_pipeline  # noqa: PLC0415

    how = video_pipeline.VideoPipeline.from_model(
        model,
        arguments.source[0],
        parse_frame_range(arguments.start, arguments.end or arguments.to, arguments.every),
        arguments.track,
        tuple(regions.parse_line(text, number) for number, text in enumerate(arguments.line, 1)),
        tuple(regions.parse_zone(text, number) for number, text in enumerate(arguments.zone, 1)),
    )
    watched = video_pipeline.run_video(arguments.source[0], how, folder, console)
    console.print_result(watched.to_dict(model.classes), summarise_video(watched, model.classes))


def list_video_options(arguments: argparse.Namespace) -> list[str]:
    """Return the options of videos that were given."""
    return [f"--{name}" for name in VIDEO_OPTIONS if getattr(arguments, name)]


def parse_frame_range(start: str | None, end: str | None, every: str | None) -> FrameRange:
    """Return the part of a video that ``--start``, ``--end`` and ``--every`` ask for."""
    whole = every is None or every.isdecimal()
    return FrameRange(
        parse_timestamp(start) if start else 0.0,
        parse_timestamp(end) if end else None,
        parse_positive(every) if every and whole else 1,
        parse_duration(every) if every and not whole else 0.0,
    )


def parse_timestamp(text: str) -> float:
    """Return the seconds in ``90s``, ``1:30`` or ``1:02:03.5``; raise ``UsageError`` on anything else."""
    found = re.fullmatch(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d+)?)", text.strip(), re.ASCII)
    if not found:
        return parse_duration(text)
    return 3600.0 * int(found[1] or 0) + 60.0 * int(found[2]) + float(found[3])


def summarise_video(watched: VideoResult, classes: Classes) -> list[str]:
    """Return in words what was seen, what was counted, and what did not go as one would wish."""
    names = classes.names
    said = [_("{count:,} frames processed, {seconds:.1f} s").format(count=watched.frame_count, seconds=watched.seconds)]
    most = ", ".join(f"{format_count(number)} {names[at]}" for at, number in sorted(watched.max_counts.items()))
    said.append(_("maximum at one time: {counts}").format(counts=most or _("nothing")))
    if watched.track_counts:
        followed = ", ".join(
            f"{format_count(number)} {names[at]}" for at, number in sorted(watched.track_counts.items())
        )
        said.append(_("tracked: {counts}").format(counts=followed))
    for (line, at, way), number in sorted(watched.crossing_counts.items()):
        text = _("{line}: {count:,} {name} to the left") if way == LEFT else _("{line}: {count:,} {name} to the right")
        said.append(text.format(line=line, count=number, name=names[at]))
    for (zone, at), number in sorted(watched.stay_counts.items()):
        said.append(_("{zone}: {count:,} {name} inside").format(zone=zone, count=number, name=names[at]))
    said += [_("Written: {path}").format(path=path) for path in watched.written_paths]
    return said + _warning_lines(watched, names)


def _warning_lines(watched: VideoResult, names: Sequence[str]) -> list[str]:
    flaws = []
    if watched.broken_count:
        flaws.append(_("{count:,} damaged frames were skipped.").format(count=watched.broken_count))
    if watched.is_truncated:
        flaws.append(_("The video file is truncated: it ends early."))
    if watched.dropped_audio:
        flaws.append(_("The audio was dropped: MP4 does not support {codec}.").format(codec=watched.dropped_audio))
    if watched.full_crop_classes:
        full = ", ".join(names[at] for at in watched.full_crop_classes)
        flaws.append(_("Not all crops were saved; there are too many of: {names}.").format(names=full))
    return flaws
