"""The command ``lince predict`` where there are videos among the sources: photos first, then one video at a time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lince.annotations import RejectedItem
from lince.api.extras import require_video_extra
from lince.cli.console import Console
from lince.cli.output_options import resolve_output_folder
from lince.cli.task_commands import TaskCommands, VideoRunner
from lince.errors import DataError, MissingExtraError, UsageError
from lince.i18n import _
from lince.inference.media import Media, VideoItem

VIDEOS_FOLDER = "videos"  # in the folder of ``--save``, where there are several videos, or photos too


def run(commands: TaskCommands, model: Any, media: Media, arguments: argparse.Namespace, console: Console) -> None:
    """Predict photos and videos, print the summaries, and write the results of ``--save`` and ``--csv``.

    The JSON document of a single video is its own; of several sources it is that of the photos, if there are any, with
    ``videos``, a list of those of the videos, and ``rejected`` with those that could not be read. A video that cannot
    be read does not stop the others. Raises ``DataError`` when nothing could be read, and ``MissingExtraError`` without
    the video extra, unless there are photos.
    """
    folder = resolve_output_folder(arguments.save, arguments.source)
    arguments.save = folder
    missing = _find_missing_extra()
    if missing and not media.images:
        raise missing
    run_one = None if missing else commands.prepare_video(model, arguments, console)
    document: dict[str, Any] = {"rejected": [], "written": []}
    lines: list[str] = []
    if media.images:
        photos, lines = commands.predict_photos(model, arguments, console)
        document |= photos
    with commands.open_video_table(model, arguments) as arguments.frame_table:
        if run_one is not None and not media.images and len(media.videos) == 1:
            document, lines = run_one(media.videos[0], folder)
        else:
            told, rejected = _run_all(run_one, media.videos, folder, console, missing)
            if not told and not media.images:
                raise DataError(
                    _("None of the {count:,} videos could be read.").format(count=len(rejected)),
                    _("Expected at least one that can."),
                )
            lines += [line for name, (_record, summary) in told for line in ("", f"{name}:", *summary)]
            document["videos"] = [record for _name, (record, _summary) in told]
            document["rejected"] += [
                {"file": item.path, "reason": item.reason, "remedy": item.remedy} for item in rejected
            ]
    if arguments.csv and not media.images:
        document["written"].insert(0, str(arguments.csv))
        lines.append(_("Written: {path}").format(path=arguments.csv))
    console.print_result(document, lines)


def _run_all(
    run_one: VideoRunner | None,
    videos: Sequence[VideoItem],
    folder: Path | None,
    console: Console,
    missing: MissingExtraError | None,
) -> tuple[list[tuple[str, tuple[dict[str, Any], list[str]]]], list[RejectedItem]]:
    """Return the name, the document and the lines of each video, and those that could not be read, which are told."""
    from lince.inference.video import video_folders  # noqa: PLC0415

    told, rejected = [], []
    folders = video_folders.name_folders(videos, folder and folder / VIDEOS_FOLDER)
    for item, target in zip(videos, folders, strict=True):
        console.show_message(_("Video: {name}").format(name=item.name))
        try:
            if run_one is None:
                raise missing or UsageError("")
            told.append((item.name, run_one(item, target)))
        except (DataError, UsageError, MissingExtraError) as error:
            rejected.append(RejectedItem(item.name, error.problem, error.remedy or error.expected))
            console.show_message(_("Skipped: {what}").format(what=rejected[-1]))
    return told, rejected


def _find_missing_extra() -> MissingExtraError | None:
    """Return the error that names what videos need and is not installed; ``None`` where all is there."""
    try:
        with require_video_extra():
            from lince.inference.video import video_pipeline  # noqa: F401, PLC0415
    except MissingExtraError as error:
        return error
    return None
