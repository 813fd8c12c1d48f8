"""Runs a model of whole images on a video: the classes of each frame, listed and written on it, and their shares."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.annotations import Classes
from lince.inference.backends.onnxruntime import split_cores
from lince.inference.media import VideoItem
from lince.inference.video.frame_loop import FrameLoop
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange, Image, is_address, is_camera
from lince.inference.video.open_source import open_source
from lince.inference.video.sinks import VIDEO_NAME
from lince.inference.video.video_pipeline import make_empty_part_error, require_start
from lince.inference.video.video_reader import VideoReader
from lince.inference.video.video_result import ConnectionLoss, FileCoverage
from lince.inference.video.video_writer import open_video_writer
from lince.inference.whole_image_predictor import WholeImagePredictor
from lince.inference.whole_image_result import WholeImageResult, format_probability
from lince.progress import SILENT, Progress

FRAMES_NAME = "frames.csv"
BATCH_SIZE = 16
FrameRow = tuple[Frame, WholeImageResult]
WriteFrame = Callable[[FrameRow], None]


@dataclass(eq=False)
class ClassifiedVideo:
    """The summary of one video, filled while it is processed.

    ``class_counts`` has the number of frames by predicted class id, ``empty_count`` that of frames without any class,
    ``probability_sums`` float64 (C,) the sums of the probabilities. The frames of a video are alike: their number says
    nothing of how certain the answer is. The other attributes are those of ``VideoResult``.
    """

    source: str
    classes: Classes
    probability_sums: NDArray[np.float64]
    class_counts: Counter[int] = field(default_factory=Counter)
    frame_count: int = 0
    empty_count: int = 0
    broken_count: int = 0
    coverage: FileCoverage = field(default_factory=FileCoverage)
    loss: ConnectionLoss = field(default_factory=ConnectionLoss)
    seconds: float = 0.0
    dropped_audio: str = ""
    written_paths: tuple[Path, ...] = ()

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
        self.frame_count += 1
        self.seconds = frame.time
        self.class_counts.update(result.predicted_class_ids)
        self.empty_count += not result.predicted_class_ids
        self.probability_sums += result.probabilities

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a dict that ``json`` can write, the most frequent class first."""
        names, most_frequent = self.classes.names, self.most_frequent
        return {
            "source": self.source,
            "frames": self.frame_count,
            "broken": self.broken_count,
            "cut": self.coverage.is_truncated and self.coverage.is_read_to_end,
            "file": self.coverage.to_dict(),
            "disconnected": self.loss.to_dict(),
            "seconds": round(self.seconds, 3),
            "most_frequent": None if most_frequent is None else names[most_frequent],
            "highest_mean": names[int(self.means.argmax())],
            "without_class": self.empty_count,
            "classes": [
                {"name": names[class_id], "frames": count, "mean_probability": round(float(self.means[class_id]), 6)}
                for class_id, count in sorted(
                    ((row, self.class_counts[row]) for row in range(len(names))), key=lambda pair: -pair[1]
                )
            ],
            "written": [str(path) for path in self.written_paths],
        }


class FrameTable:
    """Writes one row for each frame to an open CSV file: video, time, frame, prediction and all probabilities.

    ``columns`` are those of the prediction (``WholeImageResult.table_columns``).
    """

    def __init__(self, stream: Any, columns: Sequence[str], classes: Classes) -> None:
        self._table = csv.writer(stream, lineterminator="\n")
        self._table.writerow(("file", "time", "frame", *columns, *(f"p:{name}" for name in classes.names)))

    def add(self, name: str, row: FrameRow) -> None:
        """Write the row of a frame of the video ``name``."""
        frame, result = row
        numbers = map(format_probability, result.probabilities.tolist())
        self._table.writerow([name, f"{frame.time:.3f}", frame.index, *result.table_cells, *numbers])


@contextmanager
def open_frame_table(path: Path, model: WholeImagePredictor[Any]) -> Iterator[FrameTable]:
    """Yield a table of predictions of ``model`` that appears at ``path`` when the block ends without an exception."""
    with fileio.atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        yield FrameTable(stream, model.result_type.table_columns, model.classes)


def classify_video(
    item: VideoItem,
    model: WholeImagePredictor[Any],
    frame_range: FrameRange = WHOLE_VIDEO,
    folder: str | Path | None = None,
    *,
    table: FrameTable | None = None,
    progress: Progress = SILENT,
) -> ClassifiedVideo:
    """Classify the frames of a video file, ``camera:N`` or an address, and return the summary.

    With ``folder``, the new folder gets ``video.mp4``, whose frames have their most probable classes written on them,
    and ``frames.csv``, whole or not at all. ``table`` gets the same rows. Memory does not grow with the length of the
    video. Raises as ``video_pipeline.run_video`` does.
    """
    is_live = is_camera(item.path) or is_address(item.path)
    batch_size, (calls, threads) = (1, (1, None)) if is_live else (BATCH_SIZE, split_cores())
    shared, target = model.with_threads(threads), None if folder is None else Path(folder)
    if target is not None:
        fileio.require_empty_folder(target)
    with ExitStack() as stack:
        notify = progress.show_message
        reader = stack.enter_context(
            open_source(item.path, frame_range, name=item.name, allow_urls=model.allow_urls, notify=notify)
        )
        require_start(reader)
        result = ClassifiedVideo(reader.name, model.classes, np.zeros(len(model.classes)))
        write = _no_rows if table is None else lambda row: table.add(reader.name, row)
        with ExitStack() as outputs:
            sink = write
            if target is not None:
                sink, result.dropped_audio = _open_sink(outputs, target, reader, model, write)

            def process(frame: Frame, answer: WholeImageResult) -> tuple[FrameRow, str]:
                result.add(frame, answer)
                return (frame, answer), ", ".join(model.classes.names[row] for row in answer.predicted_class_ids)

            def predict(images: Sequence[Image]) -> list[WholeImageResult]:
                return shared.predict_prepared([shared.prepare(image) for image in images])

            FrameLoop(predict, process, sink, batch_size, calls).run(reader, progress)
            result.broken_count, result.coverage, result.loss = reader.broken_count, reader.coverage, reader.loss
            if not result.frame_count:
                raise make_empty_part_error(reader)
    if target is not None:
        result.written_paths = tuple(sorted(target.iterdir()))
    return result


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
        return classify_video(item, model, frame_range, folder, table=table, progress=progress)

    return run_one


def _no_rows(_row: FrameRow) -> None:
    """Write nothing."""


def _open_sink(
    stack: ExitStack, target: Path, reader: VideoReader, model: WholeImagePredictor[Any], write: WriteFrame
) -> tuple[WriteFrame, str]:
    """Return what writes a frame into a new folder, which appears at ``target`` when ``stack`` ends, and to ``write``.

    Second, the codec of audio that is left out; empty where there is none.
    """
    folder = stack.enter_context(fileio.atomic_folder(target))
    table = stack.enter_context(open_frame_table(folder / FRAMES_NAME, model))
    writer = stack.enter_context(open_video_writer(folder / VIDEO_NAME, reader))

    def write_all(row: FrameRow) -> None:
        write(row)
        table.add(reader.name, row)
        frame, answer = row
        writer.write_frame(Frame(answer.draw_caption(frame.image), frame.time, frame.index))

    return write_all, writer.dropped_audio
