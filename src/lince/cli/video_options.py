"""Options of ``lince predict`` for videos and cameras, whatever the task, and what of a video was incomplete."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from lince.i18n import _
from lince.inference.video.frames import FrameRange

if TYPE_CHECKING:
    from lince.inference.video.video_result import ConnectionLoss, FileCoverage


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that videos and cameras have for all tasks."""
    parser.add_argument(
        "--every",
        metavar=_("STEP"),
        help=_("process every N-th frame (5) or one frame per interval (0.5s) (default: all frames)"),
    )
    parser.add_argument(
        "--start", "--from", dest="start", metavar=_("TIME"), help=_("start time: 90s, 1:30 (default: the beginning)")
    )
    parser.add_argument("--end", metavar=_("TIME"), help=_("end time: 90s, 1:30 (default: the end)"))


def parse_frame_range(start: str | None, end: str | None, every: str | None) -> FrameRange:
    """Return the frames that ``--from``, ``--to`` and ``--every`` select.

    ``every`` is a number of frames, or a duration such as ``0.5s``.
    """
    from lince.cli.options import parse_duration, parse_positive  # noqa: PLC0415

    is_frame_count = every is None or every.isdecimal()
    return FrameRange(
        parse_timestamp(start) if start else 0.0,
        parse_timestamp(end) if end else None,
        parse_positive(every) if every and is_frame_count else 1,
        parse_duration(every) if every and not is_frame_count else 0.0,
    )


def parse_timestamp(text: str) -> float:
    """Return the seconds in ``90s``, ``1:30`` or ``1:02:03.5``; raise ``UsageError`` for anything else."""
    from lince.cli.options import parse_decimal, parse_duration  # noqa: PLC0415

    match = re.fullmatch(r"(?:(\d+):)?(\d+):(\d{1,2}(?:[.,]\d+)?)", text.strip(), re.ASCII)
    if not match:
        return parse_duration(text)
    return 3600.0 * int(match[1] or 0) + 60.0 * int(match[2]) + parse_decimal(match[3])


def list_warning_lines(result: Any) -> list[str]:
    """Return what of a video was incomplete: damaged frames, a file that is cut off, a broken connection, the audio.

    ``result`` is a ``VideoResult`` or a ``FrameSummary``.
    """
    lines = []
    if result.broken_count:
        lines.append(_("{count:,} damaged frames were skipped.").format(count=result.broken_count))
    lines += list_coverage_lines(result.coverage)
    lines += _list_loss_lines(result.loss)
    if result.dropped_audio:
        lines.append(_("The audio was dropped: MP4 does not support {codec}.").format(codec=result.dropped_audio))
    return lines


def _list_loss_lines(loss: ConnectionLoss) -> list[str]:
    """Return how often the connection to a stream broke, and that it did for good; nothing where it did not."""
    lines = []
    if loss.count:
        lines.append(
            _(
                "Breaks of the connection, which was taken up again: {count:,}; about {seconds:.1f} s are missing."
            ).format(count=loss.count, seconds=loss.seconds)
        )
    if loss.is_final:
        lines.append(_("The connection broke for good: what came later is missing."))
    return lines


def list_coverage_lines(coverage: FileCoverage) -> list[str]:
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
