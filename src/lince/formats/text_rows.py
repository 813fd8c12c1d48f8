"""Reads KITTI and DOTA: one text file per image, a row per object with its class in words.

KITTI (``label_2/000000.txt``) has a box among 15 or 16 values. DOTA (``labelTxt/P0.txt``) has the four corners of a
box that is turned; they are read as an outline, and the box is the one around it. Both count pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lince.annotations import DIFFICULT, OCCLUDED, TRUNCATED
from lince.errors import DataError
from lince.formats.builders.entry_table import EntryTableBuilder, ImageEntry
from lince.formats.builders.shapes import Shape, make_polygon
from lince.formats.csv_text import decode_text
from lince.formats.table import LabelTable, ReadOptions
from lince.i18n import _
from lince.parsing.xml_reader import parse_number
from lince.progress import SILENT, Progress
from lince.storage.tree import DataLocation, FileTree, get_file_stem

_HEAD_BYTES = 8192
_MAX_PROBES = 16
_MIN_SHARE = 0.5  # of the rows in the beginning of a file that must be of the format
_KITTI_ROW = re.compile(r"[^\W\d]\S*(?:\s+-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?){14,15}\s*")
_DOTA_ROW = re.compile(r"(?:-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?\s+){8}[^\d\s]\S*(?:\s+\d+)?\s*")
_DOTA_HEADER = re.compile(r"(?:imagesource|gsd)\s*:", re.IGNORECASE)
_NO_CLASSES = ("DontCare",)  # KITTI: a region that nobody has labelled


@dataclass(frozen=True)
class ParsedRow:
    """A row: class, shape and object flags."""

    class_name: str
    shape: Shape
    flags: int = 0


@dataclass(frozen=True)
class TextFormat:
    """What differs between the formats: their rows, lines that are none, and how a row is read."""

    name: str
    row: re.Pattern[str]
    header: re.Pattern[str] | None
    parse: Callable[[list[str]], ParsedRow]

    def detect(self, location: DataLocation) -> str | None:
        """Return the name of the first file whose rows are of the format, among some of all text files."""
        names = location.find_by_suffix(".txt")
        probes = names[:: max(1, len(names) // _MAX_PROBES)][: _MAX_PROBES + 1]
        match = next((name for name in probes if self._fits(location.tree, name)), None)
        return None if match is None else _("rows of {kind} such as {name}").format(kind=self.name.upper(), name=match)

    def read(self, location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
        """Read one image per text file; one without rows says that its image shows no object.

        Rows that cannot be read are rejected with their lines. Text files without such rows are named where they belong
        to no image, or where another file is called like them (KITTI has ``calib/000000.txt`` beside
        ``label_2/000000.txt``); so are images without a file.
        """
        label_files = location.find_by_suffix(".txt")
        table = EntryTableBuilder(location, ((name, get_file_stem(name)) for name in label_files), options)
        reader = _RowReader(self, table, Counter(map(get_file_stem, label_files)))
        with progress.open_stage(_("Reading the labels"), len(label_files)) as stage:
            for name in label_files:
                reader.add_file(location.tree, name)
                stage.advance()
        reader.tell_regions_without_class()
        return table.build_table(self.name)

    def _fits(self, tree: FileTree, name: str) -> bool:
        """Whether at least half of the first lines, and one, are rows of the format."""
        try:
            lines = decode_text(tree.head(name, _HEAD_BYTES)).splitlines()
        except DataError:
            return False
        lines = [line for line in lines if line.strip() and not (self.header and self.header.match(line.strip()))]
        lines = lines[: -1 if len(lines) > 1 else None]  # the last may be cut
        matches = sum(self.row.fullmatch(line.strip()) is not None for line in lines)
        return bool(matches) and matches >= _MIN_SHARE * len(lines)


class _RowReader:
    """Adds one text file after the other to a table, and counts the rows that mark no object."""

    def __init__(self, text_format: TextFormat, table: EntryTableBuilder, stem_counts: Counter[str]) -> None:
        self._format = text_format
        self._table = table
        self._stem_counts = stem_counts
        self._no_class_files: list[str] = []

    def add_file(self, tree: FileTree, name: str) -> None:
        """Add the image of the file ``name`` and its objects, or reject it."""
        builder, kind = self._table.builder, self._format.name.upper()
        try:
            lines = decode_text(tree.read(name)).splitlines()
        except DataError as error:
            builder.reject(name, error.problem.rstrip("."), _("export it again"))
            return
        header = self._format.header
        rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
        rows = [(number, cells) for number, cells in rows if header is None or not header.match(" ".join(cells))]
        has_rows = any(self._format.row.fullmatch(" ".join(cells)) for _number, cells in rows)
        reference = get_file_stem(name)
        if not has_rows and self._table.image_lookup.find_by_stem(self._table.prefix + name) is None:
            builder.reject(name, _("it has no row of {kind}, and no photo has its name").format(kind=kind), "",
                           kind="other-labels")  # fmt: skip
            return
        if rows and not has_rows and self._stem_counts[reference] > 1:
            builder.reject(name, _("it has no row of {kind}").format(kind=kind), "", kind="other-labels")
            return
        row = self._table.add_image(ImageEntry(name, name, (reference,), is_sidecar=True, object_count=len(rows)))
        for number, cells in rows if row is not None else ():
            self._add_row(row or 0, name, number, cells)

    def _add_row(self, row: int, name: str, number: int, cells: list[str]) -> None:
        try:
            parsed = self._format.parse(cells)
        except ValueError as error:
            kind, remedy = self._format.name.upper(), _("correct it, or remove it")
            reason = _("not a row of {kind}: {text}").format(kind=kind, text=str(error)[:80])
            self._table.builder.reject(name, reason, remedy, number, row=row)
            return
        if parsed.class_name in _NO_CLASSES:
            self._no_class_files.append(name)
            return
        self._table.add_object(row, parsed.class_name, parsed.shape, name, number, parsed.flags)

    def tell_regions_without_class(self) -> None:
        """Name the rows that mark what nobody has labelled, all at once."""
        if self._no_class_files:
            reason = _("'{name}' marks what is no object ({count} rows in {files} files)").format(
                name=_NO_CLASSES[0], count=len(self._no_class_files), files=len(set(self._no_class_files))
            )
            self._table.builder.reject(self._no_class_files[0], reason, "", kind="reduced")


def _parse_kitti(cells: list[str]) -> ParsedRow:
    """Return a row of KITTI: class, truncation 0..1, occlusion 0..3, angle, box, and more that is about space."""
    if len(cells) not in (15, 16):
        raise ValueError(_("{count} values instead of 15").format(count=len(cells)))
    truncation, occlusion = parse_number(cells[1]), parse_number(cells[2])
    left, top, right, bottom = map(parse_number, cells[4:8])
    flags = (TRUNCATED if truncation > 0 else 0) | (OCCLUDED if occlusion in (1, 2) else 0)
    return ParsedRow(cells[0], Shape((left, top, right, bottom)), flags)


def _parse_dota(cells: list[str]) -> ParsedRow:
    """Return a row of DOTA: x and y of four corners, class, and whether the object is difficult."""
    if len(cells) not in (9, 10):
        raise ValueError(_("{count} values instead of 10").format(count=len(cells)))
    numbers = [parse_number(cell) for cell in cells[:8]]
    is_difficult = len(cells) == 10 and parse_number(cells[9]) > 0
    return ParsedRow(
        cells[8],
        make_polygon(list(zip(numbers[::2], numbers[1::2], strict=True))),
        DIFFICULT if is_difficult else 0,
    )


KITTI = TextFormat("kitti", _KITTI_ROW, None, _parse_kitti)
DOTA = TextFormat("dota", _DOTA_ROW, _DOTA_HEADER, _parse_dota)
