"""Reads the rows of CSV tables of classes, and finds the image and the class of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lince.annotations import RejectedItem
from lince.formats.builders.classification_table import ClassificationTableBuilder
from lince.formats.csv_classes.class_cells import find_class_names, split_classes
from lince.formats.csv_classes.columns import NO_WORDS, YES_WORDS, ClassColumns
from lince.formats.image_lookup import ImageLookup
from lince.formats.photo_numbers import PhotoNumbers
from lince.i18n import _
from lince.splits import SPLIT_WORDS, UNASSIGNED, infer_split_from_folders
from lince.storage.tree import FileTree

_NO_CLASS_WORDS = {"", "nan", "#n/a"}  # what pandas and Excel write for an empty cell
_MIN_LONG, _MIN_LONG_SHARE = 3, 1 / 3  # images with several rows, where a table has one for each class
Rows = Sequence[tuple[int, list[str] | None]]


@dataclass(frozen=True)
class ClassTable:
    """A table of classes: its file ``name``, ``columns``, and ``rows`` as ``read_records`` gives them."""

    name: str
    columns: ClassColumns
    rows: Rows

    @property
    def whole_rows(self) -> list[list[str]]:
        """The cells of the rows that have as many as the table has columns."""
        return [row for _line, row in self.rows if row is not None and len(row) == self.columns.column_count]


class RowReader:
    """Adds the rows of tables to ``builder``; each image in ``tree`` counts once."""

    def __init__(self, tree: FileTree, builder: ClassificationTableBuilder) -> None:
        self._tree = tree
        self._builder = builder
        self._image_lookup = ImageLookup(tree)
        self._numbers = PhotoNumbers(self._image_lookup.names)
        self._table_by_image: dict[str, str] = {}

    def read_table(self, table: ClassTable, prefix: str, split: int | None) -> None:
        """Add all usable rows of ``table``, and reject the others.

        ``prefix`` comes before its file names to give names in the tree; ``split`` is that of the table, ``None`` where
        only a column or the folders of the images can say so.
        """
        parser = _RowParser(table, self._tree, (self._image_lookup, self._numbers), prefix, self._builder)
        rows = [(line, cells) for line, cells in table.rows if parser.check_row(line, cells) and cells is not None]
        known = parser.find_known_classes([cells for _line, cells in rows])
        classes_by_image: dict[str, dict[str, None]] = {}
        for _line, cells in rows:
            classes = classes_by_image.setdefault(parser.image_name(cells), {})
            classes.update(dict.fromkeys(parser.list_classes(cells, known)))
        contradicting = _find_contradictions(
            [(parser.image_name(cells), set(parser.list_classes(cells, known))) for _line, cells in rows]
        )
        splits = _divide_by_folders(classes_by_image) if split is None else dict.fromkeys(classes_by_image, split)
        for line, cells in rows:
            name = parser.image_name(cells)
            classes, other = classes_by_image[name], self._table_by_image.get(name)
            if name in contradicting:
                names = ", ".join(sorted(classes))
                reason = _("{name} has several classes: {classes}").format(name=name, classes=names)
                parser.reject_row(line, reason, "several-classes", _("keep one"))
            elif other == table.name and 0 < len(parser.list_classes(cells, known)) < len(classes):
                continue  # of a table with a row for each class
            elif other is not None:
                reason = _("{name} appears twice").format(name=name)
                if other != table.name:
                    reason = _("{photo} is in {other} too").format(photo=name, other=other)
                parser.reject_row(line, reason, "double")
            else:
                self._table_by_image[name] = table.name
                own_split = splits.get(name, UNASSIGNED) if table.columns.split is None else parser.parse_split(cells)
                is_doubtful = not classes and table.columns.label is None
                rejection = parser.make_rejection(line, _("no class"), "no-class") if is_doubtful else None
                self._builder.add_image(name, classes, own_split, rejection)
        self._table_by_image.update(dict.fromkeys(parser.named_images - self._table_by_image.keys(), table.name))
        for notice in (*self._image_lookup.pop_guesses(table.name), *parser.list_number_guesses()):
            self._builder.reject(notice)

    def reject_unnamed(self, tables: Sequence[str]) -> None:
        """Reject the images of the tree that no row of ``tables``, which were read, names."""
        for name in self._image_lookup.names:
            if name not in self._table_by_image:
                reason = _("no row of {table} names it").format(table=", ".join(tables[:4]))
                self._builder.reject(RejectedItem(name, reason, _("add a row for it"), kind="unlabelled"))


class _RowParser:
    """Finds image, classes and split of the rows of one table; arguments as in ``RowReader``."""

    def __init__(
        self,
        table: ClassTable,
        tree: FileTree,
        lookups: tuple[ImageLookup, PhotoNumbers],
        prefix: str,
        builder: ClassificationTableBuilder,
    ) -> None:
        self._table = table
        self._columns = table.columns
        self._tree = tree
        self._image_lookup, self._numbers = lookups
        self._prefix = prefix
        self._builder = builder
        self._names: dict[str, str | None] = {}
        self._number_guesses: list[tuple[str, str]] = []

    @property
    def named_images(self) -> set[str]:
        """The images that any row looked at so far names."""
        return {name for name in self._names.values() if name is not None}

    def list_number_guesses(self) -> list[RejectedItem]:
        """Return the notice about the photos that the table calls by their numbers without leading zeros."""
        if not self._number_guesses:
            return []
        reference, name = self._number_guesses[0]
        reason = _("photos found by their number: {count}, such as {reference}, which is not there; {name} is").format(
            count=len(self._number_guesses), reference=reference.strip(), name=name
        )
        remedy = _("correct the names where another photo is meant")
        return [RejectedItem(self._table.name, reason, remedy, kind="assumed")]

    def check_row(self, line: int, cells: list[str] | None) -> bool:
        """Whether the row can be used by itself; if not, it is rejected."""
        if cells is None:
            reason = _("a quotation mark opens here and is not closed")
            self.reject_row(line, reason, "row", _("close it or remove it"))
            return False
        reason, kind = self._find_problem(cells)
        if reason:
            self.reject_row(line, reason, kind)
        return not reason

    def reject_row(self, line: int, reason: str, kind: str, remedy: str = "") -> None:
        """Reject the row at ``line``."""
        self._builder.reject(self.make_rejection(line, reason, kind, remedy))

    def make_rejection(self, line: int, reason: str, kind: str, remedy: str = "") -> RejectedItem:
        """Return the rejection of the row at ``line``."""
        return RejectedItem(self._table.name, reason, remedy or _("correct the line or remove it"), line, kind)

    def image_name(self, cells: list[str]) -> str:
        """Return the image file of a usable row, as the tree calls it."""
        return self._find_image(cells) or ""

    def parse_split(self, cells: list[str]) -> int:
        """Return the split that a row names in the column for it."""
        return SPLIT_WORDS.get(self._split_word(cells), UNASSIGNED)

    def find_known_classes(self, rows: Sequence[list[str]]) -> set[str]:
        """Return the names of single classes in the class column of all usable ``rows``."""
        label = self._columns.label
        return set() if label is None else find_class_names((row[label] for row in rows), self._columns.in_lists)

    def list_classes(self, cells: list[str], known: set[str]) -> list[str]:
        """Return the classes that a row gives its image; ``known`` are names of single classes."""
        if self._columns.label is not None:
            return split_classes(cells[self._columns.label], known, self._columns.in_lists)
        indicators = self._columns.indicators.items()
        return [name for i, name in indicators if cells[i].strip().lower() in YES_WORDS]

    def _find_problem(self, cells: list[str]) -> tuple[str, str]:
        """Return why the row cannot be used by itself, and the kind of the rejection; empty when it can."""
        columns = self._columns
        if len(cells) != columns.column_count:
            reason = _("{found} columns instead of {expected}").format(found=len(cells), expected=columns.column_count)
            return reason, "row"
        reference = cells[columns.file].strip()
        if not reference:
            return _("no file"), "row"
        word = self._split_word(cells)
        if columns.split is not None and word not in {"", *SPLIT_WORDS}:
            return _("unknown split '{word}'").format(word=word), "split"
        if self._find_image(cells) is None:
            reason = _("no such file: {name}").format(name=reference)
            return self._image_lookup.explain_missing(reason, reference), "no-image"
        return self._find_class_problem(cells)

    def _find_class_problem(self, cells: list[str]) -> tuple[str, str]:
        """Return why the row says nothing of its image's classes, and the kind of the rejection; else empty texts.

        Zeros in all columns and an empty list in brackets do say something.
        """
        label = self._columns.label
        values = [cells[i].strip() for i in self._columns.indicators]
        strange = next((value for value in values if value.lower() not in YES_WORDS | NO_WORDS), "")
        if strange:
            return _("'{text}' is neither 0 nor 1").format(text=strange[:40]), "row"
        is_empty = not any(values) if label is None else cells[label].strip().lower() in _NO_CLASS_WORDS
        return (_("no class"), "no-class") if is_empty else ("", "")

    def _find_image(self, cells: list[str]) -> str | None:
        """Return the image file of a row, as the tree calls it; ``None`` when there is no single one."""
        cell = cells[self._columns.file]
        if cell not in self._names:
            name = relative_name(self._tree.root, cell, self._prefix)
            is_file = self._tree.has(name)
            can_search = not is_file and not self._tree.is_remote
            folder = self._prefix.rstrip("/")
            found = self._image_lookup.find_by_name_or_stem(cell, folder) if can_search else None
            if found is not None:
                self._image_lookup.note_guess(cell, found)
            if can_search and found is None and (found := self._numbers.find(cell, folder)):
                self._number_guesses.append((cell, found))
            self._names[cell] = name if is_file else found
        return self._names[cell]

    def _split_word(self, cells: list[str]) -> str:
        """Return what a row has in the split column, in lower case; empty without such a column."""
        return cells[self._columns.split].strip().lower() if self._columns.split is not None else ""


def _find_contradictions(rows: Sequence[tuple[str, set[str]]]) -> set[str]:
    """Return the images that several rows give different single classes, where that seems a mistake.

    ``rows`` are the images and classes of a table's rows. Where no row lists several classes, and a third of the images
    or more, and three at least, have several rows that differ, the table has a row for each class of an image, and
    nothing contradicts.
    """
    classes_by_image: dict[str, set[str]] = {}
    for name, classes in rows:
        classes_by_image.setdefault(name, set()).update(classes)
    has_lists = any(len(classes) > 1 for _name, classes in rows)
    listed = {name for name, classes in rows if len(classes) == len(classes_by_image[name])}
    differing = {name for name, classes in classes_by_image.items() if len(classes) > 1} - listed
    is_long = not has_lists and len(differing) >= max(_MIN_LONG, _MIN_LONG_SHARE * len(classes_by_image))
    return set() if is_long else differing


def relative_name(root: Path, cell: str, prefix: str) -> str:
    """Return the file in ``cell`` relative to ``root`` with '/'; one outside of it keeps its full path."""
    name = cell.strip().replace("\\", "/")
    if not os.path.isabs(name):
        return prefix + name.removeprefix("./")
    path = Path(name)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _divide_by_folders(names: Iterable[str]) -> dict[str, int]:
    """Return the split of each image by its folders; none where a single part is named, which is no division."""
    splits = {name: infer_split_from_folders(name) for name in names}
    return splits if len(set(splits.values()) - {UNASSIGNED}) > 1 else {}
