"""What the colours or numbers in mask pictures stand for: read from the legends that tools write, or made up openly.

Read are ``labelmap.txt`` (CVAT: ``name:r,g,b:parts:actions``), ``label_colors.txt`` (CamVid: ``r g b name``),
``class_dict.csv`` (``name,r,g,b``), ``_classes.csv`` (Roboflow: value and name), ``classes.txt`` (``value name``, or a
name a line) and ``classes.json`` (names with colours or values, in the ways in use).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lince.errors import AmbiguousError, DataError
from lince.i18n import _
from lince.parsing import json_reader
from lince.storage.tree import FileTree

Colour = tuple[int, int, int]
BACKGROUND = -1  # background, and what is to be ignored
LABELMAP_FILE = "labelmap.txt"
_TEXT_FILES = {LABELMAP_FILE, "label_map.txt", "label_colors.txt", "class_dict.csv", "_classes.csv", "classes.csv", "classes.txt",
          "labels.txt", "legend.txt", "legend.csv"}  # fmt: skip
_JSON_FILES = {"classes.json", "labels.json", "legend.json", "meta.json"}
_BACKGROUND_NAMES = {
    "background",
    "_background_",
    "__background__",
    "bg",
    "void",
    "ignore",
    "ignored",
    "unlabeled",
    "unlabelled",
}
_IGNORED, _VOID, _BLACK = 255, (224, 224, 192), (0, 0, 0)  # as Pascal VOC has them
_MAX_BYTES = 2**20
_MAX_VALUES = 64
_CVAT_LINE = re.compile(r"(?P<name>.*?)\s*:\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?::[^:]*){0,2}")
_PLAIN_LINES = (  # "type 2" is a name
    re.compile(r"(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(.*\D.*)"),
    re.compile(r"(.*\D)\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})"),
    re.compile(r"(\d{1,5})\s*[:\s]\s*([^,;\t]*[^,;\t\d][^,;\t]*)"),
)
_HEX_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class PixelValue:
    """What a pixel holds: a ``value`` (grey, or the number of a palette's colour; ``None`` in RGB) and a ``colour``."""

    value: int | None
    colour: Colour


@dataclass(frozen=True)
class ColourMapEntry:
    """A line of a legend: ``name``, and its ``value`` or ``colour``; neither where the legend is a list of names."""

    name: str
    value: int | None = None
    colour: Colour | None = None


class ColourMap:
    """Which class a pixel means; ``names`` are the classes in the order of the legend, background left out."""

    def __init__(self, entries: Sequence[ColourMapEntry], path: str = "") -> None:
        self.path = path
        self.names: list[str] = []
        self._values: dict[int, int] = {}
        self._colours: dict[Colour, int] = {}
        for entry in entries:
            self._add(entry)

    def find(self, key: PixelValue) -> int | None:
        """Return the class of a pixel: its index in ``names``, NOTHING, or ``None`` when the legend does not tell."""
        if key.value is not None and key.value in self._values:
            return self._values[key.value]
        if not self._values or key.value is None:
            if key.colour in self._colours:
                return self._colours[key.colour]
            if key.colour in (_BLACK, _VOID):
                return BACKGROUND
        return BACKGROUND if key.value in (0, _IGNORED) else None

    def _add(self, entry: ColourMapEntry) -> None:
        if entry.name.strip().casefold() in _BACKGROUND_NAMES:
            index = BACKGROUND
        elif entry.name in self.names:
            index = self.names.index(entry.name)  # several colours may mean one class
        else:
            index = len(self.names)
            self.names.append(entry.name)
        known: dict[Any, int] = self._values if entry.value is not None else self._colours
        if known.setdefault(entry.value if entry.value is not None else entry.colour, index) != index:
            what = entry.value if entry.value is not None else entry.colour
            raise DataError(
                _("{path}: {what} stands for two classes.").format(path=self.path, what=what),
                _("Expected one class for each value or colour."),
            )


def find_colour_map(tree: FileTree, near: Iterable[str]) -> str:
    """Return the legend file of the masks in the folders ``near``: beside them, else above; empty for none.

    Raise ``AmbiguousError`` when one folder holds several.
    """
    for folder in _folders_and_parents(near):
        known = _TEXT_FILES | _JSON_FILES
        found = [name for name in tree.listing.list_files(folder) if name.lower() in known]
        if len(found) > 1:
            raise AmbiguousError(
                _("{folder} holds several legends: {names}.").format(folder=tree.root / folder, names=", ".join(found)),
                _("Expected one that says what the colours or values in the masks mean."),
                _("Move the others elsewhere."),
            )
        if found:
            return posixpath.join(folder, found[0])
    return ""


def read_colour_map(tree: FileTree, name: str, keys: Iterable[PixelValue]) -> ColourMap:
    """Return the legend in the file ``name`` for masks that hold ``keys``; raise ``DataError`` when it is none."""
    path = str(tree.root / name)
    if name.lower().endswith(".json"):
        entries = _parse_json(json_reader.load_json(tree, name, _MAX_BYTES), path)
    else:
        entries = _parse_lines(tree.read(name, _MAX_BYTES).decode("utf-8-sig", "replace"), path)
    if all(entry.value is None and entry.colour is None for entry in entries):
        entries = _assign_values(
            entries, max((key.value or 0 for key in keys if key.value != _IGNORED), default=0), path
        )
    return ColourMap(entries, path)


def make_default_colour_map(keys: Iterable[PixelValue]) -> ColourMap:
    """Return a legend for masks that come without: ``class_7`` for the value 7, ``#ff0000`` for a colour.

    0 and black are background; 255 is to be ignored, unless it is the only other value. Raise ``DataError`` for more
    values than classes are likely.
    """
    known = set(keys)
    values = sorted({key.value for key in known if key.value is not None} - {0})
    if values != [_IGNORED]:
        values = [value for value in values if value != _IGNORED]
    colours = sorted({key.colour for key in known if key.value is None} - {_BLACK, _VOID})
    if len(values) + len(colours) > _MAX_VALUES:
        raise DataError(
            _("The masks hold {count:,} different values or colours.").format(count=len(values) + len(colours)),
            _("Expected a class for each, at most {limit}; smoothed edges make more.").format(limit=_MAX_VALUES),
            _("Write a legend beside the masks: {example}.").format(example="labelmap.txt, name:r,g,b::"),
        )
    by_value = [ColourMapEntry(f"class_{value}", value) for value in values]
    return ColourMap(
        [*by_value, *(ColourMapEntry("#{:02x}{:02x}{:02x}".format(*colour), None, colour) for colour in colours)]
    )


def format_labelmap(names: Sequence[str]) -> str:
    """Return the ``labelmap.txt`` of classes that stand in a mask as 1, 2, ..., coloured by ``palette``."""
    lines = [f"{name}:{','.join(map(str, _voc_colour(i)))}::\n" for i, name in enumerate(("background", *names))]
    return "# label:color_rgb:parts:actions\n" + "".join(lines)


def make_voc_palette() -> list[Colour]:
    """Return the 256 colours of Pascal VOC: the bits of the number, lowest first, are dealt out to red, green, blue."""
    return [_voc_colour(value) for value in range(256)]


def _voc_colour(value: int) -> Colour:
    red, green, blue = (sum((value >> 3 * i + band & 1) << 7 - i for i in range(3)) for band in range(3))
    return red, green, blue


def _folders_and_parents(near: Iterable[str]) -> list[str]:
    """Return the folders ``near`` and all above them, the deepest first."""
    found = dict.fromkeys(near)
    for folder in list(found):
        while folder:
            folder = posixpath.dirname(folder)  # noqa: PLW2901
            found[folder] = None
    return sorted(found, key=lambda folder: (-len(folder.split("/")) if folder else 1, folder))


def _parse_lines(text: str, path: str) -> list[ColourMapEntry]:
    rows = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    found = [(number, entry) for number, line in rows if (entry := _parse_line(line)) is not None]
    told = [(number, entry) for number, entry in found if entry.value is not None or entry.colour is not None]
    if not told:
        return [entry for _number, entry in found]
    first = found[0][1]
    heading = first.value is None and first.colour is None and not path.endswith(LABELMAP_FILE)
    if len(told) < len(found) - heading:
        number = next(number for number, entry in found[heading:] if entry.value is None and entry.colour is None)
        raise DataError(
            f"{path}:{number}: " + _("a line without a value or colour."),
            _("Expected one in every line, as in the others."),
            _("Correct the line."),
        )
    return [entry for _number, entry in told]


def _parse_line(line: str) -> ColourMapEntry | None:
    match = _CVAT_LINE.fullmatch(line)
    if match:
        return ColourMapEntry(match["name"].strip(), None, _parse_rgb(match.groups()[1:]))
    if line.startswith(("#", "//")):
        return None
    cells = next((list(match.groups()) for form in _PLAIN_LINES if (match := form.fullmatch(line))), None)
    if cells is None:
        cells = [cell.strip() for cell in re.split(r"[,;\t]", line)]
    numbers = [cell for cell in cells if cell.isdecimal()]
    name = " ".join(cell for cell in cells if cell and not cell.isdecimal()).strip("\"'")
    if not name or len(numbers) not in (1, 3):
        return ColourMapEntry(line)
    if len(numbers) == 3:
        return ColourMapEntry(name, None, _parse_rgb(numbers))
    return ColourMapEntry(name, int(numbers[0][:9]))


def _parse_json(value: Any, path: str) -> list[ColourMapEntry]:
    if isinstance(value, dict) and isinstance(value.get("classes"), (list, dict)):
        value = value["classes"]
    if isinstance(value, dict):
        entries = [_parse_pair(name, said) for name, said in value.items()]
    elif isinstance(value, list):
        entries = [_parse_item(item) for item in value]
    else:
        entries = []
    if not entries or None in entries:
        raise DataError(
            _("{path} is no legend of masks.").format(path=path),
            _("Expected names with their colours or values, such as {example}.").format(example='{"cat": [128, 0, 0]}'),
        )
    return [entry for entry in entries if entry is not None]


def _parse_pair(name: str, said: Any) -> ColourMapEntry | None:
    if isinstance(said, str) and name.isdecimal() and len(name) < 10:
        return ColourMapEntry(said, int(name))
    return _parse_entry(name, said)


def _parse_item(item: Any) -> ColourMapEntry | None:
    if isinstance(item, str):
        return ColourMapEntry(item)
    if not isinstance(item, dict):
        return None
    name = next((item[key] for key in ("name", "title", "label", "class") if isinstance(item.get(key), str)), None)
    keys = ("color", "colour", "rgb", "value", "index", "id")
    said = next((item[key] for key in keys if item.get(key) is not None), None)
    return _parse_entry(name, said) if name is not None else None


def _parse_entry(name: str, said: Any) -> ColourMapEntry | None:
    if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < 2**16:
        return ColourMapEntry(name, said)
    if isinstance(said, str) and (match := _HEX_COLOUR.fullmatch(said)):
        red, green, blue = bytes.fromhex(match[1])
        return ColourMapEntry(name, None, (red, green, blue))
    if isinstance(said, list) and len(said) in (3, 4) and all(isinstance(band, int) for band in said):
        return ColourMapEntry(name, None, (said[0], said[1], said[2]))
    return None


def _assign_values(entries: Sequence[ColourMapEntry], highest: int, path: str) -> list[ColourMapEntry]:
    """Return a list of names with their values: from 0 when the first is the background, else from 1.

    The latter only when the masks hold the last value that this gives; it cannot be told otherwise.
    """
    if not entries or entries[0].name.strip().casefold() in _BACKGROUND_NAMES:
        return [ColourMapEntry(entry.name, value) for value, entry in enumerate(entries)]
    if highest == len(entries):
        return [ColourMapEntry(entry.name, value) for value, entry in enumerate(entries, 1)]
    raise AmbiguousError(
        _("{path} does not say which value its first class has in the masks.").format(path=path),
        _("Expected the value before each name, or the background as first name."),
        _("Write it: {example}.").format(example="0 background"),
    )


def _parse_rgb(numbers: Sequence[str]) -> Colour:
    red, green, blue = (int(number) for number in numbers)
    return red, green, blue
