"""Runs a segmentation model on a video: the classes as colours on each frame, and what each of them covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.inference.length_scale import LengthScale
from lince.inference.media import VideoItem
from lince.inference.segmentation.predictor import SegmentationPredictor
from lince.inference.segmentation.result import SegmentationResult
from lince.inference.video.frames import Frame, FrameRange, Image
from lince.inference.video.framewise_video import FrameSummary, FrameTable, FramewiseVideos
from lince.progress import SILENT, Progress

BATCH_SIZE = 8


@dataclass(eq=False)
class SegmentedVideo(FrameSummary):
    """The summary of one video, filled while it is processed.

    For each class, float64 or int64 (C,): ``class_counts``, the number of frames that show it; ``share_sums``, the sum
    of the parts of the frames (0..1) that it covers, and ``largest_shares``, the largest of them with the time in
    seconds in ``largest_times``. ``empty_count`` is the number of frames of background alone.
    """

    empty_count: int = 0
    class_counts: NDArray[np.int64] = field(init=False)
    share_sums: NDArray[np.float64] = field(init=False)
    largest_shares: NDArray[np.float64] = field(init=False)
    largest_times: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.class_counts = np.zeros(len(self.classes), np.int64)
        self.share_sums, self.largest_shares, self.largest_times = np.zeros((3, len(self.classes)))

    def add(self, frame: Frame, result: SegmentationResult) -> None:
        """Count one frame."""
        super().add(frame, result)
        shares = np.array(list(result.shares.values()))
        self.class_counts += shares > 0
        self.empty_count += not shares.any()
        self.share_sums += shares
        self.largest_times[shares > self.largest_shares] = frame.time
        np.maximum(self.largest_shares, shares, out=self.largest_shares)

    def describe(self, result: SegmentationResult) -> str:
        """Return what each class covers of a frame."""
        return result.describe()

    def list_figures(self) -> dict[str, Any]:
        """Return what each class covers: the mean over all frames, and the largest part with its time in seconds."""
        return {
            "background_only": self.empty_count,
            "classes": [
                {
                    "name": name,
                    "frames": int(self.class_counts[row]),
                    "mean_share": round(float(self.share_sums[row]) / max(self.frame_count, 1), 6),
                    "largest_share": round(float(self.largest_shares[row]), 6),
                    "largest_at": round(float(self.largest_times[row]), 3) if self.class_counts[row] else None,
                }
                for row, name in enumerate(self.classes.names)
            ],
        }


def make_framewise(model: SegmentationPredictor, scale: LengthScale | None = None) -> FramewiseVideos[SegmentedVideo]:
    """Return how ``model`` processes videos; with ``scale``, tables and pictures have areas, too."""

    def list_cells(result: SegmentationResult) -> list[str]:
        cells = [f"{result.background_share:.6f}", *(f"{share:.6f}" for share in result.shares.values())]
        areas = result.areas.values() if scale else ()
        return [*cells, *(f"{scale.compute_area(area):.6g}" for area in areas if scale)]

    def draw(result: SegmentationResult, image: Image) -> Image:
        return replace(result, scale=scale).draw(image)

    names = model.classes.names
    columns = ["background", *(f"share:{name}" for name in names)]
    columns += [f"{scale.area_column}:{name}" for name in names] if scale else []
    return FramewiseVideos(
        model, BATCH_SIZE, lambda name: SegmentedVideo(name, model.classes), columns, list_cells, draw
    )


def prepare_videos(
    model: SegmentationPredictor,
    frame_range: FrameRange,
    progress: Progress = SILENT,
    *,
    table: FrameTable | None = None,
    scale: LengthScale | None = None,
) -> Callable[[VideoItem, Path | None], SegmentedVideo]:
    """Return what segments one video and writes into a folder, if one is given: the part ``videos`` of the task.

    ``table`` gets the rows of all videos; with ``scale``, they have areas, too.
    """

    def run_one(item: VideoItem, folder: Path | None) -> SegmentedVideo:
        return make_framewise(model, scale).run(item, frame_range, folder, table=table, progress=progress)

    return run_one
