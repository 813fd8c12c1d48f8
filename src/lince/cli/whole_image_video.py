"""The command ``lince predict`` for models of whole images on videos and cameras: a table of frames, the summary."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lince import outputs
from lince.cli import video_options
from lince.cli.console import Console
from lince.cli.task_commands import VideoRunner
from lince.errors import UsageError
from lince.i18n import _, translate_plural
from lince.inference.media import VideoItem
from lince.inference.whole_image_predictor import WholeImagePredictor

if TYPE_CHECKING:
    from lince.inference.video.classified_video import ClassifiedVideo, FrameTable


def prepare_video(
    model: WholeImagePredictor[Any],
    arguments: argparse.Namespace,
    console: Console,
    summarise: Callable[[ClassifiedVideo], list[str]],
) -> VideoRunner:
    """Return what predicts the frames of one video by the options in ``arguments``.

    ``summarise`` returns the lines on the classes of all frames. The rows of the frames are added to
    ``arguments.frame_table``, if there is one. Raises ``UsageError`` for ``--csv`` with photos and videos at once, and
    for options that cannot be read.
    """
    from lince.inference.video import classified_video  # noqa: PLC0415

    if arguments.csv and arguments.images:
        raise UsageError(
            _("--csv was given for photos and videos at once, whose tables differ."),
            _("Expected photos alone, or videos alone."),
            _("Run the command twice, or use --save, which writes a table for each."),
        )
    part = video_options.parse_frame_range(arguments.start, arguments.end, arguments.every)

    def run_one(item: VideoItem, folder: Path | None) -> tuple[dict[str, Any], list[str]]:
        result = classified_video.classify_video(
            item, model, part, folder, table=arguments.frame_table, progress=console
        )
        return result.to_dict(), _list_lines(result, summarise)

    return run_one


@contextmanager
def open_table(model: WholeImagePredictor[Any], arguments: argparse.Namespace) -> Iterator[FrameTable | None]:
    """Yield the table of ``--csv``, which is there when the block ends without an exception; ``None`` without it."""
    if not arguments.csv or arguments.images:
        yield None
        return
    from lince.inference.video import classified_video  # noqa: PLC0415

    with classified_video.open_frame_table(Path(arguments.csv), model) as table:
        yield table
    outputs.record_output(Path(arguments.csv), outputs.PREDICTIONS_TABLE)


def _list_lines(result: ClassifiedVideo, summarise: Callable[[ClassifiedVideo], list[str]]) -> list[str]:
    """Return the lines on the frames, their classes by ``summarise``, files and warnings."""
    lines = [
        translate_plural(
            "{count:,} frame classified, {seconds:.1f} s",
            "{count:,} frames classified, {seconds:.1f} s",
            result.frame_count,
        ).format(count=result.frame_count, seconds=result.seconds)
    ]
    lines += summarise(result)
    lines += [_("Written: {path}").format(path=path) for path in result.written_paths]
    return lines + video_options.list_warning_lines(result)
