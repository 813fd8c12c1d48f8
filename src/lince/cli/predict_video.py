"""What a detector finds on videos and cameras: the options that only they understand, and what is said in the end."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lince.annotations import Classes
from lince.api.extras import require_video_extra
from lince.cli import predict_detection
from lince.cli.console import Console
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

VIDEO_OPTIONS = ("every", "start", "track", "line", "zone")


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that only videos and cameras understand."""
    parser.add_argument(
        "--every", metavar=_("STEP"), help=_("look at every N-th frame (5), or at one in so much time (0.5s)")
    )
    parser.add_argument("--from", dest="start", metavar=_("TIME"), help=_("where to start: 90s, 1:30"))
    parser.add_argument("--track", action="store_true", help=_("follow objects from frame to frame, with numbers"))
    parser.add_argument(
        "--line",
        action="append",
        default=[],
        metavar=_("X,Y,X,Y[:NAME]"),
        help=_("count who passes this line, in pixels or percent; may be given again"),
    )
    parser.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar=_("X,Y,X,Y,...[:NAME]"),
        help=_("count who is in this zone, and how long; may be given again"),
    )


def run(model: DetectionPredictor, arguments: argparse.Namespace, console: Console) -> None:
    """Watch the video, print and write what is on it."""
    if len(arguments.source) != 1:
        raise UsageError(
            _("A video was given along with {count} other sources.").format(count=len(arguments.source) - 1),
            _("Expected one video or camera at a time."),
        )
    if arguments.csv:
        raise UsageError(
            _("{options} says nothing of videos.").format(options="--csv"),
            _("Expected --save, which writes a table among the rest."),
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
        parse_frame_range(arguments.start, arguments.to, arguments.every),
        arguments.track,
        tuple(regions.parse_line(text, number) for number, text in enumerate(arguments.line, 1)),
        tuple(regions.parse_zone(text, number) for number, text in enumerate(arguments.zone, 1)),
    )
    watched = video_pipeline.run_video(arguments.source[0], how, folder, console)
    console.print_result(watched.to_dict(model.classes), summarise_video(watched, model.classes))


def list_video_options(arguments: argparse.Namespace) -> list[str]:
    """Return the options of videos that were given."""
    return [f"--{'from' if name == 'start' else name}" for name in VIDEO_OPTIONS if getattr(arguments, name)]


def parse_frame_range(start: str | None, end: str | None, every: str | None) -> FrameRange:
    """Return the part of a video that ``--from``, ``--to`` and ``--every`` ask for."""
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
    said = [_("{count:,} frames looked at, {seconds:.1f} s").format(count=watched.frame_count, seconds=watched.seconds)]
    most = ", ".join(f"{format_count(number)} {names[at]}" for at, number in sorted(watched.max_counts.items()))
    said.append(_("at one time, at most: {counts}").format(counts=most or _("nothing")))
    if watched.track_counts:
        followed = ", ".join(
            f"{format_count(number)} {names[at]}" for at, number in sorted(watched.track_counts.items())
        )
        said.append(_("followed: {counts}").format(counts=followed))
    for (line, at, way), number in sorted(watched.crossing_counts.items()):
        text = _("{line}: {count:,} {name} to the left") if way == LEFT else _("{line}: {count:,} {name} to the right")
        said.append(text.format(line=line, count=number, name=names[at]))
    for (zone, at), number in sorted(watched.stay_counts.items()):
        said.append(_("{zone}: {count:,} {name} were inside").format(zone=zone, count=number, name=names[at]))
    said += [_("Written: {path}").format(path=path) for path in watched.written_paths]
    return said + _warning_lines(watched, names)


def _warning_lines(watched: VideoResult, names: Sequence[str]) -> list[str]:
    flaws = []
    if watched.broken_count:
        flaws.append(_("{count:,} broken frames were left out.").format(count=watched.broken_count))
    if watched.is_truncated:
        flaws.append(_("The video ends before its end: it was cut off."))
    if watched.dropped_audio:
        flaws.append(_("The sound was left out: an MP4 does not hold {codec}.").format(codec=watched.dropped_audio))
    if watched.full_crop_classes:
        full = ", ".join(names[at] for at in watched.full_crop_classes)
        flaws.append(_("Not every crop was kept, as there are many of: {names}.").format(names=full))
    return flaws
