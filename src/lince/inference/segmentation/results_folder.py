"""Saves the results of a segmentation model into a folder: overlays, masks, cut-outs, tables, a labelled dataset."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lince import fileio, images
from lince.annotations import RejectedItem
from lince.formats.masks import color_map, png
from lince.inference import drawing
from lince.inference.result import require_results
from lince.inference.result_files import (
    SHEET_CELL_SIDE,
    SHEET_NAME,
    SavedFiles,
    draw_sheet,
    make_class_folder_names,
    make_file_names,
    read_sheet_image,
    write_each,
)
from lince.inference.segmentation import pseudo_labels, tables
from lince.inference.segmentation.result import SegmentationResult
from lince.progress import SILENT, Progress

CSV_NAME, JSON_NAME = "predictions.csv", "predictions.json"
OVERLAYS_FOLDER, MASKS_FOLDER, CUTOUTS_FOLDER = "overlays", "masks", "cutouts"
_DATASET_ENDING = "-dataset"  # of the folder of a dataset whose format has the name of another folder
# The path of each cut-out, relative to the folder, by the ``id`` of the result and the class.
CutoutPaths = Mapping[tuple[int, str], str]


def save_segments(
    outcomes: Sequence[SegmentationResult | RejectedItem],
    folder: str | Path,
    label_format: str | None = None,
    progress: Progress = SILENT,
) -> SavedFiles:
    """Write the results of a segmentation model into the new ``folder``, whole or not at all.

    - ``overlays/``: every image with its classes as transparent colours.
    - ``masks/``: every class map as a PNG with a palette, and ``labelmap.txt``, which names the classes: what
      ``lince`` reads as masks, beside the photos.
    - ``cutouts/CLASS/IMAGE.png``: the pixels of each class of each image, without the others.
    - ``predictions.csv``: a row for each class in each image; ``predictions.json``: all images.
    - ``sheet.jpg``: a contact sheet of up to 24 images.
    - a labelled dataset in the format ``label_format``, where it is given, in a folder of this name; ``masks-dataset``
      for ``masks``.

    Images that are in no file are only in the tables. Raises ``DataError`` when no image was predicted or a file has
    changed since, and ``UsageError`` when the folder is not empty or the format holds neither masks nor outlines.
    """
    target = Path(folder)
    fileio.require_empty_folder(target)
    if label_format:
        pseudo_labels.require_label_format(label_format)
    results = require_results(outcomes)
    in_files = [result for result in results if result.path]
    names = make_file_names(in_files)
    cutout_paths = _make_cutout_paths(in_files, names)
    losses: tuple[str, ...] = ()
    with fileio.atomic_folder(target) as temporary:
        _write_images(in_files, names, cutout_paths, temporary, progress)
        fileio.write_text(temporary / CSV_NAME, tables.format_csv(results, cutout_paths))
        fileio.write_json(temporary / JSON_NAME, tables.build_json_record(outcomes))
        if in_files:
            sheet = draw_sheet(in_files, _build_cell)
            fileio.write_bytes(temporary / SHEET_NAME, images.encode_jpeg(sheet))
        if label_format and in_files:
            dataset_folder = temporary / (label_format + _DATASET_ENDING * (label_format == MASKS_FOLDER))
            conversion = pseudo_labels.write_dataset(in_files, dataset_folder, label_format, progress)
            losses = tuple(map(str, conversion.losses))
    return SavedFiles(target, tuple(sorted(target.iterdir())), losses)


def save_results(
    outcomes: Sequence[SegmentationResult | RejectedItem],
    folder: str | Path,
    to: str | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write the results as ``save_segments`` does and return the folder: the part ``save_results`` of the task."""
    return save_segments(outcomes, folder, to, progress).folder


def _make_cutout_paths(results: Sequence[SegmentationResult], names: Sequence[str]) -> CutoutPaths:
    """Return the path of the cut-out of each class that is in an image; ``names`` are those of the images."""
    if not results:
        return {}
    folders = make_class_folder_names(results[0].classes.names)
    return {
        (id(result), region.name): f"{CUTOUTS_FOLDER}/{folders[region.class_id]}/{name}.png"
        for result, name in zip(results, names, strict=True)
        for region in result.list_regions()
    }


def _write_images(
    results: Sequence[SegmentationResult],
    names: Sequence[str],
    cutout_paths: CutoutPaths,
    folder: Path,
    progress: Progress,
) -> None:
    """Write the overlay, the mask and the cut-outs of every image, by threads."""
    if not results:
        return
    for parent in {OVERLAYS_FOLDER, MASKS_FOLDER, *map(posixpath.dirname, cutout_paths.values())}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    palette = np.array(color_map.make_voc_palette(), np.uint8)
    legend = color_map.format_labelmap(results[0].classes.names)
    fileio.write_text(folder / MASKS_FOLDER / color_map.LABELMAP_FILE, legend)

    def write_one(row: int) -> None:
        result, name = results[row], names[row]
        image = images.read_image(Path(result.path or ""))
        (folder / OVERLAYS_FOLDER / f"{name}.jpg").write_bytes(images.encode_jpeg(result.draw(image)))
        (folder / MASKS_FOLDER / f"{name}.png").write_bytes(png.encode_mask_png(result.class_map, palette))
        for region in result.list_regions():
            cutout = result.cut_out(image, region.name)
            (folder / cutout_paths[id(result), region.name]).write_bytes(images.encode_png(cutout))

    write_each(len(results), write_one, progress)


def _build_cell(result: SegmentationResult) -> drawing.SheetCell:
    """Return the cell of the contact sheet: the image with its classes as colours, and their shares."""
    image = result.draw_small(read_sheet_image(result.path, result.size), SHEET_CELL_SIDE)
    return drawing.SheetCell(image, (posixpath.basename(result.name), result.describe()))
