"""Predicts videos, cameras and streams: ``lince.predict_videos``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lince.annotations import RejectedItem
from lince.api.extras import require_video_extra
from lince.api.load import load
from lince.errors import DataError
from lince.i18n import _
from lince.inference.media import find_media
from lince.inference.predictor import Predictor
from lince.inference.video.frames import FrameRange
from lince.progress import SILENT, Progress
from lince.tasks import get_task

__all__ = ["predict_videos"]


def predict_videos(
    model: str | Path | Predictor,
    where: str | Path | Sequence[str | Path],
    save: str | Path | None = None,
    frames: FrameRange | None = None,
    progress: Progress = SILENT,
    **options: Any,
) -> Iterator[Any]:
    """Yield the summary of each video of ``where``: files, folders, archives, patterns, ``camera:0``, addresses.

    ``model`` is a run, a model folder, or a predictor that ``lince.load`` returned; addresses are opened only by one
    loaded with ``allow_urls=True``. ``save`` is a folder that gets a new folder for each video, named like it.
    ``frames`` are those to process, by default all. Detectors give a ``VideoResult`` and take the ``options`` ``track``
    (bool), ``lines`` and ``zones`` (texts as on the command line); classifiers give a ``ClassifiedVideo``; segmentation
    models give a ``SegmentedVideo`` and take ``scale``, a ``LengthScale``. A video that cannot be read gives a
    ``RejectedItem``.

    Raises ``DataError`` when there is no video, ``UsageError`` for wrong options or addresses that are not allowed, and
    ``MissingExtraError`` without the video extra.
    """
    predictor = load(model) if isinstance(model, (str, Path)) else model
    media = find_media(where, predictor.allow_urls)
    if not media.videos:
        raise DataError(
            _("There is no video in {sources}.").format(sources=where), _("Expected videos, or folders of them.")
        )
    with require_video_extra():
        from lince.inference.video import video_folders  # noqa: PLC0415
    run_one = get_task(predictor.card.task).load_part("videos")(predictor, frames or FrameRange(), progress, **options)
    folders = video_folders.name_folders(media.videos, None if save is None else Path(save))
    return _run_all(run_one, list(zip(media.videos, folders, strict=True)))


def _run_all(run_one: Any, jobs: Sequence[tuple[Any, Path | None]]) -> Iterator[Any]:
    """Yield the result of ``run_one`` for each video and folder, or why it cannot be read."""
    for item, folder in jobs:
        try:
            yield run_one(item, folder)
        except DataError as error:
            yield RejectedItem(item.name, error.problem, error.remedy or error.expected)
