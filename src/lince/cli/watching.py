"""What a detector finds on videos and cameras: the options that only they understand, and what is said in the end."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lince.annotations import Classes
from lince.cli import finding
from lince.cli.console import Console
from lince.cli.parser import positive, seconds
from lince.errors import UsageError
from lince.evaluation.figures import count
from lince.messages import _
from lince.runtime.detection import DetectionPredictor
from lince.runtime.slicing import SlicingPredictor
from lince.runtime.video.frames import Part
from lince.runtime.video.watched import LEFT
from lince.verbs.parts import video_part

if TYPE_CHECKING:
    from lince.runtime.video.watched import Watched

OPTIONS = ("every", "start", "track", "line", "zone")


def configure(parser: argparse._ActionsContainer) -> None:
    """Add the options that only videos and cameras understand."""
    parser.add_argument(
        "--every", metavar=_("STEP"), help=_("look at every N-th frame (5), or at one in so much time (0.5s)")
    )
    parser.add_argument("--from", dest="start", metavar=_("TIME"), help=_("where to start: 90s, 1:30"))
    parser.add_argument("--track", action="store_true", help=_("follow objects from frame to frame, with numbers"))
    parser.add_argument(
        "--line",
        action="append",
        default=[],
        metavar=_("X,Y,X,Y[:NAME]"),
        help=_("count who passes this line, in pixels or percent; may be given again"),
    )
    parser.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar=_("X,Y,X,Y,...[:NAME]"),
        help=_("count who is in this zone, and how long; may be given again"),
    )


def run(model: DetectionPredictor, arguments: argparse.Namespace, console: Console) -> None:
    """Watch the video, print and write what is on it."""
    if len(arguments.source) != 1:
        raise UsageError(
            _("A video was given along with {count} other sources.").format(count=len(arguments.source) - 1),
            _("Expected one video or camera at a time."),
        )
    if arguments.csv:
        raise UsageError(
            _("{options} says nothing of videos.").format(options="--csv"),
            _("Expected --save, which writes a table among the rest."),
        )
    model = finding.thresholded(SlicingPredictor.of(model) if arguments.slice else model, arguments.threshold)
    folder = finding.free_folder(arguments.save)
    with video_part():
        from lince.runtime.video import pipeline, places  # noqa: PLC0415  (a part of its own)

    how = pipeline.Watching.by(
        model,
        arguments.source[0],
        part(arguments.start, arguments.to, arguments.every),
        arguments.track,
        tuple(places.line(text, number) for number, text in enumerate(arguments.line, 1)),
        tuple(places.zone(text, number) for number, text in enumerate(arguments.zone, 1)),
    )
    watched = pipeline.watch(arguments.source[0], how, folder, console)
    console.result(watched.to_dict(model.classes), summary(watched, model.classes))


def given(arguments: argparse.Namespace) -> list[str]:
    """Return the options of videos that were given."""
    return [f"--{'from' if name == 'start' else name}" for name in OPTIONS if getattr(arguments, name)]


def part(start: str | None, end: str | None, every: str | None) -> Part:
    """Return the part of a video that ``--from``, ``--to`` and ``--every`` ask for."""
    whole = every is None or every.isdecimal()
    return Part(
        moment(start) if start else 0.0,
        moment(end) if end else None,
        positive(every) if every and whole else 1,
        seconds(every) if every and not whole else 0.0,
    )


def moment(text: str) -> float:
    """Return the seconds in ``90s``, ``1:30`` or ``1:02:03.5``; raise ``UsageError`` on anything else."""
    found = re.fullmatch(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d+)?)", text.strip(), re.ASCII)
    if not found:
        return seconds(text)
    return 3600.0 * int(found[1] or 0) + 60.0 * int(found[2]) + float(found[3])


def summary(watched: Watched, classes: Classes) -> list[str]:
    """Return in words what was seen, what was counted, and what did not go as one would wish."""
    names = classes.names
    said = [_("{count:,} frames looked at, {seconds:.1f} s").format(count=watched.frames, seconds=watched.seconds)]
    most = ", ".join(f"{count(number)} {names[at]}" for at, number in sorted(watched.most.items()))
    said.append(_("at one time, at most: {counts}").format(counts=most or _("nothing")))
    if watched.tracks:
        followed = ", ".join(f"{count(number)} {names[at]}" for at, number in sorted(watched.tracks.items()))
        said.append(_("followed: {counts}").format(counts=followed))
    for (line, at, way), number in sorted(watched.passed.items()):
        text = _("{line}: {count:,} {name} to the left") if way == LEFT else _("{line}: {count:,} {name} to the right")
        said.append(text.format(line=line, count=number, name=names[at]))
    for (zone, at), number in sorted(watched.stays.items()):
        said.append(_("{zone}: {count:,} {name} were inside").format(zone=zone, count=number, name=names[at]))
    said += [_("Written: {path}").format(path=path) for path in watched.written]
    return said + _flaws(watched, names)


def _flaws(watched: Watched, names: Sequence[str]) -> list[str]:
    flaws = []
    if watched.broken:
        flaws.append(_("{count:,} broken frames were left out.").format(count=watched.broken))
    if watched.cut:
        flaws.append(_("The video ends before its end: it was cut off."))
    if watched.silent:
        flaws.append(_("The sound was left out: an MP4 does not hold {codec}.").format(codec=watched.silent))
    if watched.full:
        full = ", ".join(names[at] for at in watched.full)
        flaws.append(_("Not every crop was kept, as there are many of: {names}.").format(names=full))
    return flaws
