"""The folder of photos whose answer a person set right, which every verb of lince reads as a dataset.

Photos of a classifier lie in a folder for each class; those of a detector in ``images`` beside ``labels`` and
``data.yaml``, as YOLO has them. They are called by their content, so nothing that a client writes becomes a path, and a
photo sent twice is kept once. The last word on a photo counts.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import UNLABELLED, Classes, ObjectTable, StringColumn
from lince.errors import UsageError
from lince.fileio import compute_digest, write_bytes
from lince.formats import class_folders
from lince.formats.format import WriteRequest
from lince.formats.table import Table
from lince.formats.yolo import reader as yolo_reader
from lince.formats.yolo import writer as yolo_writer
from lince.i18n import _
from lince.serving import request_images
from lince.serving.http_errors import ApiError, client_error
from lince.splits import UNASSIGNED

MAX_FILES, MAX_BYTES = 20_000, 4 << 30
_SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}


@dataclass(frozen=True, eq=False)
class CorrectedBoxes:
    """What is on a photo of ``size`` (height, width): ``boxes`` float64 (K, 4) in its pixels, ``class_ids`` (K,)."""

    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int32]
    image_size: tuple[int, int]


@dataclass(eq=False)
class CorrectionStore:
    """What people set right, in ``folder``, which never holds more than ``files`` files and ``size`` bytes."""

    folder: Path
    max_files: int = MAX_FILES
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._free_space = (0, 0)  # files and bytes that surely fit still

    def save_label(self, photo: bytes, label: str, classes: Classes) -> bool:
        """Keep ``photo``, an image file, as one of the class ``label``; return whether it was not kept so before.

        Raises ``RefusedError`` when the folder is full, or no folder can be called as the class.
        """
        name = _content_name(photo)
        target = self.folder / _label_path(label, name)
        with self._lock:
            if target.exists():
                return False
            self._reserve_space(1, len(photo))
            write_bytes(target, photo)
            for other in classes.names:
                if other != label and _is_usable_label(other):
                    (self.folder / other / name).unlink(missing_ok=True)
        return True

    def save_objects(self, photo: bytes, marked: CorrectedBoxes, classes: Classes) -> bool:
        """Keep ``photo`` with all that is on it; return whether it was not kept so before.

        Raises ``RefusedError`` when the folder is full, or holds photos of a model with other classes.
        """
        name = yolo_writer.image_path("", "", _content_name(photo))
        written = _yolo_files(name, marked, classes)
        with self._lock:
            known = self.folder / "data.yaml"
            if known.exists() and known.read_bytes() != written["data.yaml"]:
                raise client_error(
                    "other-classes", _("The folder already contains corrections for a model with other classes."), 409
                )
            written[name] = photo
            new = {place: data for place, data in written.items() if not _has_content(self.folder / place, data)}
            self._reserve_space(len(new), sum(map(len, new.values())))
            for place, data in new.items():  # the photo comes last: without it its labels say nothing
                write_bytes(self.folder / place, data)
        return bool(new)

    def _reserve_space(self, files: int, size: int) -> None:
        """Count what is to be written; raise ``RefusedError`` when it does not fit."""
        for counted in (False, True):
            if counted:
                self._free_space = self._measure_free_space()
            if self._free_space[0] >= files and self._free_space[1] >= size:
                self._free_space = (self._free_space[0] - files, self._free_space[1] - size)
                return
        raise ApiError(
            507, "corrections-full", _("The folder for corrections is full. Contact the server administrator.")
        )

    def _measure_free_space(self) -> tuple[int, int]:
        sizes = [
            os.lstat(os.path.join(folder, name)).st_size
            for folder, _folders, names in os.walk(self.folder)
            for name in names
        ]
        return self.max_files - len(sizes), self.max_bytes - sum(sizes)


def require_known_class(name: str, classes: Classes) -> str:
    """Return ``name``; raise ``ApiError`` when it is none of ``classes``."""
    if name not in classes.names:
        shown = request_images.shorten_text(name)
        raise client_error("unknown-class", _("There is no class '{name}'.").format(name=shown), 422)
    return name


def _content_name(photo: bytes) -> str:
    kind = images.detect_format(photo) or ""
    return compute_digest(photo) + _SUFFIXES.get(kind, f".{kind}")


def _is_usable_label(label: str) -> bool:
    try:
        return bool(_label_path(label, "x"))
    except ApiError:
        return False


def _label_path(label: str, name: str) -> str:
    if not label:
        raise client_error("unfit-class", _("A class without a name cannot have a folder."), 422)
    try:
        return class_folders.image_path("", label, name)
    except UsageError as error:
        raise client_error("unfit-class", error.problem, 422) from error


def _has_content(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _yolo_files(name: str, marked: CorrectedBoxes, classes: Classes) -> dict[str, bytes]:
    """Return the files of labels that YOLO has for a photo called ``name``, by their paths."""
    starts = np.array([0, len(marked.class_ids)], np.int64)
    objects = ObjectTable.from_boxes(starts, marked.class_ids, marked.boxes)
    split = np.array([UNASSIGNED], np.int8)
    unlabelled = np.array([UNLABELLED], np.int32)
    table = Table(
        Path(), yolo_reader.NAME, StringColumn.from_strings([name]), classes, unlabelled, split, objects=objects
    )
    with tempfile.TemporaryDirectory() as aside:
        yolo_writer.write(WriteRequest(table, [name], np.array([marked.image_size], np.int32), _no_image), Path(aside))
        return {path.relative_to(aside).as_posix(): path.read_bytes() for path in _list_files(Path(aside))}


def _list_files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _no_image(_index: int) -> bytes:
    raise NotImplementedError("YOLO's labels hold no images")
