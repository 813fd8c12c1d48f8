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

from lince import fileio, images
from lince.datasets.target_names import make_unique_paths, sanitise_path
from lince.errors import DataError
from lince.i18n import _
from lince.inference import drawing
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.detection import pseudo_labels, tables
from lince.inference.detection.predictor import DetectionResult
from lince.inference.detection.tables import DetectionOutcome
from lince.progress import SILENT, Progress

CSV_NAME, JSON_NAME, SHEET_NAME, IMAGES_FOLDER, CROPS_FOLDER = (
    "detections.csv",
    "detections.json",
    "sheet.jpg",
    "pictures",
    "crops",
)
MAX_SHEET_IMAGES = 24  # photos on the sheet, six rows of four
_CELL_SIDE, _SHEET_COLUMNS = 280, 4
_WRITE_BATCH_SIZE = 64
_MAX_NAME_BYTES = 160  # bytes of a photo's name in those of its crops

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class SavedFiles:
    """Where it was written: the ``folder``, what is in it, and what a labelled set could not hold, in words."""

    folder: Path
    paths: tuple[Path, ...]
    losses: tuple[str, ...] = ()


def save_detections(
    outcomes: Sequence[DetectionOutcome],
    folder: str | Path,
    label_format: str | None = None,
    progress: Progress = SILENT,
) -> SavedFiles:
    """Write what was found into the new ``folder``, whole or not at all.

    ``pictures/`` has every photo with its boxes drawn, ``crops/CLASS/PHOTO_NUMBER.jpg`` every object cut out,
    ``detections.csv`` a line for each of them, ``detections.json`` all photos, ``sheet.jpg`` up to 24 photos side by
    side. ``to`` names a format in which a labelled set is written beside them. Photos that lie in no file are in the
    tables alone. Raises ``DataError`` when no photo was looked at, ``UsageError`` when the folder is taken.
    """
    target = Path(folder)
    tables.require_free_folder(target)
    photos = tables.require_results(outcomes)
    there = [one for one in photos if one.path]
    names = _make_file_names(there)
    folders = make_class_folder_names(photos[0].classes.names)
    crops = {id(one): _make_crop_paths(one, name, folders) for one, name in zip(there, names, strict=True)}
    losses: tuple[str, ...] = ()
    with fileio.atomic_folder(target) as aside:
        _write_images(there, names, crops, aside, progress)
        fileio.write_text(aside / CSV_NAME, tables.format_csv(photos, crops))
        fileio.write_json(aside / JSON_NAME, tables.build_json_record(outcomes))
        if there:
            fileio.write_bytes(aside / SHEET_NAME, images.encode_jpeg(_draw_sheet(there)))
        if label_format and there:
            losses = tuple(
                map(str, pseudo_labels.write_dataset(there, aside / label_format, label_format, progress).losses)
            )
    return SavedFiles(target, tuple(sorted(target.iterdir())), losses)


def crop_image(image: Image, box: Sequence[float]) -> Image:
    """Return the part of ``image`` (H, W, 3) in ``box``, left, top, right, bottom, in whole pixels, one at least."""
    height, width = image.shape[:2]
    left, top = min(max(0, int(box[0])), width - 1), min(max(0, int(box[1])), height - 1)
    right, bottom = max(left + 1, int(np.ceil(box[2]))), max(top + 1, int(np.ceil(box[3])))
    return image[top:bottom, left:right]


def make_class_folder_names(names: Sequence[str]) -> list[str]:
    """Return for each class the name of a folder, all different on any system."""
    taken: set[str] = set()
    folders = []
    for name in names:
        base = folder = _truncate_name(sanitise_path(name.replace("/", "_")))
        number = 1
        while _normalise_name(folder) in taken:
            number += 1
            folder = f"{base}-{number}"
        taken.add(_normalise_name(folder))
        folders.append(folder)
    return folders


def _truncate_name(name: str) -> str:
    return name.encode("utf-8")[:_MAX_NAME_BYTES].decode("utf-8", "ignore")


def _normalise_name(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _make_file_names(photos: Sequence[DetectionResult]) -> list[str]:
    """Return for each photo a file name without its ending, all different."""

    def place(_row: int, name: str) -> str:
        stem, ending = posixpath.splitext(name)
        return _truncate_name(stem) + (ending or ".jpg")

    return [
        posixpath.splitext(name)[0] for name in make_unique_paths([sanitise_path(one.name) for one in photos], place)
    ]


def _make_crop_paths(one: DetectionResult, name: str, folders: Sequence[str]) -> list[str]:
    """Return for each object of a photo where its crop goes."""
    ids = one.detections.class_ids.tolist()
    return [f"{CROPS_FOLDER}/{folders[class_id]}/{name}_{number}.jpg" for number, class_id in enumerate(ids, 1)]


def _write_images(
    photos: Sequence[DetectionResult],
    names: Sequence[str],
    crops: Mapping[int, Sequence[str]],
    folder: Path,
    progress: Progress,
) -> None:
    for parent in {f"{IMAGES_FOLDER}/x", *(path for paths in crops.values() for path in paths)} if photos else ():
        (folder / parent).parent.mkdir(parents=True, exist_ok=True)

    def draw_one(row: int) -> None:
        one = photos[row]
        image = _read_unchanged_image(one)
        picture = drawing.draw_detections(image, one.detections, one.classes)
        (folder / IMAGES_FOLDER / f"{names[row]}.jpg").write_bytes(images.encode_jpeg(picture))
        for box, path in zip(one.detections.boxes.tolist(), crops[id(one)], strict=True):
            (folder / path).write_bytes(images.encode_jpeg(crop_image(image, box), 95))

    with (
        progress.open_stage(_("Writing the pictures"), len(photos)) as stage,
        ThreadPoolExecutor(count_cores()) as pool,
    ):
        for start in range(0, len(photos), _WRITE_BATCH_SIZE):
            for _done in pool.map(draw_one, range(start, min(start + _WRITE_BATCH_SIZE, len(photos)))):
                stage.advance()


def _read_unchanged_image(one: DetectionResult) -> Image:
    image = images.read_image(Path(one.path or ""))
    if image.shape[:2] != one.size:
        raise DataError(
            _("{path} has changed since it was looked at.").format(path=one.name),
            _("Expected {height} x {width} pixels.").format(height=one.size[0], width=one.size[1]),
            _("Predict again."),
        )
    return image


def _draw_sheet(photos: Sequence[DetectionResult]) -> Image:
    rows = np.linspace(0, len(photos) - 1, min(MAX_SHEET_IMAGES, len(photos))).round().astype(int)
    return drawing.draw_contact_sheet([_build_cell(photos[row]) for row in rows], _SHEET_COLUMNS, _CELL_SIDE)


def _build_cell(one: DetectionResult) -> drawing.SheetCell:
    things, names = one.detections, one.classes.names
    picture = drawing.draw_shapes(
        images.read_image(Path(one.path or ""), at_least=(_CELL_SIDE, _CELL_SIDE)), (), one.size, _CELL_SIDE
    )
    scale = np.array(picture.shape[1::-1]) / one.size[::-1]
    placed = replace(things, boxes=things.boxes * np.tile(scale, 2))
    shown = drawing.draw_detections(
        picture, placed, one.classes, [names[number] for number in things.class_ids.tolist()]
    )
    counted = ", ".join(f"{number} {name}" for name, number in one.counts().items()) or _("nothing found")
    return drawing.SheetCell(shown, (posixpath.basename(one.name), counted))
