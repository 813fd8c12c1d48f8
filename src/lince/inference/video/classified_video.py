"""Runs a model of whole images on a video: the classes of each frame, listed and written on it, and their shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.inference.media import VideoItem
from lince.inference.video.frames import Frame, FrameRange, Image
from lince.inference.video.framewise_video import FrameSummary, FrameTable, FramewiseVideos
from lince.inference.whole_image_predictor import WholeImagePredictor
from lince.inference.whole_image_result import WholeImageResult, format_probability
from lince.progress import SILENT, Progress

BATCH_SIZE = 16


@dataclass(eq=False)
class ClassifiedVideo(FrameSummary):
    """The summary of one video, filled while it is processed.

    ``class_counts`` has the number of frames by predicted class id, ``empty_count`` that of frames without any class,
    ``probability_sums`` float64 (C,) the sums of the probabilities. The frames of a video are alike: their number says
    nothing of how certain the answer is.
    """

    class_counts: Counter[int] = field(default_factory=Counter)
    empty_count: int = 0
    probability_sums: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.probability_sums = np.zeros(len(self.classes))

    @property
    def most_frequent(self) -> int | None:
        """The class id that most frames have, the first of ``rank_classes``; ``None`` where no frame has a class."""
        return next((class_id for class_id, _count in self.rank_classes()), None)

    def rank_classes(self) -> list[tuple[int, int]]:
        """Return (class id, number of frames) of the classes that any frame has, the most frequent first.

        Of equals, that of the higher mean probability comes first.
        """
        return sorted(self.class_counts.items(), key=lambda pair: (pair[1], self.means[pair[0]]), reverse=True)

    @property
    def means(self) -> NDArray[np.float64]:
        """The mean probability of each class over the frames, float64 (C,)."""
        return self.probability_sums / max(self.frame_count, 1)

    def add(self, frame: Frame, result: WholeImageResult) -> None:
        """Count one frame."""
        super().add(frame, result)
        self.class_counts.update(result.predicted_class_ids)
        self.empty_count += not result.predicted_class_ids
        self.probability_sums += result.probabilities

    def describe(self, result: WholeImageResult) -> str:
        """Return the classes of a frame."""
        return ", ".join(self.classes.names[row] for row in result.predicted_class_ids)

    def list_figures(self) -> dict[str, Any]:
        """Return the classes of the frames, the most frequent first."""
        names, most_frequent = self.classes.names, self.most_frequent
        return {
            "most_frequent": None if most_frequent is None else names[most_frequent],
            "highest_mean": names[int(self.means.argmax())],
            "without_class": self.empty_count,
            "classes": [
                {"name": names[class_id], "frames": count, "mean_probability": round(float(self.means[class_id]), 6)}
                for class_id, count in sorted(
                    ((row, self.class_counts[row]) for row in range(len(names))), key=lambda pair: -pair[1]
                )
            ],
        }


def make_framewise(model: WholeImagePredictor[Any]) -> FramewiseVideos[ClassifiedVideo]:
    """Return how ``model`` processes videos: frames have their most probable classes written on them."""

    def list_cells(result: WholeImageResult) -> list[str]:
        return [*result.table_cells, *map(format_probability, result.probabilities.tolist())]

    def draw(result: WholeImageResult, image: Image) -> Image:
        return result.draw_caption(image)

    columns = (*model.result_type.table_columns, *(f"p:{name}" for name in model.classes.names))
    return FramewiseVideos(
        model, BATCH_SIZE, lambda name: ClassifiedVideo(name, model.classes), columns, list_cells, draw
    )


def prepare_videos(
    model: WholeImagePredictor[Any],
    frame_range: FrameRange,
    progress: Progress = SILENT,
    *,
    table: FrameTable | None = None,
) -> Callable[[VideoItem, Path | None], ClassifiedVideo]:
    """Return what classifies one video and writes into a folder, if one is given: the part ``videos`` of the task.

    ``table`` gets the rows of all videos.
    """

    def run_one(item: VideoItem, folder: Path | None) -> ClassifiedVideo:
        return make_framewise(model).run(item, frame_range, folder, table=table, progress=progress)

    return run_one
