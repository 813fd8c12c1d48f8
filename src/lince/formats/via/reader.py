"""Reads the VGG Image Annotator (VIA 1 and 2): projects, and annotations exported as JSON or CSV.

A region's class is in one of its attributes, whose name the user of VIA chose. Where no region has any, all are of one
class, ``object``. An attribute of a file as a whole is the class of the image. Circles and ellipses become polygons.
"""

from __future__ import annotations

from collections.abc import Iterable

from lince.formats.builders.entry_table import EntryTableBuilder, ImageEntry
from lince.formats.csv_text import CSV_SUFFIXES
from lince.formats.format import Capability, Format
from lince.formats.table import LabelTable, ReadOptions
from lince.formats.via.documents import ViaDocument, ViaImage, is_via_json, is_via_table, load_document
from lince.formats.via.regions import (
    IMAGE_CLASS_NAMES,
    choose_class_attribute,
    list_choices,
    parse_shape,
    read_class_name,
)
from lince.formats.via.writer import image_path, write
from lince.i18n import _
from lince.parsing.json_reader import JsonValueError
from lince.progress import SILENT, Progress
from lince.storage.tree import DataLocation

NAME = "via"
_MAX_PROBES = 64
_ONLY_CLASS = "object"  # where no region has an attribute


def detect(location: DataLocation) -> str | None:
    """Return the names of the files of VIA, ``None`` when there are none among the first 64 JSON and CSV files."""
    label_files = _find_label_files(location, _MAX_PROBES)
    return _("regions of VIA: {names}").format(names=", ".join(label_files[:4])) if label_files else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every project and export; an image that several describe alike is used once, and that is told.

    The split of an image is that of a folder named as one. An image without regions shows no object. Raise
    ``AmbiguousError`` when it is not clear which attribute holds the class, ``DataError`` when a file is damaged.
    """
    label_files = [location.file] if location.file else _find_label_files(location)
    documents = {name: load_document(location.tree, name) for name in label_files}
    entries = ((name, image.reference) for name, document in documents.items() for image in document.images)
    reader = _ViaReader(EntryTableBuilder(location, entries, options), documents, str(location.path), progress)
    with progress.open_stage(_("Reading the labels"), len(documents)) as stage:
        for name, document in documents.items():
            reader.add_document(name, document)
            stage.advance()
    return reader.table.build_table(NAME)


class _ViaReader:
    """Adds the images of all files to one table, with the attributes that hold the classes."""

    def __init__(
        self, table: EntryTableBuilder, documents: dict[str, ViaDocument], place: str, progress: Progress
    ) -> None:
        self.table = table
        self._images: dict[str, ViaImage] = {}
        every = [image for document in documents.values() for image in document.images]
        regions = [region.attributes for image in every for region in image.regions]
        self._attribute = choose_class_attribute(regions, place)
        self._file_attribute = _find_file_attribute(every, place, bool(regions))
        if regions and self._attribute is None:
            progress.show_message(
                _("No region has an attribute: all are of one class, '{name}'.").format(name=_ONLY_CLASS)
            )
        for document in documents.values():
            for kind, attribute in (("region", self._attribute), ("file", self._file_attribute)):
                table.class_index.declare_classes(document.options.get(kind, {}).get(attribute or "", ()))

    def add_document(self, name: str, document: ViaDocument) -> None:
        """Add the images of the file ``name``; those that another file describes alike are counted."""
        self.table.builder.rejected += document.rejected
        repeated = 0
        for image in document.images:
            other = self._images.get(image.reference)
            if other is not None and other.label_file != name and other.content == image.content:
                repeated += 1
            else:
                self._images.setdefault(image.reference, image)
                self._add_image(image)
        if repeated:
            reason = _("it says the same as other files of {count} photos").format(count=repeated)
            self.table.builder.reject(name, reason, kind="other-labels")

    def _add_image(self, image: ViaImage) -> None:
        """Add an image and its regions, or their rejections."""
        class_names: tuple[str, ...] = ()
        if self._file_attribute is not None:
            class_names = tuple(list_choices(image.attributes.get(self._file_attribute)))
        place, count = (image.label_file, image.path, (image.reference,), image.line), len(image.regions)
        row = self.table.add_image(ImageEntry(*place, class_names=class_names or None, object_count=count))
        for region in image.regions if row is not None else ():
            try:
                shape, name = parse_shape(region), _ONLY_CLASS
                if self._attribute is not None:
                    name = read_class_name(region.attributes, self._attribute, region.path)
            except JsonValueError as error:
                self.table.builder.reject(
                    error.path if region.line is None else region.path,
                    error.reason, error.remedy, region.line, error.kind, row=row,
                )  # fmt: skip
            else:
                self.table.add_object(row or 0, name, shape, region.path, region.line)


def _find_file_attribute(images: Iterable[ViaImage], place: str, has_regions: bool) -> str | None:
    """Return the attribute of files that holds the class of the image; beside regions, one that is called so alone."""
    records = [image.attributes for image in images]
    if has_regions:
        records = [
            {name: value for name, value in record.items() if name.strip().casefold() in IMAGE_CLASS_NAMES}
            for record in records
        ]
    return choose_class_attribute(records, place, is_file=True)


def _find_label_files(location: DataLocation, probes: int | None = None) -> list[str]:
    """Return the files of VIA among the first ``probes`` JSON and CSV files (all when ``None``), JSON first."""
    tree = location.tree
    return [
        *(name for name in location.find_by_suffix(".json")[:probes] if is_via_json(tree, name)),
        *(name for name in location.find_by_suffix(*CSV_SUFFIXES)[:probes] if is_via_table(tree, name)),
    ]


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.LABELS
    | Capability.BOXES
    | Capability.OUTLINES
    | Capability.SPLITS
    | Capability.CLASSES
    | Capability.NEGATIVES
    | Capability.EXTERNAL_PATHS,
    write,
    image_path,
)
