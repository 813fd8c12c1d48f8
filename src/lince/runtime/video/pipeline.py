"""A video through a detector: one thread decodes, some ask the network, another draws, encodes and keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np

from lince import files
from lince.annotations import Classes, Detections
from lince.messages import _
from lince.progress import SILENT, Progress, Stage
from lince.runtime.detection import DetectionPredictor
from lince.runtime.found import require_free
from lince.runtime.inorder import batched, in_order
from lince.runtime.session import shares
from lince.runtime.video import keeping
from lince.runtime.video.counting import Crossing, Lines, Stay, Zones
from lince.runtime.video.frames import WHOLE, Frame, Image, Part, is_camera
from lince.runtime.video.overlay import Overlay
from lince.runtime.video.places import Place
from lince.runtime.video.reading import Reader, opened
from lince.runtime.video.stopping import wish_to_end
from lince.runtime.video.tracking import LOW, NO_TRACK, Followed, Tracker
from lince.runtime.video.watched import LEFT, RIGHT, Watched
from lince.runtime.video.workers import ahead, behind
from lince.runtime.video.writing import Writer, writing

Finder = Callable[[Sequence[Image]], list[Detections]]
BATCH = 4


@dataclass(frozen=True, eq=False)
class Watching:
    """How a video is watched: what ``find`` finds of ``classes``, followed by ``tracker`` where there is one.

    ``calls`` threads call ``find`` at one time, with ``batch`` frames each.
    """

    find: Finder
    classes: Classes
    part: Part = WHOLE
    tracker: Tracker | None = None
    lines: tuple[Place, ...] = ()
    zones: tuple[Place, ...] = ()
    batch: int = BATCH
    calls: int = 1

    @classmethod
    def by(
        cls,
        model: DetectionPredictor,
        source: str | Path,
        part: Part,
        track: bool,
        lines: tuple[Place, ...],
        zones: tuple[Place, ...],
    ) -> Watching:
        """Return how ``model`` watches ``source``.

        Lines and zones need tracks, so with them there are some in any case. Where it tracks, the model tells what it
        hardly sees too: the tracker decides what is shown of it. What happens before a camera is told at once: each
        frame gets all cores and waits for no other.
        """
        batch, (calls, threads) = (1, (1, None)) if is_camera(source) else (BATCH, shares())
        model = model.beside(threads)
        if not (track or lines or zones):
            return cls(model.detect, model.classes, part, batch=batch, calls=calls)
        sure = model.card.keeping.of
        known = sure(np.arange(len(model.classes), dtype=np.int32)).tolist()
        faint = dict(zip(model.classes.names, (min(LOW, one) for one in known), strict=True))
        find = model.with_threshold(faint).detect
        return cls(find, model.classes, part, Tracker(sure), lines, zones, batch, calls)


@dataclass(frozen=True, eq=False)
class _Seen:
    frame: Frame
    followed: Followed
    overlay: Overlay
    crossings: Sequence[Crossing]
    stays: Sequence[Stay]


def watch(source: str | Path, how: Watching, folder: str | Path | None = None, progress: Progress = SILENT) -> Watched:
    """Watch a video file or ``camera:0`` and write what was found into the new ``folder``, whole or not at all.

    ``folder`` gets ``video.mp4`` with boxes drawn and the sound of the source, ``detections.csv``, ``counts.csv``,
    ``passings.csv`` and ``stays.csv`` where lines and zones are asked for, and ``crops/``. Memory does not grow with
    the length. Raises ``DataError`` when the source cannot be read, ``UsageError`` when the folder is taken. A camera
    is watched until Ctrl+C, or until the end of the part that is asked for.
    """
    if folder is None:
        with opened(source, how.part) as reader:
            return _Watch(how, reader).run(_Nowhere(), progress)
    target = Path(folder)
    require_free(target)
    with opened(source, how.part) as reader, files.building(target) as aside:
        with _kept(aside, how, reader) as kept:
            watched = _Watch(how, reader).run(kept, progress)
        watched.silent, watched.full = kept.writer.silent, tuple(sorted(kept.crops.full))
    watched.written = tuple(sorted(target.iterdir()))
    return watched


class _Watch:
    """One video under way."""

    def __init__(self, how: Watching, reader: Reader) -> None:
        self.how, self.reader = how, reader
        self.lines = Lines(list(how.lines), reader.size)
        self.zones = Zones(list(how.zones), reader.size)
        self.watched = Watched(reader.path)
        self._last = 0.0

    def run(self, keep: _Kept | _Nowhere, progress: Progress) -> Watched:
        watched = self.watched
        with (
            progress.stage(_("Watching"), self.reader.expected) as stage,
            ahead(self.reader.frames()) as frames,
            behind(keep.add) as put,
            wish_to_end(self.reader.live) as wished,
        ):
            self._all(takewhile(lambda _frame: not wished.is_set(), frames), put, stage)
        stays = self.zones.finish()
        self._note(stays)
        keep.stayed(stays)
        watched.broken, watched.cut = self.reader.broken, self.reader.cut
        watched.passed = self.lines.counts
        return watched

    def _all(self, frames: Iterator[Frame], put: Callable[[_Seen], None], stage: Stage) -> None:
        how = self.how
        for found in in_order(self._found, batched(frames, how.batch), how.calls, how.calls):
            for frame, detections in found:
                seen = self._see(frame, detections)
                put(seen)
                stage.advance(1, self._told(seen))

    def _found(self, batch: list[Frame]) -> list[tuple[Frame, Detections]]:
        return list(zip(batch, self.how.find([frame.image for frame in batch]), strict=True))

    def _see(self, frame: Frame, detections: Detections) -> _Seen:
        watched, tracker = self.watched, self.how.tracker
        steps = (frame.time - self._last) * float(self.reader.rate) if watched.frames else 1.0
        followed = (
            tracker.update(detections, max(steps, 1e-3))
            if tracker
            else Followed(detections, np.full(len(detections), NO_TRACK, np.int64))
        )
        crossings, stays = self.lines.update(followed, frame.time), self.zones.update(followed, frame.time)
        self._last = watched.seconds = frame.time
        watched.frames += 1
        watched.most |= Counter(followed.detections.class_ids.tolist())
        self._count(followed)
        self._note(stays)
        return _Seen(frame, followed, self._overlay(), crossings, stays)

    def _count(self, followed: Followed) -> None:
        """Count the tracks that are new; their numbers rise, so the highest says which are."""
        before = highest = sum(self.watched.tracks.values())
        rows = zip(followed.tracks.tolist(), followed.detections.class_ids.tolist(), strict=True)
        for track, number in rows:
            if track > before:
                self.watched.tracks[number] += 1
                highest = max(highest, track)

    def _note(self, stays: Sequence[Stay]) -> None:
        for stay in stays:
            self.watched.stays[stay.zone, stay.class_id] += 1
            self.watched.stayed[stay.zone] = self.watched.stayed.get(stay.zone, 0.0) + stay.end - stay.start

    def _overlay(self) -> Overlay:
        size, passed = self.reader.size, Counter[tuple[str, str]]()
        for (name, _number, way), count in self.lines.counts.items():
            passed[name, way] += count
        lines = [
            (place.points(size), f"{place.name}: ← {passed[place.name, LEFT]}  → {passed[place.name, RIGHT]}")
            for place in self.how.lines
        ]
        zones = [
            (place.points(size), f"{place.name}: {self.zones.inside(place.name, self._last)}")
            for place in self.how.zones
        ]
        return Overlay(self.how.classes, tuple(lines), tuple(zones))

    def _told(self, seen: _Seen) -> str:
        counts = Counter(seen.followed.detections.class_ids.tolist())
        return ", ".join(f"{count} {self.how.classes.names[number]}" for number, count in sorted(counts.items()))


class _Nowhere:
    """Where nothing is kept."""

    def add(self, seen: _Seen) -> None:
        """Let it pass."""

    def stayed(self, stays: Sequence[Stay]) -> None:
        """Let them pass."""


@dataclass(frozen=True, eq=False)
class _Kept:
    writer: Writer
    tables: keeping.Tables
    crops: keeping.Crops

    def add(self, seen: _Seen) -> None:
        """Draw a frame, encode it, and write what is on it."""
        self.tables.add(seen.frame, seen.followed)
        self.tables.passed(seen.crossings)
        self.tables.stayed(seen.stays)
        self.crops.add(seen.frame, seen.followed)
        picture = seen.overlay.draw(seen.frame.image, seen.followed)
        self.writer.add(Frame(picture, seen.frame.time, seen.frame.number))

    def stayed(self, stays: Sequence[Stay]) -> None:
        """Write the stays that the end ends."""
        self.tables.stayed(stays)


@contextmanager
def _kept(folder: Path, how: Watching, reader: Reader) -> Iterator[_Kept]:
    tables = keeping.Tables(folder, how.classes, bool(how.lines), bool(how.zones))
    try:
        with writing(folder / keeping.VIDEO, reader) as writer:
            yield _Kept(writer, tables, keeping.Crops(folder, how.classes, how.tracker is not None))
        tables.finish()
    finally:
        tables.close()
