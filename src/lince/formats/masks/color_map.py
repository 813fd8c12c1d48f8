"""Maps the colours or values of mask images to classes, by a legend or by default.

These legends are read:

- ``labelmap.txt`` (CVAT): ``name:r,g,b:parts:actions``
- ``label_colors.txt`` (CamVid): ``r g b name``
- ``class_dict.csv``: ``name,r,g,b``
- ``_classes.csv`` (Roboflow): value and name
- ``classes.txt``: ``value name``, or one name per line
- ``classes.json``: names with colours or values, in the forms in use
- where there is none of these, a YAML file with ``names``, such as ``data.yaml``
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lince.errors import AmbiguousError, DataError
from lince.formats.yolo.dataset_yaml import read_yaml_config
from lince.i18n import _
from lince.parsing import json_reader
from lince.storage.tree import FileTree

Colour = tuple[int, int, int]
BACKGROUND, VOID = -1, -2  # class of pixels of the background, and of those without a label
LABELMAP_FILE = "labelmap.txt"
_TEXT_FILES = {
    LABELMAP_FILE, "label_map.txt", "label_colors.txt", "class_dict.csv", "_classes.csv", "classes.csv", "classes.txt",
    "labels.txt", "legend.txt", "legend.csv",
}  # fmt: skip
_YAML_SUFFIXES = (".yaml", ".yml")
_JSON_FILES = {"classes.json", "labels.json", "legend.json", "meta.json"}
_BACKGROUND_NAMES = {"background", "_background_", "__background__", "bg"}
_VOID_NAMES = {"void", "ignore", "ignored", "unlabeled", "unlabelled"}
_IGNORED, _VOID, _BLACK = 255, (224, 224, 192), (0, 0, 0)  # as in Pascal VOC
_FOREGROUND = "foreground"  # the class of masks that tell it from the background alone
_MAX_BYTES = 2**20
_MAX_VALUES = 64  # values without a legend; more come from anti-aliased edges
_CVAT_LINE = re.compile(r"(?P<name>.*?)\s*:\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?::[^:]*){0,2}")
_PLAIN_LINES = (  # a number at the end of a name, as in "type 2", is part of the name
    re.compile(r"(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(.*\D.*)"),
    re.compile(r"(.*\D)\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})"),
    re.compile(r"(\d{1,5})\s*[:\s]\s*([^,;\t]*[^,;\t\d][^,;\t]*)"),
)
_HEX_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class PixelValue:
    """The content of a pixel.

    ``value`` is the grey value or the index into the palette, ``None`` in RGB images; ``colour`` is
    (red, green, blue), 0 to 255, also of grey and palette images.
    """

    value: int | None
    colour: Colour


@dataclass(frozen=True)
class ColourMapEntry:
    """A line of a legend: a class ``name`` with its ``value`` or ``colour``.

    Neither is given where the legend is a plain list of names.
    """

    name: str
    value: int | None = None
    colour: Colour | None = None


class ColourMap:
    """Assigns classes to pixels.

    ``names`` are the classes in the order of the legend, without background and void; a class id is an
    index into it. ``path`` is the legend file for messages. ``void`` are the names, values or ``#rrggbb`` colours of
    pixels without a label, besides those that are so by default.
    """

    def __init__(self, entries: Sequence[ColourMapEntry], path: str = "", void: frozenset[str] = frozenset()) -> None:
        """Raise ``DataError`` when two classes have the same value or colour."""
        self.path = path
        self.void_names: list[str] = []
        self._void = frozenset(word.casefold() for word in void)
        self.names: list[str] = []
        self._values: dict[int, int] = {}
        self._colours: dict[Colour, int] = {}
        for entry in entries:
            self._add(entry)

    def find(self, pixel_value: PixelValue) -> int | None:
        """Return the class id of a pixel, ``BACKGROUND``, ``VOID``, or ``None`` when it is not in the legend.

        A legend of values is searched by value, one of colours by colour. Unless the legend has them, 0 and black are
        background, 255 and VOC's "void" colour are void.
        """
        if self._is_void(*spell_content(pixel_value.value, pixel_value.colour)):
            return VOID
        if pixel_value.value is not None and pixel_value.value in self._values:
            return self._values[pixel_value.value]
        if not self._values or pixel_value.value is None:
            if pixel_value.colour in self._colours:
                return self._colours[pixel_value.colour]
            if pixel_value.colour in (_BLACK, _VOID):
                return BACKGROUND if pixel_value.colour == _BLACK else VOID
        if pixel_value.value in (0, _IGNORED):
            return BACKGROUND if pixel_value.value == 0 else VOID
        return None

    def _is_void(self, *texts: str) -> bool:
        """Whether the caller called one of ``texts``, a name, value or colour, void."""
        return not self._void.isdisjoint(text.casefold() for text in texts)

    def _add(self, entry: ColourMapEntry) -> None:
        """Add an entry; entries of the same name are one class, and names such as ``void`` are none."""
        name = entry.name.strip().casefold()
        if name in _VOID_NAMES or self._is_void(name, *spell_content(entry.value, entry.colour)):
            index = VOID
            self.void_names.append(name)
        elif name in _BACKGROUND_NAMES:
            index = BACKGROUND
        elif entry.name in self.names:
            index = self.names.index(entry.name)  # one class may have several colours
        else:
            index = len(self.names)
            self.names.append(entry.name)
        index_by_value: dict[Any, int] = self._values if entry.value is not None else self._colours
        if index_by_value.setdefault(entry.value if entry.value is not None else entry.colour, index) != index:
            value = entry.value if entry.value is not None else entry.colour
            raise DataError(
                _("{path}: {what} stands for two classes.").format(path=self.path, what=value),
                _("Expected one class for each value or colour."),
            )


def spell_content(value: int | None, colour: Colour | None) -> list[str]:
    """Return how ``--void`` may name a value and a colour: ``7`` and ``#rrggbb``; nothing for what is ``None``."""
    return [*([] if value is None else [str(value)]), *([] if colour is None else [_format_colour(colour)])]


def _format_colour(colour: Colour) -> str:
    """Return a colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def find_colour_map(tree: FileTree, folders: Iterable[str]) -> str:
    """Return the legend file of the masks in ``folders``, '' when there is none.

    These folders are searched and all folders above them, the deepest first. Raise ``AmbiguousError``
    when one of them has several legends.
    """
    for folder in _folders_and_parents(folders):
        legend_names = _TEXT_FILES | _JSON_FILES
        names = [name for name in tree.listing.list_files(folder) if name.lower() in legend_names]
        if len(names) > 1:
            raise AmbiguousError(
                _("{folder} contains several legends: {names}.").format(
                    folder=tree.root / folder, names=", ".join(names)
                ),
                _("Expected one legend that maps the colours or values in the masks to classes."),
                _("Move the others elsewhere."),
            )
        names = names or _find_yaml_files(tree, folder)
        if names:
            return posixpath.join(folder, names[0])
    return ""


def _find_yaml_files(tree: FileTree, folder: str) -> list[str]:
    """Return the YAML files in ``folder`` that give names of classes, the first only."""
    names = [name for name in tree.listing.list_files(folder) if name.lower().endswith(_YAML_SUFFIXES)]
    return [name for name in names if _read_yaml_names(tree, posixpath.join(folder, name))][:1]


def _read_yaml_names(tree: FileTree, name: str) -> Mapping[int, str]:
    """Return the class names by value in a YAML file; empty when it gives none or is not readable."""
    try:
        return read_yaml_config(tree, name).names or {}
    except DataError:
        return {}


def read_colour_map(
    tree: FileTree, name: str, pixel_values: Iterable[PixelValue], void: frozenset[str] = frozenset()
) -> ColourMap:
    """Return the legend in the file ``name``.

    ``pixel_values`` are those that occur in the masks; they decide where a plain list of names
    starts to count. Raise ``DataError`` when the file is not a legend, ``AmbiguousError`` when the
    first value of its classes is unclear.
    """
    path = str(tree.root / name)
    if name.lower().endswith(_YAML_SUFFIXES):
        names = _read_yaml_names(tree, name)
        is_list = list(names) == list(range(len(names)))  # its numbers may be places in a list, not values
        entries = [ColourMapEntry(text, None if is_list else value) for value, text in names.items()]
    elif name.lower().endswith(".json"):
        entries = _parse_json(json_reader.load_json(tree, name, _MAX_BYTES), path)
    else:
        entries = _parse_lines(tree.read(name, _MAX_BYTES).decode("utf-8-sig", "replace"), path)
    if all(entry.value is None and entry.colour is None for entry in entries):
        entries = _assign_values(
            entries,
            max((pixel_value.value or 0 for pixel_value in pixel_values if pixel_value.value != _IGNORED), default=0),
            path,
        )
    return ColourMap(entries, path, void)


def make_default_colour_map(pixel_values: Iterable[PixelValue], void: frozenset[str] = frozenset()) -> ColourMap:
    """Return a legend for masks without one: classes ``class_7`` for the value 7, ``#ff0000`` for a colour.

    0 and black are background; "void" is void, and so is 255 unless it is the only other value. Masks of the background
    and one other value have the class ``foreground``. Raise ``DataError`` for more than 64 values: then the masks have
    anti-aliased edges, or are no masks.
    """
    unique_values = set(pixel_values)
    values = sorted({pixel_value.value for pixel_value in unique_values if pixel_value.value is not None} - {0})
    values = [value for value in values if str(value) not in void]
    if values != [_IGNORED]:
        values = [value for value in values if value != _IGNORED]
    colours = sorted(
        {pixel_value.colour for pixel_value in unique_values if pixel_value.value is None} - {_BLACK, _VOID}
    )
    colours = [colour for colour in colours if _format_colour(colour) not in void]
    if len(values) + len(colours) > _MAX_VALUES:
        raise DataError(
            _("The masks contain {count:,} different values or colours.").format(count=len(values) + len(colours)),
            _("Expected one class for each, at most {limit}; anti-aliased edges produce more.").format(
                limit=_MAX_VALUES
            ),
            _("Write a legend beside the masks: {example}.").format(example="labelmap.txt, name:r,g,b::"),
        )
    entries = [ColourMapEntry(f"class_{value}", value) for value in values]
    entries += [ColourMapEntry(_format_colour(colour), None, colour) for colour in colours]
    if len(entries) == 1:
        entries = [replace(entries[0], name=_FOREGROUND)]
    return ColourMap(entries, void=void)


def format_labelmap(names: Sequence[str]) -> str:
    """Return CVAT's ``labelmap.txt`` for classes whose values are 1, 2, ..., in the colours of Pascal VOC."""
    lines = [f"{name}:{','.join(map(str, _voc_colour(i)))}::\n" for i, name in enumerate(("background", *names))]
    return "# label:color_rgb:parts:actions\n" + "".join(lines)


def make_voc_palette() -> list[Colour]:
    """Return the 256 colours of Pascal VOC.

    As in ``VOClabelcolormap`` of the VOC devkit: the bits of the index, from the lowest on, go in
    turn to red, green and blue, where they fill the highest bits first.
    """
    return [_voc_colour(value) for value in range(256)]


def _voc_colour(value: int) -> Colour:
    """Return the colour of one index."""
    red, green, blue = (sum((value >> 3 * i + channel & 1) << 7 - i for i in range(3)) for channel in range(3))
    return red, green, blue


def _folders_and_parents(start_folders: Iterable[str]) -> list[str]:
    """Return ``start_folders`` and all folders above them, the deepest first."""
    folders = dict.fromkeys(start_folders)
    for folder in list(folders):
        while folder:
            folder = posixpath.dirname(folder)  # noqa: PLW2901
            folders[folder] = None
    return sorted(folders, key=lambda folder: (-len(folder.split("/")) if folder else 1, folder))


def _parse_lines(text: str, path: str) -> list[ColourMapEntry]:
    """Return the entries of a legend in text form.

    Return plain names where no line has a value or colour. A first line without one is the heading
    of a table, except in ``labelmap.txt``; any other such line is a ``DataError``, since a class
    would be missing.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    entries = [(number, entry) for number, line in lines if (entry := _parse_line(line)) is not None]
    complete = [(number, entry) for number, entry in entries if entry.value is not None or entry.colour is not None]
    if not complete:
        return [entry for _number, entry in entries]
    first_entry = entries[0][1]
    has_heading = first_entry.value is None and first_entry.colour is None and not path.endswith(LABELMAP_FILE)
    if len(complete) < len(entries) - has_heading:
        number = next(number for number, entry in entries[has_heading:] if entry.value is None and entry.colour is None)
        raise DataError(
            f"{path}:{number}: " + _("a line without a value or colour."),
            _("Expected one in every line, as in the others."),
            _("Correct the line."),
        )
    return [entry for _number, entry in complete]


def _parse_line(line: str) -> ColourMapEntry | None:
    """Return the entry of a line, a plain name if it has no value or colour; ``None`` for a comment."""
    match = _CVAT_LINE.fullmatch(line)
    if match:
        return ColourMapEntry(match["name"].strip(), None, _parse_rgb(match.groups()[1:]))
    if line.startswith(("#", "//")):
        return None
    cells = next((list(match.groups()) for pattern in _PLAIN_LINES if (match := pattern.fullmatch(line))), None)
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
    """Return the entries of a legend in JSON: an object of names, or a list, alone or under ``classes``.

    Raise ``DataError`` when an item cannot be understood.
    """
    if isinstance(value, dict) and isinstance(value.get("classes"), (list, dict)):
        value = value["classes"]
    if isinstance(value, dict):
        entries = [_parse_pair(name, item_value) for name, item_value in value.items()]
    elif isinstance(value, list):
        entries = [_parse_item(item) for item in value]
    else:
        entries = []
    if not entries or None in entries:
        raise DataError(
            _("{path} is not a legend for masks.").format(path=path),
            _("Expected names with their colours or values, such as {example}.").format(example='{"cat": [128, 0, 0]}'),
        )
    return [entry for entry in entries if entry is not None]


def _parse_pair(name: str, value: Any) -> ColourMapEntry | None:
    """Return the entry of ``{name: value}`` or ``{"value": "name"}``, ``None`` when it is neither."""
    if isinstance(value, str) and name.isdecimal() and len(name) < 10:
        return ColourMapEntry(value, int(name))
    return _parse_entry(name, value)


def _parse_item(item: Any) -> ColourMapEntry | None:
    """Return the entry of a list item, a name or an object; ``None`` when it is neither."""
    if isinstance(item, str):
        return ColourMapEntry(item)
    if not isinstance(item, dict):
        return None
    name = next((item[key] for key in ("name", "title", "label", "class") if isinstance(item.get(key), str)), None)
    keys = ("color", "colour", "rgb", "value", "index", "id")
    value = next((item[key] for key in keys if item.get(key) is not None), None)
    return _parse_entry(name, value) if name is not None else None


def _parse_entry(name: str, value: Any) -> ColourMapEntry | None:
    """Return the entry of a name with a value, a list of channels or a hex colour; ``None`` for other types."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**16:
        return ColourMapEntry(name, value)
    if isinstance(value, str) and (match := _HEX_COLOUR.fullmatch(value)):
        red, green, blue = bytes.fromhex(match[1])
        return ColourMapEntry(name, None, (red, green, blue))
    if isinstance(value, list) and len(value) in (3, 4) and all(isinstance(channel, int) for channel in value):
        return ColourMapEntry(name, None, (value[0], value[1], value[2]))
    return None


def _assign_values(entries: Sequence[ColourMapEntry], highest: int, path: str) -> list[ColourMapEntry]:
    """Return the entries of a list of names with values: from 0 when the first name is the background, else from 1.

    Counting from 1 is only assumed when the highest value in the masks equals the number of names;
    otherwise raise ``AmbiguousError``.
    """
    if not entries or entries[0].name.strip().casefold() in _BACKGROUND_NAMES:
        return [ColourMapEntry(entry.name, value) for value, entry in enumerate(entries)]
    if highest == len(entries):
        return [ColourMapEntry(entry.name, value) for value, entry in enumerate(entries, 1)]
    raise AmbiguousError(
        _("{path} does not give the mask value of its first class.").format(path=path),
        _("Expected the value before each name, or the background as first name."),
        _("Write it: {example}.").format(example="0 background"),
    )


def _parse_rgb(numbers: Sequence[str]) -> Colour:
    """Return the colour of three numbers in text form."""
    red, green, blue = (int(number) for number in numbers)
    return red, green, blue
