"""Runs a model on a video frame by frame: a table of the frames, the frames drawn, and a summary, for any task."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from lince import fileio
from lince.annotations import Classes
from lince.inference.backends.onnxruntime import split_cores
from lince.inference.media import VideoItem
from lince.inference.predictor import Predictor
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


@dataclass(eq=False)
class FrameSummary(ABC):
    """The summary of one video, filled while it is processed; each task adds its own figures.

    The attributes are those of ``VideoResult``.
    """

    source: str
    classes: Classes
    frame_count: int = 0
    broken_count: int = 0
    coverage: FileCoverage = field(default_factory=FileCoverage)
    loss: ConnectionLoss = field(default_factory=ConnectionLoss)
    seconds: float = 0.0
    dropped_audio: str = ""
    written_paths: tuple[Path, ...] = ()

    def add(self, frame: Frame, result: Any) -> None:
        """Count one frame with its result."""
        del result
        self.frame_count += 1
        self.seconds = frame.time

    @abstractmethod
    def describe(self, result: Any) -> str:
        """Return the result of a frame in a few words, for the progress bar."""

    @abstractmethod
    def list_figures(self) -> dict[str, Any]:
        """Return the figures of the task for ``to_dict``."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a dict that ``json`` can write."""
        return {
            "source": self.source,
            "frames": self.frame_count,
            "broken": self.broken_count,
            "cut": self.coverage.is_truncated and self.coverage.is_read_to_end,
            "file": self.coverage.to_dict(),
            "disconnected": self.loss.to_dict(),
            "seconds": round(self.seconds, 3),
            **self.list_figures(),
            "written": [str(path) for path in self.written_paths],
        }


S = TypeVar("S", bound=FrameSummary)
FrameRow = tuple[Frame, Any]  # a frame and its result
WriteFrame = Callable[[FrameRow], None]


class FrameTable:
    """Writes a row for each frame to an open CSV file: video, time, frame, and what ``list_cells`` says of its result.

    ``columns`` are the names of these cells.
    """

    def __init__(self, stream: Any, columns: Sequence[str], list_cells: Callable[[Any], Sequence[Any]]) -> None:
        self._list_cells = list_cells
        self._table = csv.writer(stream, lineterminator="\n")
        self._table.writerow(("file", "time", "frame", *columns))

    def add(self, name: str, row: FrameRow) -> None:
        """Write the row of a frame of the video ``name``."""
        frame, result = row
        self._table.writerow([name, f"{frame.time:.3f}", frame.index, *self._list_cells(result)])


@dataclass(frozen=True, eq=False)
class FramewiseVideos(Generic[S]):
    """How a task processes videos frame by frame.

    Attributes:
        model: predicts the frames, up to ``batch_size`` at a time.
        make_summary: returns the empty summary of a video, by its name.
        columns: of the table of frames, after video, time and frame.
        list_cells: returns the values of these columns for the result of a frame.
        draw: returns a frame, uint8 RGB (H, W, 3), with its result drawn on it.
    """

    model: Predictor
    batch_size: int
    make_summary: Callable[[str], S]
    columns: Sequence[str]
    list_cells: Callable[[Any], Sequence[Any]]
    draw: Callable[[Any, Image], Image]

    @contextmanager
    def open_table(self, path: Path) -> Iterator[FrameTable]:
        """Yield a table of frames that appears at ``path`` when the block ends without an exception."""
        with fileio.atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
            yield FrameTable(stream, self.columns, self.list_cells)

    def run(
        self,
        item: VideoItem,
        frame_range: FrameRange = WHOLE_VIDEO,
        folder: str | Path | None = None,
        *,
        table: FrameTable | None = None,
        progress: Progress = SILENT,
    ) -> S:
        """Process the frames of a video file, ``camera:N`` or an address, and return the summary.

        With ``folder``, the new folder gets ``video.mp4``, whose frames are drawn, and ``frames.csv``, whole or not at
        all. ``table`` gets the same rows. Memory does not grow with the length of the video. Raises as
        ``video_pipeline.run_video`` does.
        """
        is_live = is_camera(item.path) or is_address(item.path)
        batch_size, (calls, threads) = (1, (1, None)) if is_live else (self.batch_size, split_cores())
        shared, target = self.model.with_threads(threads), None if folder is None else Path(folder)
        if target is not None:
            fileio.require_empty_folder(target)
        with ExitStack() as stack:
            notify, allow_urls = progress.show_message, self.model.allow_urls
            reader = stack.enter_context(
                open_source(item.path, frame_range, name=item.name, allow_urls=allow_urls, notify=notify)
            )
            require_start(reader)
            result = self.make_summary(reader.name)
            write = _no_rows if table is None else lambda row: table.add(reader.name, row)
            with ExitStack() as outputs:
                sink = write
                if target is not None:
                    sink, result.dropped_audio = self._open_sink(outputs, target, reader, write)

                def process(frame: Frame, answer: Any) -> tuple[FrameRow, str]:
                    result.add(frame, answer)
                    return (frame, answer), result.describe(answer)

                def predict(images: Sequence[Image]) -> list[Any]:
                    return shared.predict_prepared([shared.prepare(image) for image in images])

                FrameLoop(predict, process, sink, batch_size, calls).run(reader, progress)
                result.broken_count, result.coverage, result.loss = reader.broken_count, reader.coverage, reader.loss
                if not result.frame_count:
                    raise make_empty_part_error(reader)
        if target is not None:
            result.written_paths = tuple(sorted(target.iterdir()))
        return result

    def _open_sink(
        self, stack: ExitStack, target: Path, reader: VideoReader, write: WriteFrame
    ) -> tuple[WriteFrame, str]:
        """Return what writes a frame into a new folder, there at ``target`` when ``stack`` ends, and to ``write``.

        Second, the codec of audio that is left out; empty where there is none.
        """
        folder = stack.enter_context(fileio.atomic_folder(target))
        table = stack.enter_context(self.open_table(folder / FRAMES_NAME))
        writer = stack.enter_context(open_video_writer(folder / VIDEO_NAME, reader))

        def write_all(row: FrameRow) -> None:
            write(row)
            table.add(reader.name, row)
            frame, answer = row
            writer.write_frame(Frame(self.draw(answer, frame.image), frame.time, frame.index))

        return write_all, writer.dropped_audio


def _no_rows(_row: FrameRow) -> None:
    """Write nothing."""
