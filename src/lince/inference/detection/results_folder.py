"""Saves the results of a detector into a folder: drawn images, crops, tables, and a labelled dataset."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio, images, rle
from lince.i18n import _
from lince.inference import drawing, mask_drawing
from lince.inference.detection import pseudo_labels, tables
from lince.inference.detection.result import DetectionResult
from lince.inference.detection.tables import DetectionOutcome
from lince.inference.result import require_results
from lince.inference.result_files import (
    SHEET_NAME,
    SavedFiles,
    draw_sheet,
    make_class_folder_names,
    make_file_names,
    read_sheet_image,
    write_each,
)
from lince.progress import SILENT, Progress

CSV_NAME, JSON_NAME, IMAGES_FOLDER, CROPS_FOLDER = "detections.csv", "detections.json", "pictures", "crops"
CUTOUTS_FOLDER = "cutouts"

Image = NDArray[np.uint8]


def save_detections(
    outcomes: Sequence[DetectionOutcome],
    folder: str | Path,
    label_format: str | None = None,
    progress: Progress = SILENT,
) -> SavedFiles:
    """Write the results of a detector into the new ``folder``, whole or not at all, and return what was written.

    - ``pictures/``: every image with its boxes drawn.
    - ``crops/CLASS/IMAGE_NUMBER.jpg``: every detected object; with masks ``cutouts/CLASS/IMAGE_NUMBER.png``, its pixels
      alone.
    - ``detections.csv``: one row per detection; ``detections.json``: all images.
    - ``sheet.jpg``: a contact sheet of up to 24 images.
    - a labelled dataset in the format ``label_format``, where it is given.

    Images that are in no file are only in the tables. Raises ``DataError`` when no image was predicted or a file has
    changed since, and ``UsageError`` when the folder is not empty.
    """
    target = Path(folder)
    fileio.require_empty_folder(target)
    results = require_results(outcomes)
    in_files = [result for result in results if result.path]
    names = make_file_names(in_files)
    folders = make_class_folder_names(results[0].classes.names)
    crop_paths = {
        id(result): _make_crop_paths(result, name, folders) for result, name in zip(in_files, names, strict=True)
    }
    losses: tuple[str, ...] = ()
    with fileio.atomic_folder(target) as temporary:
        _write_images(in_files, names, crop_paths, temporary, progress)
        fileio.write_text(temporary / CSV_NAME, tables.format_csv(results, crop_paths))
        fileio.write_json(temporary / JSON_NAME, tables.build_json_record(outcomes))
        if in_files:
            fileio.write_bytes(temporary / SHEET_NAME, images.encode_jpeg(draw_sheet(in_files, _build_cell)))
        if label_format and in_files:
            conversion = pseudo_labels.write_dataset(in_files, temporary / label_format, label_format, progress)
            losses = tuple(map(str, conversion.losses))
    return SavedFiles(target, tuple(sorted(target.iterdir())), losses)


def save_results(
    outcomes: Sequence[DetectionOutcome], folder: str | Path, to: str | None = None, progress: Progress = SILENT
) -> Path:
    """Write the results as ``save_detections`` does and return the folder: the part ``save_results`` of the task."""
    return save_detections(outcomes, folder, to, progress).folder


def crop_image(image: Image, box: Sequence[float]) -> Image:
    """Return the part of ``image`` (H, W, 3) inside ``box`` (left, top, right, bottom), as a view.

    Sides are rounded outwards to whole pixels and clipped to the image; the crop has at least one pixel.
    """
    height, width = image.shape[:2]
    left, top = min(max(0, int(box[0])), width - 1), min(max(0, int(box[1])), height - 1)
    right, bottom = max(left + 1, int(np.ceil(box[2]))), max(top + 1, int(np.ceil(box[3])))
    return image[top:bottom, left:right]


def _make_crop_paths(result: DetectionResult, name: str, folders: Sequence[str]) -> list[str]:
    """Return the path of the crop of each detection, relative to the folder; ``folders`` are those of the classes."""
    ids = result.detections.class_ids.tolist()
    parent, suffix = (CUTOUTS_FOLDER, ".png") if result.gives_masks else (CROPS_FOLDER, ".jpg")
    return [f"{parent}/{folders[class_id]}/{name}_{number}{suffix}" for number, class_id in enumerate(ids, 1)]


def _write_images(
    results: Sequence[DetectionResult],
    names: Sequence[str],
    crop_paths: Mapping[int, Sequence[str]],
    folder: Path,
    progress: Progress,
) -> None:
    """Write every image with its boxes drawn, and its crops, by threads."""
    crop_folders = {(folder / path).parent for paths in crop_paths.values() for path in paths}
    for parent in {folder / IMAGES_FOLDER, *crop_folders} if results else ():
        parent.mkdir(parents=True, exist_ok=True)

    def write_one(row: int) -> None:
        result = results[row]
        image = images.read_image(Path(result.path or ""))
        (folder / IMAGES_FOLDER / f"{names[row]}.jpg").write_bytes(images.encode_jpeg(result.draw(image)))
        for number, path in enumerate(crop_paths[id(result)]):
            (folder / path).write_bytes(_encode_crop(result, image, number))

    write_each(len(results), write_one, progress)


def _encode_crop(result: DetectionResult, image: Image, number: int) -> bytes:
    """Return a file with the object ``number``: cut out as PNG where the model gives masks, else its box as JPEG."""
    if result.gives_masks:
        counts = rle.string_to_counts(result.detections.masks[number])
        return images.encode_png(mask_drawing.cut_out_object(image, counts))
    return images.encode_jpeg(crop_image(image, result.detections.boxes[number].tolist()), 95)


def _build_cell(result: DetectionResult) -> drawing.SheetCell:
    """Return the cell of the contact sheet: the image with its boxes, names and scores, and the counts by class."""
    thumbnail = read_sheet_image(result.path, result.size)
    scale = np.array(thumbnail.shape[1::-1]) / result.size[::-1]
    scaled = replace(result.detections, boxes=result.detections.boxes * np.tile(scale, 2))
    with_masks = mask_drawing.draw_object_masks(thumbnail, result.detections, result.size)
    drawn = drawing.draw_detections(with_masks, scaled, result.classes)
    counts = ", ".join(f"{count} {name}" for name, count in result.counts().items()) or _("no objects")
    return drawing.SheetCell(drawn, (posixpath.basename(result.name), counts))
