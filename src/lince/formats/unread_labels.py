"""Names what lies among photos and looks like labels, but is read by no format, so that it is not passed over."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lince.errors import DataError
from lince.formats.csv_boxes.columns import find_shape_columns
from lince.formats.csv_headers import (
    CLASS_HEADERS,
    FILE_HEADERS,
    is_split_header,
    make_open_images_remedy,
    name_open_images_table,
    normalise_header,
)
from lince.formats.csv_text import CSV_SUFFIXES, decode_text, find_first_line, split_cells
from lince.formats.folder_layout import join_path
from lince.formats.folder_roles import is_class_name
from lince.formats.photo_numbers import PhotoNumbers
from lince.i18n import _
from lince.parsing import json_reader
from lince.splits import fold_accents, tokenise_name
from lince.storage.scan import SPLIT_FILE, looks_like_image
from lince.storage.tree import FileTree

_MAX_PROBES = 64  # files of one kind that are looked at
_HEAD_BYTES = 8192
_MAX_ROWS = 20  # of a table, compared with the names of the photos
_MAX_SHOWN = 80  # characters of a line
_ID_HEADERS = frozenset({*FILE_HEADERS, "id", "image_id", "imageid", "img_id", "photo_id", "id_code"})
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_LABEL_FOLDER = re.compile(
    r"(?:.*[-_ ])?(?:ann|annotations?|annots?|labels?|labeltxt|masks?|gt"
    r"|anotaciones|anotacoes|etiquetas|rotulos|mascaras)(?:[-_ ]?\d+)?"
)
_LABEL_WORDS = frozenset(
    {"mask", "masks", "label", "labels", "gt"}
)  # also in names of classes: with_mask, without_mask
_BDD, _VOTT_1 = "BDD100K", "VoTT 1"
_OTHER_JSON = "JSON"
_METADATA = "Hugging Face (metadata.jsonl)"  # without classes and objects, such as captions
# The first keys of what lince prints with ``--json`` and names photos: check, predict, similar, convert.
_OWN_KEYS = (
    ("format", "lince", "data"), ("counts", "photos"), ("rejected", "written"), ("photo", "count", "similar"),
    ("path", "format", "images", "objects", "classes"),
)  # fmt: skip
_OWN_PREDICTION_KEYS = ("file", "class", "probability")
# Kinds of labels by suffix and by bytes near their beginning.
_MARKED_KINDS = (
    ("Amazon SageMaker", ".manifest", b'"source-ref"'),
    ("Pascal (key points)", ".xml", b"<keypoints>"),
)


@dataclass(frozen=True)
class UnreadLabels:
    """A file or folder that looks like labels and is read by no format.

    ``what`` says what it is and ``remedy`` what to do, each a text for people. ``is_certain`` says whether it surely
    speaks of the photos, so that they must not be read without it.
    """

    path: str
    what: str
    remedy: str
    is_certain: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.what} ({self.remedy})"


def find_unread_labels(tree: FileTree, only: str = "") -> list[UnreadLabels]:
    """Return what looks like labels in ``tree`` and is not read by the format that is about to be used.

    With ``only``, the name of a file, nothing else is looked at.
    """
    search = _Search(tree, only)
    found = [*search.find_json(), *search.find_tables(), *search.find_boxes(), *search.find_others()]
    if found:
        return found
    rows, folders = list(search.find_rows()), [] if only else list(search.find_folders())
    if rows and [posixpath.dirname(rows[0].path)] == [folder.path for folder in folders]:
        return [replace(rows[0], is_certain=folders[0].is_certain)]  # it says more than that there is the folder
    return [*rows, *folders]


class _Search:
    """Looks at the beginnings of the files of one tree, or at one file of it."""

    def __init__(self, tree: FileTree, only: str) -> None:
        self._tree = tree
        self._only = only

    def _find_by_suffix(self, *suffixes: str) -> list[str]:
        """Return the names of the files with one of ``suffixes``, which are in lower case; of 64 at most."""
        if self._only:
            return [self._only] if self._only.lower().endswith(suffixes) else []
        return self._tree.listing.find_by_suffix(*suffixes)[:_MAX_PROBES]

    @cached_property
    def _photo_names(self) -> set[str]:
        """The file names of all photos, in lower case, with and without their suffix."""
        names = (posixpath.basename(name).lower() for name in self._tree.names if looks_like_image(name))
        return {text for name in names for text in (name, posixpath.splitext(name)[0])}

    @cached_property
    def _numbers(self) -> PhotoNumbers:
        return PhotoNumbers(self._tree.names)

    def find_json(self) -> Iterator[UnreadLabels]:
        """Yield the first file of each kind of JSON labels, and the first that is broken."""
        kinds: set[str] = set()
        for name in self._find_by_suffix(".json", ".jsonl", ".ndjson"):
            value = json_reader.peek_json(self._tree, name, _HEAD_BYTES)
            if not self._only and _is_own_document(value):
                continue
            kind = _name_json_kind(value)
            problem = "" if kind or not name.lower().endswith(".json") else self._find_json_problem(name)
            if kind and kind not in kinds:
                yield UnreadLabels(name, _("labels of {kind}").format(kind=kind), _find_remedy(kind, name))
            elif problem and "" not in kinds:
                yield UnreadLabels(name, problem, _("correct it there, or export it again"))
            elif not kind and not problem and _OTHER_JSON not in kinds and self._quotes_photos(name):
                kind = _OTHER_JSON
                yield UnreadLabels(name, _("a JSON file that names photos"), _export_remedy())
            kinds |= {kind} if kind else {""} if problem else set()

    def _find_json_problem(self, name: str) -> str:
        """Return why a JSON file that speaks of images or annotations is broken; empty for any other."""
        head = self._tree.head(name, _HEAD_BYTES)
        if not any(word in head for word in (b"annotations", b"images", b"shapes", b"labels")):
            return ""
        return next((item.reason for item in json_reader.find_invalid_files(self._tree, [name])), "")

    def _quotes_photos(self, name: str) -> bool:
        """Whether a file has two texts in quotes, or one where it has no more, that are names of photos."""
        texts = re.findall(rb'"([^"\\]{1,200}\.\w{3,4})"', self._read_head(name))
        return 0 < len(texts) <= 2 * sum(self._has_photo([text.decode("utf-8", "replace")]) for text in texts)

    def find_boxes(self) -> Iterator[UnreadLabels]:
        """Yield the first text file with a photo and at least four numbers, in one line or in the next two."""
        for name in self._find_by_suffix(".txt"):
            lines = self._read_head(name).decode("utf-8", "replace").splitlines()[: _MAX_ROWS * 5]
            if any(_has_boxes(lines[i : i + 3]) and self._has_photo(line.split()[:1]) for i, line in enumerate(lines)):
                what, remedy = _("a text file with the names of photos and numbers"), _table_remedy()
                yield UnreadLabels(name, what, remedy)
                return

    def find_rows(self) -> Iterator[UnreadLabels]:
        """Yield the first text file that is called as a photo, with its first line: rows of labels that are damaged."""
        for name in self._find_by_suffix(".txt"):
            lines = enumerate(self._read_head(name).decode("utf-8", "replace").splitlines(), 1)
            number, line = next(((number, line) for number, line in lines if line.strip()), (0, ""))
            if number and _get_stem(name) in self._photo_names:
                what = _("line {number} is not a row of labels: {line}").format(
                    number=number, line=line.strip()[:_MAX_SHOWN]
                )
                remedy = _("if the file holds labels: YOLO has rows of class, x, y, width and height with blanks")
                yield UnreadLabels(name, what, remedy, is_certain=False)
                return

    def find_tables(self) -> Iterator[UnreadLabels]:
        """Yield the tables whose first rows name photos, with their columns, and spreadsheets."""
        for name in self._find_by_suffix(*CSV_SUFFIXES):
            try:
                text = decode_text(self._tree.head(name, _HEAD_BYTES))
            except DataError:
                continue
            header, delimiter = find_first_line(text)
            cells = [cell.strip() for cell in split_cells(header, delimiter)]
            if kind := name_open_images_table(cells):
                yield UnreadLabels(name, kind, make_open_images_remedy())
            elif self._names_photos(text, delimiter) or self._names_numbers(name, text, delimiter):
                yield self._describe_table(name, header, delimiter)
        head = self._read_head(SPLIT_FILE) if not self._only and self._tree.has(SPLIT_FILE) else b""
        if head and not is_split_header(head.decode("utf-8-sig", "replace").partition("\n")[0]):
            what = _("a table called as the file that lince split writes")
            yield UnreadLabels(SPLIT_FILE, what, _("rename it to labels.csv to read it"), is_certain=False)
        for name in self._find_by_suffix(*_SPREADSHEETS)[:3]:
            yield UnreadLabels(name, _("a spreadsheet"), _("save it as CSV"), is_certain=False)

    def _describe_table(self, name: str, header: str, delimiter: str) -> UnreadLabels:
        """Return the table ``name`` that names photos, by its first line, with what to do."""
        cells = _split_row(header, delimiter)
        remedy = _("call its columns file and class, with one class for each photo")
        if self._has_photo(cells) and not {*map(normalise_header, cells)} & (_ID_HEADERS | {*CLASS_HEADERS}):
            what = _("a table without a header that names photos, beginning with {line}").format(
                line=" ".join(header.split())[:_MAX_SHOWN]
            )
            return UnreadLabels(
                name, what, _("write file,class into a first line, and a photo and its class, with a comma, into each")
            )
        if find_shape_columns(cells):
            remedy = _("give each box a row, with the columns file, class, xmin, ymin, xmax, ymax")
        what = _("a table that names photos, with the columns {names}").format(names=", ".join(cells[:12]))
        return UnreadLabels(name, what, remedy)

    def _has_photo(self, cells: Sequence[str]) -> bool:
        """Whether one of the first cells of a row is the name of a photo."""
        return any(re.split(r"[/\\]", cell.strip().lower())[-1] in self._photo_names for cell in cells[:4])

    def _names_numbers(self, name: str, text: str, delimiter: str) -> bool:
        """Whether a column of ids in a table holds the numbers of photos: ``7`` for ``007.png``."""
        header, *lines = text.splitlines()[: _MAX_ROWS + 1] or [""]
        headers = [normalise_header(cell) for cell in split_cells(header, delimiter)]
        column = next((i for i, one in enumerate(headers) if one in _ID_HEADERS), None)
        rows = [split_cells(line, delimiter) for line in lines]
        cells = [row[column] for row in rows if column is not None and len(row) == len(headers)]
        return bool(cells) and all(self._numbers.find(cell, posixpath.dirname(name)) for cell in cells)

    def _names_photos(self, text: str, delimiter: str) -> bool:
        """Whether most of the first rows of a table have a cell that is the name of a photo."""
        rows = [_split_row(line, delimiter) for line in text.splitlines()[1 : _MAX_ROWS + 1]]
        hits = [self._has_photo(cells) for cells in rows if any(cells)]
        return 2 * sum(hits) > len(hits)

    def find_others(self) -> Iterator[UnreadLabels]:
        """Yield files that other programs keep for themselves, and archives, which are not opened inside a folder."""
        for kind, suffix, mark in _MARKED_KINDS:
            for name in self._find_by_suffix(suffix):
                if mark in self._read_head(name):
                    yield UnreadLabels(name, _("labels of {kind}").format(kind=kind), _table_remedy())
                    break
        for name in self._tree.listing.list_files() if not self._only else ():
            if name.lower().endswith((".zip", ".rar", ".7z", ".tar", ".tgz", ".gz")):
                yield UnreadLabels(name, _("an archive"), _("unpack it there"), is_certain=False)

    def _read_head(self, name: str) -> bytes:
        try:
            return self._tree.head(name, _HEAD_BYTES)
        except DataError:
            return b""

    def find_folders(self) -> Iterator[UnreadLabels]:
        """Yield the first folder beside photos that is named as one of labels or masks and holds files."""
        for folder in sorted(self._tree.listing.all_folders):
            parent, _slash, name = folder.rpartition("/")
            if not _LABEL_FOLDER.fullmatch(fold_accents(name)) or not self._tree.listing.list_files(folder):
                continue
            words = set(tokenise_name(name))
            siblings = [one for one in self._tree.listing.list_folders(parent) if one != name]
            others = [join_path(parent, one) for one in siblings if not words & _LABEL_WORDS & set(tokenise_name(one))]
            if any(self._holds_photos(other) for other in others) and not self._is_class(folder, others):
                what = _("a folder named as one of labels or masks")
                yield UnreadLabels(folder, what, _export_remedy(), is_certain=not is_class_name(name) or "_" in name)
                return

    def _holds_photos(self, folder: str) -> bool:
        return any(map(looks_like_image, self._tree.listing.iterate_files(folder)))

    def _is_class(self, folder: str, others: list[str]) -> bool:
        """Whether a folder holds photos alone, and most are called like none in ``others``: they are no masks."""
        names = list(self._tree.listing.iterate_files(folder))
        known = {_get_stem(name) for other in others for name in self._tree.listing.iterate_files(other)}
        return all(map(looks_like_image, names)) and 2 * sum(_get_stem(name) in known for name in names) < len(names)


def _has_boxes(lines: Sequence[str]) -> bool:
    """Whether four numbers follow the first word, which has a suffix: in its line, or in one of the next two."""
    first, *rest = lines[0].split() or [""]
    rows = [rest] if rest else [line.split() for line in lines[1:]]
    return "." in first and any(len(row) >= 4 and all(map(_NUMBER.fullmatch, row)) for row in rows)


def _get_stem(name: str) -> str:
    """Return the name of a photo or its mask without what says that it is one."""
    return re.sub(r"[-_ ]?(?:masks?|labels?|gt|seg)$", "", posixpath.splitext(posixpath.basename(name))[0].lower())


def _split_row(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line of a table, stripped; those between blanks where it has no delimiter."""
    return line.split() if delimiter not in line else [cell.strip() for cell in split_cells(line, delimiter)]


def _name_json_kind(value: Any) -> str:
    """Return the name of the format of a JSON file that no format reads, by its keys; empty for any other."""
    first = _first_record(value)
    if isinstance(value, list):
        return _BDD if {"name", "labels"} <= first.keys() else ""
    if {"name", "frames"} <= value.keys() and isinstance(value["frames"], list):
        return _BDD
    if {"project", "metadata", "file", "view"} <= value.keys():
        return "VIA 3"
    if "frames" in value and {"inputTags", "scd"} & value.keys():
        return _VOTT_1
    return _METADATA if "file_name" in value else ""


def _is_own_document(value: Any) -> bool:
    """Whether a JSON value is what a command of lince printed, by its first keys."""
    if not isinstance(value, dict):
        return False
    keys = tuple(value)
    if keys[:1] == ("predictions",):
        return tuple(_first_record(value["predictions"] or ()))[:3] == _OWN_PREDICTION_KEYS
    return any(keys[: len(own)] == own for own in _OWN_KEYS)


def _first_record(value: Any) -> dict[str, Any]:
    """Return the first value of a list or record, where that is a record; else an empty one."""
    values = iter(value.values() if isinstance(value, dict) else value)
    first = next(values, None)
    return first if isinstance(first, dict) else {}


def _find_remedy(kind: str, name: str) -> str:
    """Return how the labels of ``kind`` in the file ``name`` become ones that lince reads."""
    if kind == _BDD:
        command = f"python -m bdd100k.label.to_coco -m det -i {name} -o coco.json"
        return _("turn it into COCO with BDD100K's own program: {command}").format(command=command)
    if kind == _METADATA:
        return _("give its records label or objects")
    if kind == _VOTT_1:
        return _("export it from VoTT as Pascal VOC")
    return _table_remedy() if kind == "VIA 3" else _export_remedy()


def _table_remedy() -> str:
    return _("write its boxes into a CSV table with the columns filename, class, xmin, ymin, xmax, ymax")


def _export_remedy() -> str:
    return _("lince does not read it; export the labels as COCO or YOLO")
