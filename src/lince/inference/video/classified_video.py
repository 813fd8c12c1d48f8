"""Runs a classifier on a video: a class for each frame, listed and written on it, and the shares of all frames."""

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
from lince.i18n import localise_number
from lince.inference import drawing
from lince.inference.backends.onnxruntime import split_cores
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.classification.result import ClassificationResult
from lince.inference.media import VideoItem
from lince.inference.video.frame_loop import FrameLoop
from lince.inference.video.frames import WHOLE_VIDEO, Frame, FrameRange, Image, is_address, is_camera
from lince.inference.video.open_source import open_source
from lince.inference.video.sinks import VIDEO_NAME
from lince.inference.video.video_pipeline import make_empty_part_error, require_start
from lince.inference.video.video_reader import VideoReader
from lince.inference.video.video_result import ConnectionLoss, FileCoverage
from lince.inference.video.video_writer import open_video_writer
from lince.progress import SILENT, Progress

FRAMES_NAME = "frames.csv"
BATCH_SIZE = 16
_NAMED_CLASSES = 3  # written on a frame
FrameRow = tuple[Frame, ClassificationResult]
WriteFrame = Callable[[FrameRow], None]


@dataclass(eq=False)
class ClassifiedVideo:
    """The summary of one video, filled while it is processed.

    ``class_counts`` has the number of frames by predicted class id, ``probability_sums`` float64 (C,) the sums of the
    probabilities. The frames of a video are alike: their number says nothing of how certain the answer is. The other
    attributes are those of ``VideoResult``.
    """

    source: str
    classes: Classes
    probability_sums: NDArray[np.float64]
    class_counts: Counter[int] = field(default_factory=Counter)
    frame_count: int = 0
    broken_count: int = 0
    coverage: FileCoverage = field(default_factory=FileCoverage)
    loss: ConnectionLoss = field(default_factory=ConnectionLoss)
    seconds: float = 0.0
    dropped_audio: str = ""
    written_paths: tuple[Path, ...] = ()

    @property
    def most_frequent(self) -> int:
        """The class id that most frames have; of equals that of the higher mean probability."""
        return max(self.class_counts, key=lambda class_id: (self.class_counts[class_id], self.means[class_id]))

    @property
    def means(self) -> NDArray[np.float64]:
        """The mean probability of each class over the frames, float64 (C,)."""
        return self.probability_sums / max(self.frame_count, 1)

    def add(self, frame: Frame, result: ClassificationResult) -> None:
        """Count one frame."""
        self.frame_count += 1
        self.seconds = frame.time
        self.class_counts[result.label.class_id] += 1
        if result.label.probabilities is not None:
            self.probability_sums += result.label.probabilities

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a dict that ``json`` can write, the most frequent class first."""
        names = self.classes.names
        return {
            "source": self.source,
            "frames": self.frame_count,
            "broken": self.broken_count,
            "cut": self.coverage.is_truncated and self.coverage.is_read_to_end,
            "file": self.coverage.to_dict(),
            "disconnected": self.loss.to_dict(),
            "seconds": round(self.seconds, 3),
            "most_frequent": names[self.most_frequent],
            "highest_mean": names[int(self.means.argmax())],
            "classes": [
                {"name": names[class_id], "frames": count, "mean_probability": round(float(self.means[class_id]), 6)}
                for class_id, count in sorted(
                    ((row, self.class_counts[row]) for row in range(len(names))), key=lambda pair: -pair[1]
                )
            ],
            "written": [str(path) for path in self.written_paths],
        }


class FrameTable:
    """Writes one row for each frame to an open CSV file: video, time, frame, class and all probabilities."""

    def __init__(self, stream: Any, classes: Classes) -> None:
        self._table = csv.writer(stream, lineterminator="\n")
        columns = (f"p:{name}" for name in classes.names)
        self._table.writerow(("file", "time", "frame", "class", "probability", *columns))

    def add(self, name: str, row: FrameRow) -> None:
        """Write the row of a frame of the video ``name``."""
        frame, result = row
        label = result.label
        values = [label.score, *([] if label.probabilities is None else label.probabilities.tolist())]
        numbers = [f"{value:.6g}" for value in values]
        self._table.writerow([name, f"{frame.time:.3f}", frame.index, result.class_name, *numbers])


@contextmanager
def open_frame_table(path: Path, classes: Classes) -> Iterator[FrameTable]:
    """Yield a table that appears at ``path`` when the block ends without an exception."""
    with fileio.atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        yield FrameTable(stream, classes)


def classify_video(
    item: VideoItem,
    model: ClassificationPredictor,
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
            sink = write if target is None else _open_sink(outputs, target, reader, result, write)

            def process(frame: Frame, answer: ClassificationResult) -> tuple[FrameRow, str]:
                result.add(frame, answer)
                return (frame, answer), answer.class_name

            def predict(images: Sequence[Image]) -> list[ClassificationResult]:
                return shared.predict_prepared([shared.prepare(image) for image in images])

            FrameLoop(predict, process, sink, batch_size, calls).run(reader, progress)
            result.broken_count, result.coverage, result.loss = reader.broken_count, reader.coverage, reader.loss
            if not result.frame_count:
                raise make_empty_part_error(reader)
    if target is not None:
        result.written_paths = tuple(sorted(target.iterdir()))
    return result


def prepare_videos(
    model: ClassificationPredictor,
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
    stack: ExitStack, target: Path, reader: VideoReader, result: ClassifiedVideo, write: WriteFrame
) -> WriteFrame:
    """Return what writes a frame into a new folder, which appears at ``target`` when ``stack`` ends, and to ``write``.

    The codec of audio that was left out is noted in ``result``.
    """
    folder = stack.enter_context(fileio.atomic_folder(target))
    table = stack.enter_context(open_frame_table(folder / FRAMES_NAME, result.classes))
    writer = stack.enter_context(open_video_writer(folder / VIDEO_NAME, reader))
    result.dropped_audio = writer.dropped_audio

    def write_all(row: FrameRow) -> None:
        write(row)
        table.add(reader.name, row)
        frame, answer = row
        writer.write_frame(Frame(_write_classes(frame.image, answer), frame.time, frame.index))

    return write_all


def _write_classes(image: Image, result: ClassificationResult) -> Image:
    """Return a copy of a frame with its most probable classes in the corner."""
    lines = [
        f"{localise_number(f'{probability:.0%}')} {result.classes.names[class_id]}".replace("\u202f", " ")
        for class_id, probability in result.label.top_k(_NAMED_CLASSES)
    ]
    return drawing.draw_caption(image, lines)
