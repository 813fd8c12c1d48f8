"""What a detector found, kept in a folder: pictures and crops for people, tables, and a labelled set."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import files, images
from lince.data.naming import apart, safe
from lince.errors import DataError
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime import draw, found, labelled
from lince.runtime.detection import Found
from lince.runtime.found import Finding
from lince.runtime.session import cores

CSV, JSON, SHEET, PICTURES, CROPS = "detections.csv", "detections.json", "sheet.jpg", "pictures", "crops"
SHOWN = 24  # photos on the sheet, six rows of four
_SIDE, _COLUMNS = 280, 4
_BATCH = 64
_LONGEST = 160  # bytes of a photo's name in those of its crops

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Saved:
    """Where it was written: the ``folder``, what is in it, and what a labelled set could not hold, in words."""

    folder: Path
    paths: tuple[Path, ...]
    losses: tuple[str, ...] = ()


def save(findings: Sequence[Finding], folder: str | Path, to: str | None = None, progress: Progress = SILENT) -> Saved:
    """Write what was found into the new ``folder``, whole or not at all.

    ``pictures/`` has every photo with its boxes drawn, ``crops/CLASS/PHOTO_NUMBER.jpg`` every object cut out,
    ``detections.csv`` a line for each of them, ``detections.json`` all photos, ``sheet.jpg`` up to 24 photos side by
    side. ``to`` names a format in which a labelled set is written beside them. Photos that lie in no file are in the
    tables alone. Raises ``DataError`` when no photo was looked at, ``UsageError`` when the folder is taken.
    """
    target = Path(folder)
    found.require_free(target)
    photos = found.answered(findings)
    there = [one for one in photos if one.path]
    names = _names(there)
    folders = class_folders(photos[0].classes.names)
    crops = {id(one): _crops(one, name, folders) for one, name in zip(there, names, strict=True)}
    losses: tuple[str, ...] = ()
    with files.building(target) as aside:
        _draw(there, names, crops, aside, progress)
        files.write_text(aside / CSV, found.table(photos, crops))
        files.write_json(aside / JSON, found.record(findings))
        if there:
            files.write_bytes(aside / SHEET, images.encode_jpeg(_sheet(there)))
        if to and there:
            losses = tuple(map(str, labelled.write(there, aside / to, to, progress).losses))
    return Saved(target, tuple(sorted(target.iterdir())), losses)


def cut(image: Image, box: Sequence[float]) -> Image:
    """Return the part of ``image`` (H, W, 3) in ``box``, left, top, right, bottom, in whole pixels, one at least."""
    height, width = image.shape[:2]
    left, top = min(max(0, int(box[0])), width - 1), min(max(0, int(box[1])), height - 1)
    right, bottom = max(left + 1, int(np.ceil(box[2]))), max(top + 1, int(np.ceil(box[3])))
    return image[top:bottom, left:right]


def class_folders(names: Sequence[str]) -> list[str]:
    """Return for each class the name of a folder, all different on any system."""
    taken: set[str] = set()
    folders = []
    for name in names:
        base = folder = _shortened(safe(name.replace("/", "_")))
        number = 1
        while _folded(folder) in taken:
            number += 1
            folder = f"{base}-{number}"
        taken.add(_folded(folder))
        folders.append(folder)
    return folders


def _shortened(name: str) -> str:
    return name.encode("utf-8")[:_LONGEST].decode("utf-8", "ignore")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _names(photos: Sequence[Found]) -> list[str]:
    """Return for each photo a file name without its ending, all different."""

    def place(_row: int, name: str) -> str:
        stem, ending = posixpath.splitext(name)
        return _shortened(stem) + (ending or ".jpg")

    return [posixpath.splitext(name)[0] for name in apart([safe(one.name) for one in photos], place)]


def _crops(one: Found, name: str, folders: Sequence[str]) -> list[str]:
    """Return for each object of a photo where its crop goes."""
    ids = one.detections.class_ids.tolist()
    return [f"{CROPS}/{folders[class_id]}/{name}_{number}.jpg" for number, class_id in enumerate(ids, 1)]


def _draw(
    photos: Sequence[Found], names: Sequence[str], crops: Mapping[int, Sequence[str]], folder: Path, progress: Progress
) -> None:
    for parent in {f"{PICTURES}/x", *(path for paths in crops.values() for path in paths)} if photos else ():
        (folder / parent).parent.mkdir(parents=True, exist_ok=True)

    def draw_one(row: int) -> None:
        one = photos[row]
        image = _read(one)
        picture = draw.annotated(image, one.detections, one.classes)
        (folder / PICTURES / f"{names[row]}.jpg").write_bytes(images.encode_jpeg(picture))
        for box, path in zip(one.detections.boxes.tolist(), crops[id(one)], strict=True):
            (folder / path).write_bytes(images.encode_jpeg(cut(image, box), 95))

    with progress.stage(_("Writing the pictures"), len(photos)) as stage, ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(photos), _BATCH):
            for _done in pool.map(draw_one, range(start, min(start + _BATCH, len(photos)))):
                stage.advance()


def _read(one: Found) -> Image:
    image = images.read(Path(one.path or ""))
    if image.shape[:2] != one.size:
        raise DataError(
            _("{path} has changed since it was looked at.").format(path=one.name),
            _("Expected {height} x {width} pixels.").format(height=one.size[0], width=one.size[1]),
            _("Predict again."),
        )
    return image


def _sheet(photos: Sequence[Found]) -> Image:
    rows = np.linspace(0, len(photos) - 1, min(SHOWN, len(photos))).round().astype(int)
    return draw.contact_sheet([_cell(photos[row]) for row in rows], _COLUMNS, _SIDE)


def _cell(one: Found) -> draw.Cell:
    things, names = one.detections, one.classes.names
    picture = draw.marked(images.read(Path(one.path or ""), at_least=(_SIDE, _SIDE)), (), one.size, _SIDE)
    scale = np.array(picture.shape[1::-1]) / one.size[::-1]
    placed = replace(things, boxes=things.boxes * np.tile(scale, 2))
    shown = draw.annotated(picture, placed, one.classes, [names[number] for number in things.class_ids.tolist()])
    counted = ", ".join(f"{number} {name}" for name, number in one.counts().items()) or _("nothing found")
    return draw.Cell(shown, (posixpath.basename(one.name), counted))
