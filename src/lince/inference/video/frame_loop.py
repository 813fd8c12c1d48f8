"""Runs a model over the frames of a video: one thread decodes, some run the network, one writes the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lince.i18n import _
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.inference.video.frames import Frame, Image
from lince.inference.video.interrupt import stop_on_interrupt
from lince.inference.video.threads import prefetch_items, run_in_background
from lince.inference.video.video_reader import VideoReader
from lince.progress import Progress

R = TypeVar("R")  # what the model says of a frame
P = TypeVar("P")  # what is written of it


@dataclass(frozen=True, eq=False)
class FrameLoop(Generic[R, P]):
    """The stages: ``predict`` returns a result for each frame, uint8 RGB (H, W, 3), of a batch.

    ``parallel_calls`` threads call it at the same time with up to ``batch_size`` frames each. ``process`` is called
    with one frame and its result after the other, in order, and returns what ``write`` gets in a thread of its own, and
    a text for the progress bar.
    """

    predict: Callable[[Sequence[Image]], Sequence[R]]
    process: Callable[[Frame, R], tuple[P, str]]
    write: Callable[[P], None]
    batch_size: int
    parallel_calls: int

    def run(self, reader: VideoReader, progress: Progress) -> None:
        """Process the frames of ``reader``; a camera or a stream until Ctrl+C, or its end."""
        with (
            progress.open_stage(_("Processing the video"), reader.expected_frames) as stage,
            stop_on_interrupt(reader.is_live) as stop_requested,
            run_in_background(self.write) as put,
            prefetch_items(reader.iter_frames(), stop_requested) as frames,
        ):
            try:
                batches = iter_batches(frames, self.batch_size)
                for results in ordered_map(self._predict_batch, batches, self.parallel_calls, self.parallel_calls):
                    for frame, result in results:
                        written, text = self.process(frame, result)
                        put(written)
                        stage.advance(1, text)
            finally:
                reader.stop()

    def _predict_batch(self, batch: list[Frame]) -> list[tuple[Frame, R]]:
        return list(zip(batch, self.predict([frame.image for frame in batch]), strict=True))
