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
from lince.annotations import UNLABELLED, Classes, Objects, Strings
from lince.errors import UsageError
from lince.files import digest, write_bytes
from lince.labels import folders, yolo, yolowrite
from lince.labels.format import Export
from lince.labels.table import UNASSIGNED, Table
from lince.messages import _
from lince.serving.refusals import RefusedError, bad

MOST_FILES, MOST_BYTES = 20_000, 4 << 30
_ENDINGS = {"jpeg": ".jpg", "tiff": ".tif"}


@dataclass(frozen=True, eq=False)
class Marked:
    """What is on a photo of ``size`` (height, width): ``boxes`` float64 (K, 4) in its pixels, ``class_ids`` (K,)."""

    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int32]
    size: tuple[int, int]


@dataclass(eq=False)
class Corrections:
    """What people set right, in ``folder``, which never holds more than ``files`` files and ``size`` bytes."""

    folder: Path
    files: int = MOST_FILES
    size: int = MOST_BYTES

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._room = (0, 0)  # files and bytes that surely fit still

    def keep_label(self, photo: bytes, label: str, classes: Classes) -> bool:
        """Keep ``photo``, an image file, as one of the class ``label``; return whether it was not kept so before.

        Raises ``RefusedError`` when the folder is full, or no folder can be called as the class.
        """
        name = _name(photo)
        target = self.folder / _place(label, name)
        with self._lock:
            if target.exists():
                return False
            self._take(1, len(photo))
            write_bytes(target, photo)
            for other in classes.names:
                if other != label and _fits(other):
                    (self.folder / other / name).unlink(missing_ok=True)
        return True

    def keep_objects(self, photo: bytes, marked: Marked, classes: Classes) -> bool:
        """Keep ``photo`` with all that is on it; return whether it was not kept so before.

        Raises ``RefusedError`` when the folder is full, or holds photos of a model with other classes.
        """
        name = yolowrite.file("", "", _name(photo))
        written = _written(name, marked, classes)
        with self._lock:
            known = self.folder / "data.yaml"
            if known.exists() and known.read_bytes() != written["data.yaml"]:
                raise bad("other-classes", _("The corrections of a model with other classes lie there already."), 409)
            written[name] = photo
            new = {place: data for place, data in written.items() if not _holds(self.folder / place, data)}
            self._take(len(new), sum(map(len, new.values())))
            for place, data in new.items():  # the photo comes last: without it its labels say nothing
                write_bytes(self.folder / place, data)
        return bool(new)

    def _take(self, files: int, size: int) -> None:
        """Count what is to be written; raise ``RefusedError`` when it does not fit."""
        for counted in (False, True):
            if counted:
                self._room = self._left()
            if self._room[0] >= files and self._room[1] >= size:
                self._room = (self._room[0] - files, self._room[1] - size)
                return
        raise RefusedError(
            507, "corrections-full", _("The folder for corrections is full. Tell whoever runs the server.")
        )

    def _left(self) -> tuple[int, int]:
        sizes = [
            os.lstat(os.path.join(folder, name)).st_size
            for folder, _folders, names in os.walk(self.folder)
            for name in names
        ]
        return self.files - len(sizes), self.size - sum(sizes)


def _name(photo: bytes) -> str:
    kind = images.kind(photo) or ""
    return digest(photo) + _ENDINGS.get(kind, f".{kind}")


def _fits(label: str) -> bool:
    try:
        return bool(_place(label, "x"))
    except RefusedError:
        return False


def _place(label: str, name: str) -> str:
    if not label:
        raise bad("unfit-class", _("A class without a name has no folder."), 422)
    try:
        return folders.file("", label, name)
    except UsageError as error:
        raise bad("unfit-class", error.found, 422) from error


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _written(name: str, marked: Marked, classes: Classes) -> dict[str, bytes]:
    """Return the files of labels that YOLO has for a photo called ``name``, by their paths."""
    count = len(marked.class_ids)
    none = Objects.none(1)
    objects = Objects(
        np.array([0, count], np.int64),
        marked.class_ids,
        marked.boxes,
        np.zeros(count, np.uint8),
        np.zeros(count + 1, np.int64),
        none.corners,
        none.points,
        Strings.of([""] * count),
    )
    split = np.array([UNASSIGNED], np.int8)
    unlabelled = np.array([UNLABELLED], np.int32)
    table = Table(Path(), yolo.NAME, Strings.of([name]), classes, unlabelled, split, objects=objects)
    with tempfile.TemporaryDirectory() as aside:
        yolowrite.write(Export(table, [name], np.array([marked.size], np.int32), _unread), Path(aside))
        return {path.relative_to(aside).as_posix(): path.read_bytes() for path in _files(Path(aside))}


def _files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _unread(_index: int) -> bytes:
    raise NotImplementedError("YOLO's labels hold no images")
