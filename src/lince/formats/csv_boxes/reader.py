"""Tables of boxes (CSV): a row for each box, as courses, labelling sites and OpenImages write them.

Read are the layout of the TensorFlow tutorials (``filename,width,height,class,xmin,ymin,xmax,ymax``), any other with
columns of such names, OpenImages V4 to V7 (``ImageID,...,LabelName,...,XMin,XMax,YMin,YMax``, shares of the image, the
names of classes in ``class-descriptions.csv``), and without a first line of names makesense.ai's
(``class,left,top,width,height,image,width,height``) and RetinaNet's (``image,left,top,right,bottom,class``). An image
whose box is left empty shows nothing. A table whose numbers are all within 0 and 1 holds shares of the image.
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lince.annotations import ObjectTable
from lince.errors import AmbiguousError, DataError
from lince.fileio import write_text
from lince.formats import image_lookup as headers
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.csv_boxes import columns as csv_boxes_columns
from lince.formats.csv_boxes.columns import BoxColumns
from lince.formats.csv_boxes.rows import BoxRow, decode_text, read_rows
from lince.formats.format import Capability, Format, WriteRequest
from lince.formats.image_lookup import ImageLookup
from lince.formats.table import ReadOptions, Table
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.progress import SILENT, Progress
from lince.splits import SPLITS
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "csv-boxes"
EXTENSIONS = (".csv", ".tsv")
_HEAD_BYTES = 8192
_MAX_PROBES = 64
_HEADER = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "split"]


def detect(place: DataLocation) -> str | None:
    """Return what speaks for tables of boxes at ``place``."""
    found = [name for name in place.find_by_suffix(*EXTENSIONS)[:_MAX_PROBES] if _is_table(place.tree, name)]
    return _("tables of boxes: {names}").format(names=", ".join(found[:4])) if found else None


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read all tables; a table called train, val or test, or in such a folder, is that part.

    Raise ``AmbiguousError`` when a table repeats others, ``DataError`` when one cannot be read.
    """
    tree = place.tree
    tables = [name for name in place.find_by_suffix(*EXTENSIONS) if place.file or _is_table(tree, name)]
    marks = ObjectTableBuilder(options)
    columns = {name: _require_columns(tree, name) for name in tables}
    rows = {name: read_rows(tree, name, found, marks) for name, found in columns.items()}
    _require_distinct_tables(place, rows)
    around, prefix = _find_image_root(place, rows)
    reader = _TableReader(around, prefix, marks, _read_class_descriptions(tree))
    return reader.read_tables({name: (columns[name], found) for name, found in rows.items()}, progress)


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: all lie in ``images``."""
    return f"images/{file_name}"


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``labels.csv`` in the layout of the TensorFlow tutorials with the split behind, in UTF-8."""
    table, words = export.table, {split: word for word, split in SPLITS.items()}
    objects = table.objects or ObjectTable.empty(len(table.names))
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_HEADER)
    for row, path in enumerate(export.image_paths):
        height, width = export.image_sizes[row].tolist()
        word = words.get(int(table.splits[row]), "")
        here = objects.slice_of_image(row)
        marks = list(zip(objects.class_ids[here].tolist(), objects.boxes[here].tolist(), strict=True))
        for class_id, box in marks:
            rows.writerow([path, width, height, table.classes.names[class_id], *map(_format_number, box), word])
        if not marks:
            rows.writerow([path, width, height, "", "", "", "", "", word])
    write_text(folder / "labels.csv", text.getvalue())


@dataclass
class _ImageRows:
    """An image under way: the table that speaks of it, whether its boxes are shares, and its rows."""

    table_name: str
    normalised: bool
    rows: list[BoxRow] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """The size that all rows agree on; zeros when they don't."""
        sizes = {row.size for row in self.rows}
        return sizes.pop() if len(sizes) == 1 else (0, 0)


class _TableReader:
    def __init__(self, tree: FileTree, prefix: str, marks: ObjectTableBuilder, descriptions: Mapping[str, str]) -> None:
        self._image_lookup = ImageLookup(tree)
        self._prefix = prefix
        self._builder = marks
        self._class_index = ClassIndex()
        self._class_descriptions = descriptions
        self._images: dict[str, _ImageRows] = {}

    def read_tables(self, tables: Mapping[str, tuple[BoxColumns, list[BoxRow]]], progress: Progress) -> Table:
        """Return the table of all images."""
        for name, (columns, rows) in tables.items():
            self._group_by_image(name, rows, columns.normalised or _are_normalised(rows))
        tree = self._image_lookup.tree
        scaled = [photo for photo, image in self._images.items() if image.normalised]
        sizes = (
            dict(zip(scaled, headers.read_image_sizes(tree, scaled, progress).tolist(), strict=True)) if scaled else {}
        )
        with progress.open_stage(_("Reading the labels"), len(self._images)) as stage:
            for photo, image in self._images.items():
                self._add_image(photo, image, sizes.get(photo))
                stage.advance()
        return self._class_index.finalise_table(self._builder.build_table(tree, NAME, self._class_index.names))

    def _group_by_image(self, name: str, rows: list[BoxRow], shares: bool) -> None:
        """Give each row to its image; an image that is not there, or stands in another table, is rejected once."""
        near = posixpath.dirname(self._prefix + name)
        by_mention: dict[str, list[BoxRow]] = {}
        for row in rows:
            by_mention.setdefault(row.image_reference, []).append(row)
        for mention, found in by_mention.items():
            photo = find_image(self._image_lookup, mention, near)
            if photo is None:
                reason = _("no such file: {name} ({count} rows)").format(name=mention[:200], count=len(found))
                remedy = _("put it there, or remove the rows")
                self._builder.reject(name, reason, remedy, found[0].line, "no-image")
                continue
            image = self._images.setdefault(photo, _ImageRows(name, shares))
            if image.table_name == name:
                image.rows += found
                continue
            reason = _("{photo} stands in {other} too ({count} rows)").format(
                photo=photo, other=image.table_name, count=len(found)
            )
            self._builder.reject(name, reason, _("remove it from one of the two"), found[0].line, "double")

    def _add_image(self, photo: str, image: _ImageRows, size: list[int] | None) -> None:
        if size is not None and not all(size):
            reason = _("its size cannot be read, so its labels say nothing")
            self._builder.reject(photo, reason, _("save it as JPEG or PNG, or remove it"), kind="unusable")
            return
        split = image.rows[0].split
        height, width = size or image.size
        index = self._builder.add_image(photo, split, (height, width))
        scale = (width, height, width, height) if size else (1, 1, 1, 1)
        for row in image.rows:
            if row.split != split:
                reason = _("line {line} puts {photo} into another part").format(line=image.rows[0].line, photo=photo)
                self._builder.reject(image.table_name, reason, _("correct one of the two"), row.line)
            elif row.box is not None:
                left, top, right, bottom = (value * side for value, side in zip(row.box, scale, strict=True))
                class_id = self._class_index.get_id(self._class_descriptions.get(row.class_name, row.class_name))
                mark = RawObject(class_id, (left, top, right, bottom), image.table_name, row.line, row.flags)
                self._builder.add(index, mark)


def find_image(photos: ImageLookup, mention: str, near: str) -> str | None:
    """Return the photo that ``mention`` means: by its name, or by one without an ending as OpenImages writes it."""
    found = photos.find(mention, near) or photos.find_by_stem(f"{mention}.jpg")
    return found if found is not None and is_encodable_text(found) else None


def _is_table(tree: FileTree, name: str) -> bool:
    try:
        return csv_boxes_columns.detect_columns(decode_text(tree.head(name, _HEAD_BYTES))) is not None
    except AmbiguousError:
        return True
    except DataError:
        return False


def _require_columns(tree: FileTree, name: str) -> BoxColumns:
    path = tree.root / name
    try:
        found = csv_boxes_columns.detect_columns(decode_text(tree.head(name, _HEAD_BYTES)))
    except AmbiguousError as error:
        raise AmbiguousError(f"{path}: {error.problem}", error.expected, error.remedy) from error
    if found is None:
        raise DataError(
            _("{path} is no table of boxes.").format(path=path),
            _("Expected columns such as {names}.").format(names=", ".join(_HEADER)),
            _("Name the columns in the first line."),
        )
    return found


def _require_distinct_tables(place: DataLocation, rows: Mapping[str, list[BoxRow]]) -> None:
    """Raise ``AmbiguousError`` when all that a table says stands in others too."""
    keys = {name: {(row.image_reference, row.class_name, row.box) for row in found} for name, found in rows.items()}
    times = Counter(key for found in keys.values() for key in found)
    repeating = [name for name, found in keys.items() if found and all(times[key] > 1 for key in found)]
    if repeating:
        raise AmbiguousError(
            _("{path} holds tables that repeat each other's rows: {names}.").format(
                path=place.path, names=", ".join(repeating)
            ),
            _("Expected every row once."),
            _("Name one of them as the data, or move those elsewhere that are not meant."),
        )


def _find_image_root(place: DataLocation, rows: Mapping[str, list[BoxRow]]) -> tuple[FileTree, str]:
    """Return the tree in which one of the first photos is found, and what our names start by there."""
    asked = [(name, row.image_reference) for name, found in rows.items() for row in found[:20]]
    for tree, prefix in iterate_parent_trees(place):
        photos = ImageLookup(tree)
        if any(find_image(photos, mention, posixpath.dirname(prefix + name)) for name, mention in asked[:60]):
            return tree, prefix
    return place.tree, ""


def _read_class_descriptions(tree: FileTree) -> dict[str, str]:
    """Return the names of OpenImages' classes, where a list of them lies beside the table."""
    found: dict[str, str] = {}
    for name in tree.listing.find_by_suffix(".csv"):
        if "class-descriptions" in posixpath.basename(name).lower():
            lines = decode_text(tree.read(name)).splitlines()
            pairs = (csv_boxes_columns.split_cells(line, ",") for line in lines)
            found.update({cells[0].strip(): cells[1].strip() for cells in pairs if len(cells) == 2})
    return found


def _are_normalised(rows: list[BoxRow]) -> bool:
    """Whether the numbers of a table are shares of the image: all of them are within 0 and 1, and not all are whole."""
    values = list(_iterate_coordinates(rows))
    return all(0 <= value <= 1 for value in values) and any(0 < value < 1 for value in values)


def _iterate_coordinates(rows: list[BoxRow]) -> Iterator[float]:
    return (value for row in rows if row.box is not None for value in row.box)


def _format_number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


FORMAT = Format(
    NAME, detect, read, Capability.BOXES | Capability.SPLITS | Capability.NEGATIVES | Capability.EXTERNAL_PATHS, write, image_path
)  # fmt: skip
