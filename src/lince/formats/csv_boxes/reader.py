"""Reads CSV tables with one row per box, as tutorials, labelling sites and OpenImages write them.

Layouts that are read:

- the TensorFlow tutorials' (``filename,width,height,class,xmin,ymin,xmax,ymax``) and others with columns of such names
- OpenImages V4 to V7 (``ImageID,...,LabelName,...,XMin,XMax,YMin,YMax``, fractions of the image's sides), with the
  names of classes in ``class-descriptions.csv``
- without header, makesense.ai's (``class,left,top,width,height,image,width,height``)
- without header, RetinaNet's (``image,left,top,right,bottom,class``), the same with the class before the box, and the
  tutorials', all also after a column of row numbers
- Kaggle's, with ``[left, top, width, height]`` or ``[left, top, right, bottom]`` in one cell; without a class, all are
  of the class ``object``

A row with an empty box and class says that the image shows no object. A table whose numbers are all within 0 and 1, not
all whole, holds fractions of the image's sides.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lince.errors import AmbiguousError, DataError
from lince.formats.builders.box_numbers import are_fractions, join_sides, tell_corners
from lince.formats.builders.class_index import ClassIndex
from lince.formats.builders.object_table import Box, ObjectTableBuilder, RawObject
from lince.formats.csv_boxes import columns as csv_boxes_columns
from lince.formats.csv_boxes.columns import CELL, BoxColumns
from lince.formats.csv_boxes.rows import SINGLE_CLASS, BoxRow, read_rows
from lince.formats.csv_boxes.writer import HEADER, image_path, write
from lince.formats.csv_text import CSV_SUFFIXES, decode_text, split_cells
from lince.formats.format import Capability, Format
from lince.formats.image_lookup import ImageLookup, read_sizes_by_name
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.progress import SILENT, Progress
from lince.storage.parent_tree import iterate_parent_trees
from lince.storage.tree import DataLocation, FileTree

NAME = "csv-boxes"
_HEAD_BYTES = 8192
_MAX_PROBES = 64


def detect(location: DataLocation) -> str | None:
    """Return the names of the tables of boxes at ``location``, ``None`` when there are none.

    The first lines of up to 64 CSV files are looked at.
    """
    tables = [name for name in location.find_by_suffix(*CSV_SUFFIXES)[:_MAX_PROBES] if _is_table(location.tree, name)]
    return _("tables of boxes: {names}").format(names=", ".join(tables[:4])) if tables else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read all tables of boxes; one called train, val or test, or in such a folder, is that split.

    A column for the split counts before that. Raise ``AmbiguousError`` when all rows of a table are in others too,
    ``DataError`` when a table cannot be parsed.
    """
    tree = location.tree
    tables = [name for name in location.find_by_suffix(*CSV_SUFFIXES) if location.file or _is_table(tree, name)]
    builder = ObjectTableBuilder(options)
    columns = {name: _require_columns(tree, name) for name in tables}
    rows = {name: read_rows(tree, name, columns[name], builder) for name in tables}
    _require_distinct_tables(location, rows)
    image_tree, prefix = _find_image_root(location, rows)
    reader = _TableReader(image_tree, prefix, builder, _read_class_descriptions(tree))
    reader.read_tables({name: (columns[name], rows[name]) for name in tables}, progress)
    return reader.build_table(location)


@dataclass
class _ImageRows:
    """The rows of one image, the table that they are in, and whether its boxes are fractions."""

    table_name: str
    normalised: bool
    rows: list[BoxRow] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """The size (height, width) that all rows agree on; zeros when they do not."""
        sizes = {row.size for row in self.rows}
        return sizes.pop() if len(sizes) == 1 else (0, 0)


class _TableReader:
    """Groups the rows of all tables by image, then adds images and objects to one table.

    ``class_descriptions`` gives the names of classes for the ids in the tables, where there are any.
    """

    def __init__(
        self, tree: FileTree, prefix: str, builder: ObjectTableBuilder, class_descriptions: Mapping[str, str]
    ) -> None:
        self._image_lookup = ImageLookup(tree)
        self._prefix = prefix
        self._builder = builder
        self._class_index = ClassIndex()
        self._class_descriptions = class_descriptions
        self._images: dict[str, _ImageRows] = {}

    def read_tables(self, tables: Mapping[str, tuple[BoxColumns, list[BoxRow]]], progress: Progress) -> None:
        """Add the images and objects of ``tables``, which gives columns and rows by file name."""
        for name, (columns, rows) in tables.items():
            normalised = columns.normalised or are_fractions([row.box for row in rows if row.box is not None])
            self._group_by_image(name, rows, normalised)
            if columns.box_format == CELL:
                self._resolve_cells(name, normalised, progress)
            if columns.label is None:
                reason = _("no column for the class: all objects are of the class {name}").format(name=SINGLE_CLASS)
                self._builder.reject(name, reason, _("add a column class where there are several"), kind="assumed")
            self._builder.rejected += self._image_lookup.pop_guesses(name)
        tree = self._image_lookup.tree
        normalised_images = [image_name for image_name, image in self._images.items() if image.normalised]
        sizes = read_sizes_by_name(tree, normalised_images, progress)
        with progress.open_stage(_("Reading the labels"), len(self._images)) as stage:
            for image_name, image in self._images.items():
                self._add_image(image_name, image, sizes.get(image_name))
                stage.advance()

    def build_table(self, location: DataLocation) -> LabelTable:
        """Return the table of all images; those of ``location`` that no row names are rejected."""
        self._builder.rejected += self._image_lookup.list_unnamed(self._images, location)
        tree = self._image_lookup.tree
        return self._class_index.finalise_table(self._builder.build_table(tree, NAME, self._class_index.names))

    def _group_by_image(self, name: str, rows: list[BoxRow], normalised: bool) -> None:
        """Give each row of a table to its image.

        All rows of an image are rejected together, as one, when it is missing or another table has it.
        """
        label_folder = posixpath.dirname(self._prefix + name)
        rows_by_reference: dict[str, list[BoxRow]] = {}
        for row in rows:
            rows_by_reference.setdefault(row.image_reference, []).append(row)
        for image_reference, image_rows in rows_by_reference.items():
            image_name = find_image(self._image_lookup, image_reference, label_folder)
            if image_name is None:
                reason = _("no such file: {name} ({count} rows)").format(
                    name=image_reference[:200], count=len(image_rows)
                )
                reason = self._image_lookup.explain_missing(reason, image_reference, label_folder)
                remedy = _("add it, or remove the rows")
                self._builder.reject(name, reason, remedy, image_rows[0].line, "no-image")
                continue
            self._image_lookup.note_guess(image_reference, image_name)
            image = self._images.setdefault(image_name, _ImageRows(name, normalised))
            if image.table_name == name:
                image.rows += image_rows
                continue
            reason = _("{photo} is in {other} too ({count} rows)").format(
                photo=image_name, other=image.table_name, count=len(image_rows)
            )
            self._builder.reject(name, reason, _("remove it from one of the two"), image_rows[0].line, "double")

    def _resolve_cells(self, name: str, normalised: bool, progress: Progress) -> None:
        """Give the images of a table their boxes: the numbers in its cells are corners, or left, top and sides.

        Where only one of the two fits into the images, it is that one; else it is the latter, and told.
        """
        table_images = {key: image for key, image in self._images.items() if image.table_name == name}
        unknown = [key for key, image in table_images.items() if not (normalised or all(image.size))]
        sizes = read_sizes_by_name(self._image_lookup.tree, unknown, progress)
        boxes: list[Box] = []
        box_sizes: list[tuple[int, int]] = []
        for key, image in table_images.items():
            own = [row.box for row in image.rows if row.box is not None]
            boxes += own
            box_sizes += [sizes.get(key, image.size)] * len(own)
        are_corners = tell_corners(boxes, box_sizes, normalised)
        if boxes and are_corners is None:
            reason = _("boxes are read as left, top, width and height, though they could be left, top, right, bottom")
            remedy = _("if they are, divide them into the columns xmin, ymin, xmax, ymax")
            self._builder.reject(name, reason, remedy, kind="assumed")
        for image in table_images.values() if not are_corners else ():
            image.rows = [row if row.box is None else replace(row, box=join_sides(row.box)) for row in image.rows]

    def _add_image(self, image_name: str, image: _ImageRows, size: tuple[int, int] | None) -> None:
        """Add an image and its objects; rows of another split than its first row are rejected.

        ``size`` is (height, width) when the boxes are fractions, else ``None``; an image whose size is unknown then is
        rejected.
        """
        if size is not None and not all(size):
            reason = _("its size cannot be read, so its labels cannot be used")
            self._builder.reject(image_name, reason, _("save it as JPEG or PNG, or remove it"), kind="unusable")
            return
        split = image.rows[0].split
        height, width = size or image.size
        image_row = self._builder.add_image(image_name, split, (height, width))
        scale = (width, height, width, height) if size else (1, 1, 1, 1)
        for row in image.rows:
            if row.split != split:
                reason = _("line {line} puts {photo} in another split").format(
                    line=image.rows[0].line, photo=image_name
                )
                self._builder.reject(
                    image.table_name, reason, _("correct one of the two"), row.line, "split", row=image_row
                )
            elif row.box is not None:
                left, top, right, bottom = (value * side for value, side in zip(row.box, scale, strict=True))
                class_id = self._class_index.get_id(self._class_descriptions.get(row.class_name, row.class_name))
                raw_object = RawObject(class_id, (left, top, right, bottom), image.table_name, row.line, row.flags)
                self._builder.add(image_row, raw_object)


def find_image(image_lookup: ImageLookup, image_reference: str, label_folder: str) -> str | None:
    """Return the image that a row refers to, ``None`` for none.

    OpenImages writes the file name without suffix; the image of that stem is taken then.
    """
    image_name = image_lookup.find_by_name_or_stem(image_reference, label_folder)
    return image_name if image_name is not None and is_encodable_text(image_name) else None


def _is_table(tree: FileTree, name: str) -> bool:
    """Whether a CSV file begins as a table of boxes; one with ambiguous columns is one too, so ``read`` can say so."""
    try:
        return csv_boxes_columns.detect_columns(decode_text(tree.head(name, _HEAD_BYTES))) is not None
    except AmbiguousError:
        return True
    except DataError:
        return False


def _require_columns(tree: FileTree, name: str) -> BoxColumns:
    """Return the columns of a table; raise ``DataError`` when it is not one of boxes."""
    path = tree.root / name
    try:
        columns = csv_boxes_columns.detect_columns(decode_text(tree.head(name, _HEAD_BYTES)))
    except AmbiguousError as error:
        raise AmbiguousError(f"{path}: {error.problem}", error.expected, error.remedy) from error
    if columns is None:
        raise DataError(
            _("{path} is not a table of boxes.").format(path=path),
            _("Expected columns such as {names}.").format(names=", ".join(HEADER)),
            _("Put the column names in the first line."),
        )
    return columns


def _require_distinct_tables(location: DataLocation, rows: Mapping[str, list[BoxRow]]) -> None:
    """Raise ``AmbiguousError`` when every row of a table is in others too."""
    keys = {
        name: {(row.image_reference, row.class_name, row.box) for row in rows_of_table}
        for name, rows_of_table in rows.items()
    }
    key_counts = Counter(key for table_keys in keys.values() for key in table_keys)
    repeating = [name for name, own in keys.items() if own and all(key_counts[key] > 1 for key in own)]
    if repeating:
        raise AmbiguousError(
            _("{path} contains tables with the same rows: {names}.").format(
                path=location.path, names=", ".join(repeating)
            ),
            _("Expected every row once."),
            _("Give one of them as the data, or move the others elsewhere."),
        )


def _find_image_root(location: DataLocation, rows: Mapping[str, list[BoxRow]]) -> tuple[FileTree, str]:
    """Return the tree in which one of the first images is found, and the prefix of our file names in it.

    It is the tree of the location, or of a folder above with the images beside the labels; the former when no image is
    found.
    """
    references = [(name, row.image_reference) for name, table_rows in rows.items() for row in table_rows[:20]]
    for tree, prefix in iterate_parent_trees(location):
        image_lookup = ImageLookup(tree)
        if any(find_image(image_lookup, path, posixpath.dirname(prefix + name)) for name, path in references[:60]):
            return tree, prefix
    return location.tree, ""


def _read_class_descriptions(tree: FileTree) -> dict[str, str]:
    """Return class names by OpenImages id (``/m/01g317``), where a list of them is in the tree."""
    class_names: dict[str, str] = {}
    for name in tree.listing.find_by_suffix(".csv"):
        if "class-descriptions" in posixpath.basename(name).lower():
            lines = decode_text(tree.read(name)).splitlines()
            pairs = (split_cells(line, ",") for line in lines)
            class_names.update({cells[0].strip(): cells[1].strip() for cells in pairs if len(cells) == 2})
    return class_names


FORMAT = Format(
    NAME,
    detect,
    read,
    Capability.BOXES | Capability.SPLITS | Capability.NEGATIVES | Capability.EXTERNAL_PATHS,
    write,
    image_path,
)
