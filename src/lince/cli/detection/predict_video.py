"""The command ``lince predict`` for videos and cameras: options, and the summary at the end."""

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
from lince.inference.video.frames import FrameRange
from lince.inference.video.video_result import LEFT
from lince.number_format import format_count

if TYPE_CHECKING:
    from lince.inference.video.video_result import FileCoverage, VideoResult


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that only videos and cameras support."""
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
    """Process the video, print the summary and write the results of ``--save``.

    The JSON document is that of ``VideoResult.to_dict``. Raises ``UsageError`` for several sources or ``--csv``,
    ``MissingExtraError`` without the video extra, and ``DataError`` when the video cannot be read.
    """
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
    model = predict_detection.apply_model_options(model, arguments)
    folder = predict_detection.resolve_output_folder(arguments.save, arguments.source)
    with require_video_extra():
        from lince.inference.video import regions, video_pipeline  # noqa: PLC0415

    pipeline = video_pipeline.VideoPipeline.from_model(
        model,
        arguments.source[0],
        parse_frame_range(arguments.start, arguments.end or arguments.to, arguments.every),
        arguments.track,
        tuple(regions.parse_line(text, number) for number, text in enumerate(arguments.line, 1)),
        tuple(regions.parse_zone(text, number) for number, text in enumerate(arguments.zone, 1)),
    )
    result = video_pipeline.run_video(arguments.source[0], pipeline, folder, console)
    console.print_result(result.to_dict(model.classes), summarise_video(result, model.classes))


def parse_frame_range(start: str | None, end: str | None, every: str | None) -> FrameRange:
    """Return the frames that ``--from``, ``--to`` and ``--every`` select.

    ``every`` is a number of frames, or a duration such as ``0.5s``.
    """
    is_frame_count = every is None or every.isdecimal()
    return FrameRange(
        parse_timestamp(start) if start else 0.0,
        parse_timestamp(end) if end else None,
        parse_positive(every) if every and is_frame_count else 1,
        parse_duration(every) if every and not is_frame_count else 0.0,
    )


def parse_timestamp(text: str) -> float:
    """Return the seconds in ``90s``, ``1:30`` or ``1:02:03.5``; raise ``UsageError`` for anything else."""
    match = re.fullmatch(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d+)?)", text.strip(), re.ASCII)
    if not match:
        return parse_duration(text)
    return 3600.0 * int(match[1] or 0) + 60.0 * int(match[2]) + float(match[3])


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
    lines = []
    if result.broken_count:
        lines.append(_("{count:,} damaged frames were skipped.").format(count=result.broken_count))
    lines += _coverage_lines(result.coverage)
    if result.dropped_audio:
        lines.append(_("The audio was dropped: MP4 does not support {codec}.").format(codec=result.dropped_audio))
    if result.full_crop_classes:
        class_names = ", ".join(names[class_id] for class_id in result.full_crop_classes)
        lines.append(_("Not all crops were saved; there are too many of: {names}.").format(names=class_names))
    return lines


def _coverage_lines(coverage: FileCoverage) -> list[str]:
    """Return what of the file could not be read, or that this cannot be told; nothing for a part that ends before."""
    if not coverage.is_read_to_end:
        return []
    lines = []
    facts = {"read": coverage.read_count, "declared": coverage.declared_count, "end": coverage.end_time}
    if coverage.is_short and coverage.declared_count > coverage.read_count:
        text = (
            _("{read:,} of {declared:,} frames could be read.")
            if coverage.is_exact
            else _("{read:,} of about {declared:,} frames could be read.")
        )
        lines.append(text.format(**facts))
    if coverage.is_truncated:
        text = _("The video file is cut off or damaged: what can be read of it ends at {end:.2f} s. Copy it again.")
        lines.append(text.format(**facts))
    elif not coverage.is_length_known:
        lines.append(_("This file does not say how long it is: whether its end is missing cannot be told."))
    if coverage.gap_count:
        start, seconds = coverage.longest_gap
        lines.append(
            _("Gaps without a frame: {count:,}, the longest of {seconds:.2f} s from {start:.2f} s on.").format(
                count=coverage.gap_count, seconds=seconds, start=start
            )
        )
    return lines
