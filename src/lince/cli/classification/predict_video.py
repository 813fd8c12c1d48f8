"""The command ``lince predict`` for classifiers on videos and cameras: a table of frames, and the summary."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lince import outputs
from lince.cli import video_options
from lince.cli.console import Console
from lince.cli.task_commands import VideoRunner
from lince.errors import UsageError
from lince.i18n import _, translate_plural
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.media import VideoItem
from lince.number_format import format_count, format_percent

if TYPE_CHECKING:
    from lince.inference.video.classified_video import ClassifiedVideo, FrameTable

_MAX_CLASSES = 5  # in the summary


def prepare_video(model: ClassificationPredictor, arguments: argparse.Namespace, console: Console) -> VideoRunner:
    """Return what classifies the frames of one video by the options in ``arguments``.

    Their rows are added to ``arguments.frame_table``, if there is one. Raises ``UsageError`` for ``--csv``
    with photos and videos at once, and for options that cannot be read.
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
        return result.to_dict(), summarise_video(result)

    return run_one


@contextmanager
def open_table(model: ClassificationPredictor, arguments: argparse.Namespace) -> Iterator[FrameTable | None]:
    """Yield the table of ``--csv``, which is there when the block ends without an exception; ``None`` without it."""
    if not arguments.csv or arguments.images:
        yield None
        return
    from lince.inference.video import classified_video  # noqa: PLC0415

    with classified_video.open_frame_table(Path(arguments.csv), model.classes) as table:
        yield table
    outputs.record_output(Path(arguments.csv), outputs.PREDICTIONS_TABLE)


def summarise_video(result: ClassifiedVideo) -> list[str]:
    """Return the lines on the frames, the most frequent class and the mean probabilities, files and warnings."""
    names, means = result.classes.names, result.means
    lines = [
        translate_plural(
            "{count:,} frame classified, {seconds:.1f} s",
            "{count:,} frames classified, {seconds:.1f} s",
            result.frame_count,
        ).format(count=result.frame_count, seconds=result.seconds)
    ]
    best, likeliest = result.most_frequent, int(means.argmax())
    lines.append(
        _("most frequent: {name}, in {count} of {total} frames ({share})").format(
            name=names[best],
            count=format_count(result.class_counts[best]),
            total=format_count(result.frame_count),
            share=format_percent(result.class_counts[best] / result.frame_count),
        )
    )
    lines.append(
        _("highest mean probability: {name}, {share}").format(
            name=names[likeliest], share=format_percent(means[likeliest])
        )
    )
    others = [(class_id, count) for class_id, count in result.class_counts.most_common() if class_id != best]
    if others:
        more = ", ..." if len(others) > _MAX_CLASSES else ""
        listed = ", ".join(f"{names[class_id]} {format_count(count)}" for class_id, count in others[:_MAX_CLASSES])
        lines.append(_("frames of other classes: {counts}").format(counts=listed + more))
    lines += [_("Written: {path}").format(path=path) for path in result.written_paths]
    return lines + video_options.list_warning_lines(result)
