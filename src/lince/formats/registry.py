"""Lists the formats that lince reads and writes, one row per format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lince.formats.format import Format


class RegistryRow(NamedTuple):
    """What the command line lists of a format, without importing the format's modules.

    ``module`` is the path below ``lince.formats`` of the module that holds ``FORMAT``, the format's ``Format`` record.
    ``writable`` and ``has_boxes`` repeat whether that record has ``write`` and ``Capability.BOXES``; a test compares
    them.
    """

    name: str
    module: str
    writable: bool = True
    has_boxes: bool = True


# In the order in which help pages and error messages list them.
_ROWS = (
    RegistryRow("folders", "class_folders", has_boxes=False),
    RegistryRow("names", "file_names", writable=False, has_boxes=False),
    RegistryRow("csv", "csv_classes.reader", has_boxes=False),
    RegistryRow("idx", "idx", writable=False, has_boxes=False),
    RegistryRow("tfrecord", "tfrecord.reader"),
    RegistryRow("masks", "masks.reader", has_boxes=False),
    RegistryRow("voc", "voc.reader"),
    RegistryRow("coco", "coco.reader"),
    RegistryRow("labelme", "labelme.reader"),
    RegistryRow("cvat", "cvat.reader"),
    RegistryRow("labelstudio", "labelstudio.reader"),
    RegistryRow("yolo", "yolo.reader"),
    RegistryRow("createml", "createml.reader"),
    RegistryRow("huggingface", "huggingface.reader"),
    RegistryRow("keras-yolo", "keras_yolo.reader", writable=False),
    RegistryRow("via", "via.reader"),
    RegistryRow("supervisely", "supervisely", writable=False),
    RegistryRow("vott", "vott", writable=False),
    RegistryRow("datumaro", "datumaro", writable=False),
    RegistryRow("kitti", "kitti", writable=False),
    RegistryRow("dota", "dota", writable=False),
    RegistryRow("csv-boxes", "csv_boxes.reader"),
    RegistryRow("project", "lince_project", writable=False),
)


class FormatRegistry(Mapping[str, "Format"]):
    """The ``Format`` records by name, in the order of the rows.

    A format's modules (numpy and more) are imported when its record is first looked up. Iterating over the names,
    ``len`` and ``in`` import nothing, so the command line can list formats on its help pages.
    """

    def __init__(self, rows: tuple[RegistryRow, ...]) -> None:
        self._rows = {row.name: row for row in rows}

    def __getitem__(self, name: str) -> Format:
        module = import_module(f"lince.formats.{self._rows[name].module}")
        record: Format = module.FORMAT
        return record

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def list_writable(self, boxes_only: bool = False) -> tuple[str, ...]:
        """Return the names of the formats that can be written; with ``boxes_only``, of those that hold boxes."""
        return tuple(row.name for row in self._rows.values() if row.writable and (row.has_boxes or not boxes_only))


FORMATS = FormatRegistry(_ROWS)
