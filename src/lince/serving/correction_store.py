"""Stores corrected images in a folder that every command of lince reads as a dataset.

Images with a class are in a folder of that class, images with boxes in ``images`` beside ``labels`` and ``data.yaml``,
in YOLO's format, images with several classes in ``images`` beside ``labels.csv``, which lists their names, images with
class maps in ``images`` beside ``masks`` and ``labelmap.txt``.
Their names are digests of their content, so that no text of a client becomes a path, and an image that is sent twice is
stored once. The last correction of an image replaces earlier ones.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import UNLABELLED, Classes, ObjectTable, StringColumn
from lince.errors import UsageError
from lince.fileio import compute_digest, write_bytes
from lince.formats import class_folders
from lince.formats.csv_classes import writer as csv_writer
from lince.formats.format import WriteRequest
from lince.formats.masks import color_map, png
from lince.formats.masks import writer as masks_writer
from lince.formats.table import LabelTable
from lince.formats.yolo import reader as yolo_reader
from lince.formats.yolo import writer as yolo_writer
from lince.i18n import _
from lince.serving import request_images
from lince.splits import UNASSIGNED
from lince.web.http_errors import ApiError, client_error

MAX_FILES, MAX_BYTES = 20_000, 4 << 30  # of one folder
_TABLE_NAME = "labels.csv"
_SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}


@dataclass(frozen=True, eq=False)
class CorrectedBoxes:
    """All objects in an image of ``image_size`` (height, width) in pixels.

    ``boxes`` (K, 4) are left, top, right, bottom in its pixels, ``class_ids`` (K,) are indices of the model's classes;
    K is 0 for an image without objects.
    """

    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int32]
    image_size: tuple[int, int]


@dataclass(eq=False)
class CorrectionStore:
    """The corrections of one model, in ``folder``, which is created by the first one.

    The folder never has more than ``max_files`` files and ``max_bytes`` bytes, whoever wrote them; files that others
    add or delete meanwhile are noticed when the counted space is used up. Thread-safe; every file is written aside and
    renamed, so a crash leaves no truncated one.
    """

    folder: Path
    max_files: int = MAX_FILES
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._free_space = (0, 0)  # files and bytes that fit; counted on disk when they do not suffice

    def save_label(self, image: bytes, label: str, classes: Classes) -> bool:
        """Save ``image``, an image file, in the folder of the class ``label``; return whether it was not there yet.

        It is removed from the folders of all other ``classes``. Raises ``ApiError`` when the store is full (507), or
        when the class has a name that no folder can have, such as one with a slash (422).
        """
        name = _content_name(image)
        target = self.folder / _label_path(label, name)
        with self._lock:
            if target.exists():
                return False
            self._reserve_space(1, len(image))
            write_bytes(target, image)
            for class_name in classes.names:
                if class_name != label and _is_usable_label(class_name):
                    (self.folder / class_name / name).unlink(missing_ok=True)
        return True

    def save_label_set(self, image: bytes, class_ids: Sequence[int], classes: Classes) -> bool:
        """Save ``image``, an image file, as one of all of ``class_ids``; return whether it is new or has changed.

        Labels of the same image that were saved before are replaced. Raises ``ApiError`` when the store is full (507).
        """
        name = csv_writer.image_path("", "", _content_name(image))
        row = [name, csv_writer.format_class_list([classes.names[class_id] for class_id in class_ids])]
        path = self.folder / _TABLE_NAME
        with self._lock:
            rows = _read_csv_rows(path) or [["file", csv_writer.LIST_HEADER]]
            if row in rows and (self.folder / name).is_file():
                return False
            table = _join_csv_rows([*(other for other in rows if other[0] != name), row])
            has_image = _has_content(self.folder / name, image)
            self._reserve_space(2 - has_image - path.exists(), len(table) + len(image) * (not has_image))
            if not has_image:
                write_bytes(self.folder / name, image)  # first: one without a row is only a photo without labels
            write_bytes(path, table)
        return True

    def save_objects(self, image: bytes, objects: CorrectedBoxes, classes: Classes) -> bool:
        """Save ``image``, an image file, with its ``objects``; return whether any file is new or has changed.

        Labels of the same image that were saved before are replaced. Raises ``ApiError`` when the store is full (507),
        or when it has images of a model with other ``classes``, since YOLO's labels are indices of them (409).
        """
        name = yolo_writer.image_path("", "", _content_name(image))
        contents = _format_yolo_files(name, objects, classes)
        return self._save_files({**contents, name: image}, "data.yaml")

    def save_class_map(self, image: bytes, class_map: NDArray[np.uint8], classes: Classes) -> bool:
        """Save ``image``, an image file, with its ``class_map`` (H, W); return whether any file is new or has changed.

        The values are those of ``class_maps``. A class map of the same image that was saved before is replaced. Raises
        ``ApiError`` when the store is full (507), or when it has images of a model with other ``classes`` (409).
        """
        name = masks_writer.image_path("", "", _content_name(image))
        mask_name = f"masks/{PurePosixPath(name).stem}.png"
        palette = np.array(color_map.make_voc_palette(), np.uint8)
        contents = {
            color_map.LABELMAP_FILE: color_map.format_labelmap(classes.names).encode("utf-8"),
            mask_name: png.encode_mask_png(class_map, palette),
            name: image,
        }
        return self._save_files(contents, color_map.LABELMAP_FILE)

    def _save_files(self, contents: Mapping[str, bytes], class_file: str) -> bool:
        """Write ``contents``, by path in the store, and return whether any is new or has changed.

        The image is the last: a failed write leaves none without its labels. Raises ``ApiError`` when the store is full
        (507), and when its ``class_file`` differs from the one in ``contents`` (409).
        """
        with self._lock:
            known_classes = self.folder / class_file
            if known_classes.exists() and known_classes.read_bytes() != contents[class_file]:
                raise _other_classes_error()
            changed = {path: data for path, data in contents.items() if not _has_content(self.folder / path, data)}
            self._reserve_space(len(changed), sum(map(len, changed.values())))
            for path, data in changed.items():
                write_bytes(self.folder / path, data)
        return bool(changed)

    def _reserve_space(self, files: int, size: int) -> None:
        """Take ``files`` files of ``size`` bytes in all from the free space; raise ``ApiError`` (507) when it is less.

        The folder is walked only when the space known to be free does not suffice, so saving stays fast in a large one.
        """
        for is_measured in (False, True):
            if is_measured:
                self._free_space = self._measure_free_space()
            free_files, free_bytes = self._free_space
            if free_files >= files and free_bytes >= size:
                self._free_space = (free_files - files, free_bytes - size)
                return
        raise ApiError(
            507, "corrections-full", _("The folder for corrections is full. Contact the server administrator.")
        )

    def _measure_free_space(self) -> tuple[int, int]:
        """Return how many more files and bytes the folder may have; links count as themselves."""
        sizes = [
            os.lstat(os.path.join(folder, name)).st_size
            for folder, _folders, names in os.walk(self.folder)
            for name in names
        ]
        return self.max_files - len(sizes), self.max_bytes - sum(sizes)


def require_known_class(name: str, classes: Classes) -> str:
    """Return ``name``; raise ``ApiError`` (422) when it is none of ``classes``."""
    if name not in classes.names:
        message = _("There is no class '{name}'.").format(name=request_images.shorten_text(name))
        raise client_error("unknown-class", message, 422)
    return name


def _other_classes_error() -> ApiError:
    """Return the 409 for a store whose images are of a model with other classes."""
    message = _("The folder already contains corrections for a model with other classes.")
    return client_error("other-classes", message, 409)


def _content_name(image: bytes) -> str:
    """Return the file name of an image: the digest of its bytes, and the suffix of its format."""
    image_format = images.detect_format(image) or ""
    return compute_digest(image) + _SUFFIXES.get(image_format, f".{image_format}")


def _is_usable_label(label: str) -> bool:
    """Return whether the class ``label`` can have a folder."""
    try:
        return bool(_label_path(label, "x"))
    except ApiError:
        return False


def _label_path(label: str, name: str) -> str:
    """Return the path of the image called ``name`` in the store; raise ``ApiError`` (422) for an unusable ``label``."""
    if not label:
        raise client_error("unfit-class", _("A class without a name cannot have a folder."), 422)
    try:
        return class_folders.image_path("", label, name)
    except UsageError as error:
        raise client_error("unfit-class", error.problem, 422) from error


def _has_content(path: Path, data: bytes) -> bool:
    """Return whether ``path`` is a file with exactly the bytes ``data``."""
    return path.is_file() and path.read_bytes() == data


def _format_yolo_files(name: str, objects: CorrectedBoxes, classes: Classes) -> dict[str, bytes]:
    """Return the content of the label file of the image ``name`` and of ``data.yaml``, by path in the store.

    They come from the writer of the YOLO format, into a temporary folder, so that both places agree on the format.
    """
    starts = np.array([0, len(objects.class_ids)], np.int64)
    object_table = ObjectTable.from_boxes(starts, objects.class_ids, objects.boxes)
    split = np.array([UNASSIGNED], np.int8)
    unlabelled = np.array([UNLABELLED], np.int32)
    names = StringColumn.from_strings([name])
    table = LabelTable(Path(), yolo_reader.NAME, names, classes, unlabelled, split, objects=object_table)
    sizes = np.array([objects.image_size], np.int32)
    with tempfile.TemporaryDirectory() as temporary:
        yolo_writer.write(WriteRequest(table, [name], sizes, _read_no_image), Path(temporary))
        return {path.relative_to(temporary).as_posix(): path.read_bytes() for path in _list_files(Path(temporary))}


def _read_csv_rows(path: Path) -> list[list[str]]:
    """Return the rows of the table at ``path``, the header first; none where there is no table."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return [row for row in csv.reader(stream) if row]


def _join_csv_rows(rows: Sequence[Sequence[str]]) -> bytes:
    """Return ``rows`` as a table in UTF-8."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogateescape")


def _list_files(folder: Path) -> Sequence[Path]:
    """Return all files below ``folder``, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_no_image(_row: int) -> bytes:
    """Stand in for the reader of images, which the YOLO writer does not call: its label files contain no pixels."""
    raise NotImplementedError("YOLO label files contain no images")
