"""The command ``lince predict`` for models that judge videos frame by frame: a table of frames, the summary."""

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
from lince.i18n import _
from lince.inference.media import VideoItem

if TYPE_CHECKING:
    from lince.inference.video.framewise_video import FrameTable, FramewiseVideos

MakeVideos = Callable[[], "FramewiseVideos[Any]"]  # called where there is a video: it loads what videos need


def prepare_video(
    make_videos: MakeVideos,
    arguments: argparse.Namespace,
    console: Console,
    summarise: Callable[[Any], list[str]],
) -> VideoRunner:
    """Return what predicts the frames of one video by the options in ``arguments``.

    ``summarise`` returns the lines on all frames. The rows of the frames are added to ``arguments.frame_table``, if
    there is one. Raises ``UsageError`` for ``--csv`` with photos and videos at once, and for options that cannot be
    read.
    """
    if arguments.csv and arguments.images:
        raise UsageError(
            _("--csv was given for photos and videos at once, whose tables differ."),
            _("Expected photos alone, or videos alone."),
            _("Run the command twice, or use --save, which writes a table for each."),
        )
    part = video_options.parse_frame_range(arguments.start, arguments.end, arguments.every)
    videos = make_videos()

    def run_one(item: VideoItem, folder: Path | None) -> tuple[dict[str, Any], list[str]]:
        result = videos.run(item, part, folder, table=arguments.frame_table, progress=console)
        written = [_("Written: {path}").format(path=path) for path in result.written_paths]
        return result.to_dict(), [*summarise(result), *written, *video_options.list_warning_lines(result)]

    return run_one


@contextmanager
def open_table(make_videos: MakeVideos, arguments: argparse.Namespace) -> Iterator[FrameTable | None]:
    """Yield the table of ``--csv``, which is there when the block ends without an exception; ``None`` without it."""
    if not arguments.csv or arguments.images:
        yield None
        return
    with make_videos().open_table(Path(arguments.csv)) as table:
        yield table
    outputs.record_output(Path(arguments.csv), outputs.PREDICTIONS_TABLE)
