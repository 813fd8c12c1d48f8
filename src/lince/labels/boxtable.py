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

from lince.annotations import Objects
from lince.errors import AmbiguousError, DataError
from lince.files import write_text
from lince.labels import boxcolumns
from lince.labels import photos as headers
from lince.labels.boxcolumns import BoxColumns
from lince.labels.boxrows import BoxRow, rows_of, text_of
from lince.labels.format import Export, Format, Holds
from lince.labels.jsonfile import is_text
from lince.labels.kinds import Kinds
from lince.labels.marks import Mark, Marks
from lince.labels.nearby import outwards
from lince.labels.photos import Photos
from lince.labels.table import SPLITS, Options, Table
from lince.labels.tree import Place, Tree
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "csv-boxes"
ENDINGS = (".csv", ".tsv")
_HEAD = 8192
_PROBES = 64
_HEADER = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "split"]


def detect(place: Place) -> str | None:
    """Return what speaks for tables of boxes at ``place``."""
    found = [name for name in place.ending(*ENDINGS)[:_PROBES] if _is_table(place.tree, name)]
    return _("tables of boxes: {names}").format(names=", ".join(found[:4])) if found else None


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read all tables; a table called train, val or test, or in such a folder, is that part.

    Raise ``AmbiguousError`` when a table repeats others, ``DataError`` when one cannot be read.
    """
    tree = place.tree
    tables = [name for name in place.ending(*ENDINGS) if place.file or _is_table(tree, name)]
    marks = Marks(options)
    columns = {name: _columns(tree, name) for name in tables}
    rows = {name: rows_of(tree, name, found, marks) for name, found in columns.items()}
    _require_apart(place, rows)
    around, prefix = _around(place, rows)
    reader = _Reader(around, prefix, marks, _descriptions(tree))
    return reader.read({name: (columns[name], found) for name, found in rows.items()}, progress)


def file(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: all lie in ``images``."""
    return f"images/{file_name}"


def write(export: Export, folder: Path) -> None:
    """Write ``labels.csv`` in the layout of the TensorFlow tutorials with the split behind, in UTF-8."""
    table, words = export.table, {split: word for word, split in SPLITS.items()}
    objects = table.objects or Objects.none(len(table.names))
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_HEADER)
    for row, path in enumerate(export.files):
        height, width = export.sizes[row].tolist()
        word = words.get(int(table.splits[row]), "")
        here = objects.of(row)
        marks = list(zip(objects.class_ids[here].tolist(), objects.boxes[here].tolist(), strict=True))
        for class_id, box in marks:
            rows.writerow([path, width, height, table.classes.names[class_id], *map(_text, box), word])
        if not marks:
            rows.writerow([path, width, height, "", "", "", "", "", word])
    write_text(folder / "labels.csv", text.getvalue())


@dataclass
class _Image:
    """An image under way: the table that speaks of it, whether its boxes are shares, and its rows."""

    table: str
    shares: bool
    rows: list[BoxRow] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """The size that all rows agree on; zeros when they don't."""
        sizes = {row.size for row in self.rows}
        return sizes.pop() if len(sizes) == 1 else (0, 0)


class _Reader:
    def __init__(self, tree: Tree, prefix: str, marks: Marks, descriptions: Mapping[str, str]) -> None:
        self._photos = Photos(tree)
        self._prefix = prefix
        self._marks = marks
        self._kinds = Kinds()
        self._descriptions = descriptions
        self._images: dict[str, _Image] = {}

    def read(self, tables: Mapping[str, tuple[BoxColumns, list[BoxRow]]], progress: Progress) -> Table:
        """Return the table of all images."""
        for name, (columns, rows) in tables.items():
            self._collect(name, rows, columns.shares or _are_shares(rows))
        tree = self._photos.tree
        scaled = [photo for photo, image in self._images.items() if image.shares]
        sizes = dict(zip(scaled, headers.sizes(tree, scaled, progress).tolist(), strict=True)) if scaled else {}
        with progress.stage(_("Reading the labels"), len(self._images)) as stage:
            for photo, image in self._images.items():
                self._image(photo, image, sizes.get(photo))
                stage.advance()
        return self._kinds.settled(self._marks.table(tree, NAME, self._kinds.names))

    def _collect(self, name: str, rows: list[BoxRow], shares: bool) -> None:
        """Give each row to its image; an image that is not there, or stands in another table, is rejected once."""
        near = posixpath.dirname(self._prefix + name)
        by_mention: dict[str, list[BoxRow]] = {}
        for row in rows:
            by_mention.setdefault(row.mention, []).append(row)
        for mention, found in by_mention.items():
            photo = find_photo(self._photos, mention, near)
            if photo is None:
                reason = _("no such file: {name} ({count} rows)").format(name=mention[:200], count=len(found))
                remedy = _("put it there, or remove the rows")
                self._marks.reject(name, reason, remedy, found[0].line, "no-image")
                continue
            image = self._images.setdefault(photo, _Image(name, shares))
            if image.table == name:
                image.rows += found
                continue
            reason = _("{photo} stands in {other} too ({count} rows)").format(
                photo=photo, other=image.table, count=len(found)
            )
            self._marks.reject(name, reason, _("remove it from one of the two"), found[0].line, "double")

    def _image(self, photo: str, image: _Image, size: list[int] | None) -> None:
        if size is not None and not all(size):
            reason = _("its size cannot be read, so its labels say nothing")
            self._marks.reject(photo, reason, _("save it as JPEG or PNG, or remove it"), fault="unusable")
            return
        split = image.rows[0].split
        height, width = size or image.size
        index = self._marks.image(photo, split, (height, width))
        scale = (width, height, width, height) if size else (1, 1, 1, 1)
        for row in image.rows:
            if row.split != split:
                reason = _("line {line} puts {photo} into another part").format(line=image.rows[0].line, photo=photo)
                self._marks.reject(image.table, reason, _("correct one of the two"), row.line)
            elif row.box is not None:
                left, top, right, bottom = (value * side for value, side in zip(row.box, scale, strict=True))
                class_id = self._kinds.id(self._descriptions.get(row.label, row.label))
                mark = Mark(class_id, (left, top, right, bottom), image.table, row.line, row.flags)
                self._marks.add(index, mark)


def find_photo(photos: Photos, mention: str, near: str) -> str | None:
    """Return the photo that ``mention`` means: by its name, or by one without an ending as OpenImages writes it."""
    found = photos.find(mention, near) or photos.twin(f"{mention}.jpg")
    return found if found is not None and is_text(found) else None


def _is_table(tree: Tree, name: str) -> bool:
    try:
        return boxcolumns.find(text_of(tree.head(name, _HEAD))) is not None
    except AmbiguousError:
        return True
    except DataError:
        return False


def _columns(tree: Tree, name: str) -> BoxColumns:
    path = tree.root / name
    try:
        found = boxcolumns.find(text_of(tree.head(name, _HEAD)))
    except AmbiguousError as error:
        raise AmbiguousError(f"{path}: {error.found}", error.expected, error.remedy) from error
    if found is None:
        raise DataError(
            _("{path} is no table of boxes.").format(path=path),
            _("Expected columns such as {names}.").format(names=", ".join(_HEADER)),
            _("Name the columns in the first line."),
        )
    return found


def _require_apart(place: Place, rows: Mapping[str, list[BoxRow]]) -> None:
    """Raise ``AmbiguousError`` when all that a table says stands in others too."""
    keys = {name: {(row.mention, row.label, row.box) for row in found} for name, found in rows.items()}
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


def _around(place: Place, rows: Mapping[str, list[BoxRow]]) -> tuple[Tree, str]:
    """Return the tree in which one of the first photos is found, and what our names start by there."""
    asked = [(name, row.mention) for name, found in rows.items() for row in found[:20]]
    for tree, prefix in outwards(place):
        photos = Photos(tree)
        if any(find_photo(photos, mention, posixpath.dirname(prefix + name)) for name, mention in asked[:60]):
            return tree, prefix
    return place.tree, ""


def _descriptions(tree: Tree) -> dict[str, str]:
    """Return the names of OpenImages' classes, where a list of them lies beside the table."""
    found: dict[str, str] = {}
    for name in tree.listing.ending(".csv"):
        if "class-descriptions" in posixpath.basename(name).lower():
            lines = text_of(tree.read(name)).splitlines()
            pairs = (boxcolumns.cells_of(line, ",") for line in lines)
            found.update({cells[0].strip(): cells[1].strip() for cells in pairs if len(cells) == 2})
    return found


def _are_shares(rows: list[BoxRow]) -> bool:
    """Whether the numbers of a table are shares of the image: all of them are within 0 and 1, and not all are whole."""
    values = list(_values(rows))
    return all(0 <= value <= 1 for value in values) and any(0 < value < 1 for value in values)


def _values(rows: list[BoxRow]) -> Iterator[float]:
    return (value for row in rows if row.box is not None for value in row.box)


def _text(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


FORMAT = Format(
    NAME, detect, read, Holds.BOXES | Holds.SPLITS | Holds.NEGATIVES | Holds.PATHS, write, file
)  # fmt: skip
