"""Files of a saved result, whatever its task: names that differ, folders of classes, pictures by threads, a sheet."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.datasets.target_names import make_unique_paths, sanitise_path
from lince.i18n import _
from lince.inference import drawing
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.result import PredictionResult
from lince.progress import Progress
from lince.sampling import sample_evenly

SHEET_NAME = "sheet.jpg"
MAX_SHEET_IMAGES = 24  # images on the contact sheet, six rows of four
SHEET_CELL_SIDE, _SHEET_COLUMNS = 280, 4  # pixels of an image on it, and images in a row
_WRITE_BATCH_SIZE = 64  # images that are queued for the threads at a time
_MAX_NAME_BYTES = 160  # of a name that is part of a file name; file systems allow 255
R = TypeVar("R", bound=PredictionResult)


@dataclass(frozen=True)
class SavedFiles:
    """The new ``folder`` and the ``paths`` in it.

    ``losses`` are sentences on what the label format of the dataset cannot hold.
    """

    folder: Path
    paths: tuple[Path, ...]
    losses: tuple[str, ...] = ()


def make_class_folder_names(names: Sequence[str]) -> list[str]:
    """Return a folder name for each class name; they differ on file systems that ignore case and Unicode form."""
    used: set[str] = set()
    folders = []
    for name in names:
        base_name = folder = _truncate_name(sanitise_path(name.replace("/", "_")))
        number = 1
        while _normalise_name(folder) in used:
            number += 1
            folder = f"{base_name}-{number}"
        used.add(_normalise_name(folder))
        folders.append(folder)
    return folders


def make_file_names(results: Sequence[PredictionResult]) -> list[str]:
    """Return a file name without suffix for each image, all different."""

    def normalise(_row: int, name: str) -> str:
        stem, suffix = posixpath.splitext(name)
        return _truncate_name(stem) + (suffix or ".jpg")

    return [
        posixpath.splitext(name)[0]
        for name in make_unique_paths([sanitise_path(result.name) for result in results], normalise)
    ]


def write_each(count: int, write_one: Callable[[int], None], progress: Progress) -> None:
    """Call ``write_one`` with each of the rows 0 to ``count`` - 1, by threads."""
    with progress.open_stage(_("Writing the images"), count) as stage, ThreadPoolExecutor(count_cores()) as pool:
        for start in range(0, count, _WRITE_BATCH_SIZE):
            for _done in pool.map(write_one, range(start, min(start + _WRITE_BATCH_SIZE, count))):
                stage.advance()


def draw_sheet(results: Sequence[R], build_cell: Callable[[R], drawing.SheetCell]) -> NDArray[np.uint8]:
    """Return the contact sheet, uint8 RGB (H, W, 3), of images evenly spread over ``results``."""
    rows = sample_evenly(len(results), MAX_SHEET_IMAGES, round_to_nearest=True)
    return drawing.draw_contact_sheet([build_cell(results[row]) for row in rows], _SHEET_COLUMNS, SHEET_CELL_SIDE)


def read_sheet_image(path: str | None, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the image file ``path`` at the size of a cell of the sheet; ``size`` is its (height, width)."""
    image = images.read_image(Path(path or ""), min_size=(SHEET_CELL_SIDE, SHEET_CELL_SIDE))
    return drawing.draw_shapes(image, (), size, SHEET_CELL_SIDE)


def _truncate_name(name: str) -> str:
    """Return ``name`` cut to ``_MAX_NAME_BYTES`` bytes of UTF-8, between characters."""
    return name.encode("utf-8")[:_MAX_NAME_BYTES].decode("utf-8", "ignore")


def _normalise_name(name: str) -> str:
    """Return the form of ``name`` that a file system compares that ignores case and Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()
