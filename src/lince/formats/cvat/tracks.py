"""Turns the tracks of "CVAT for video 1.1" into shapes of its frames.

A track is one object over the frames of a video: a shape for each frame, or for key frames alone, between which a box
moves in a straight line. A frame with ``outside`` is the first one that the object has left.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from lince.formats.image_lookup import ImageLookup
from lince.parsing.json_reader import is_encodable_text
from lince.parsing.xml_reader import XmlElement, format_number, parse_number

CORNERS = ("xtl", "ytl", "xbr", "ybr")
MAX_FRAMES = 10**7
_MAX_DIGITS = 9  # of the number of a frame in a file name
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


def read_frame(element: XmlElement) -> int:
    """Return the number of the frame of a shape; raise ``ValueError`` with the text where it is none."""
    text = element.attributes.get("frame", "")
    if not _is_count(text) or int(text) > MAX_FRAMES:
        raise ValueError(text)
    return int(text)


def list_shapes(track: XmlElement, frames: Iterable[int]) -> Iterator[tuple[int, XmlElement]]:
    """Yield (frame, shape) for every frame of ``frames`` in which the object of ``track`` is.

    A box in a frame between two key frames is interpolated; another shape stands only where the track gives it. Raise
    ``ValueError`` where a frame is no number.
    """
    shapes = sorted(((read_frame(shape), shape) for shape in track.children), key=lambda item: item[0])
    wanted = sorted(set(frames))
    for index, (frame, shape) in enumerate(shapes):
        if shape.attributes.get("outside") == "1":
            continue
        if frame in wanted:
            yield frame, shape
        if index + 1 < len(shapes):
            yield from _interpolate((frame, shape), shapes[index + 1], wanted)


def _interpolate(
    first: tuple[int, XmlElement], second: tuple[int, XmlElement], wanted: list[int]
) -> Iterator[tuple[int, XmlElement]]:
    """Yield the boxes of the frames of ``wanted`` between two boxes that are further apart than one frame."""
    (start, one), (end, other) = first, second
    between = [frame for frame in wanted if start < frame < end]
    if not between or one.tag != "box" or other.tag != "box":
        return
    for frame in between:
        share = (frame - start) / (end - start)
        shape = XmlElement("box", dict(one.attributes), one.line)
        for corner in CORNERS:
            low, high = (parse_number(shape.attributes[corner]) for shape in (one, other))
            shape.attributes[corner] = format_number(low + (high - low) * share)
        yield frame, shape


def find_frame_images(image_lookup: ImageLookup, label_file: str, frames: Collection[int]) -> dict[int, str]:
    """Return the images that are frames of the video of ``label_file``, by their number; ``frames`` are some of them.

    They are those of one folder whose names differ by their last number alone: called ``frame_000012``, as CVAT exports
    them, else the ones that hold most of ``frames``.
    """
    folder = posixpath.normpath(posixpath.join(posixpath.dirname(label_file), "images"))
    groups: defaultdict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for name in image_lookup.names:
        stem = posixpath.splitext(posixpath.basename(name))[0]
        match = _LAST_NUMBER.search(stem)
        if match and match[1].isascii() and len(match[1]) < _MAX_DIGITS and is_encodable_text(name):
            groups[posixpath.dirname(name), stem[: match.start()]].setdefault(int(match[1]), name)

    def rank(key: tuple[str, str]) -> tuple[bool, bool, int]:
        return key[1] == "frame_", key[0] == folder, len(groups[key].keys() & set(frames))

    best = max(groups, key=rank, default=None)
    return groups[best] if best is not None and groups[best].keys() & set(frames) else {}


def read_extent(meta: XmlElement | None, frames: Collection[int]) -> tuple[int, int]:
    """Return the first and the last frame of the task that ``meta`` describes, or those of ``frames`` where it is not.

    Frames in it that no track names show no object.
    """
    numbers: dict[str, int] = {}
    for element in () if meta is None else meta.iterate_descendants():
        if element.tag in ("size", "start_frame", "stop_frame") and _is_count(element.text.strip()):
            numbers.setdefault(element.tag, min(int(element.text), MAX_FRAMES))
    first = numbers.get("start_frame", 0 if "size" in numbers else min(frames))
    last = numbers.get("stop_frame", first + numbers.get("size", 0) - 1)
    return min([first, *frames]), max([last, *frames])


def read_frame_side(meta: XmlElement | None, side: str) -> str:
    """Return ``height`` or ``width`` of the frames as ``meta`` writes it, '' where it does not."""
    sizes = () if meta is None else (one for one in meta.iterate_descendants() if one.tag == "original_size")
    return next((size.find_text(side) for size in sizes), "")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
