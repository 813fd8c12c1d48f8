"""Which columns of a table hold boxes: told by the names in its first line, or by what stands in a first row."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lince.annotations import DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.errors import AmbiguousError
from lince.i18n import _
from lince.storage.scan import looks_like_image

DELIMITERS = ",;\t|"
XYXY, XYWH = "corners", "sides"
_FILE_HEADERS = [
    "path",
    "file_path",
    "filepath",
    "filename",
    "file_name",
    "file",
    "image",
    "image_path",
    "image_name",
    "imagename",
    "img",
    "img_path",
    "photo",
]
_IMAGE_ID_HEADERS = ["imageid", "image_id"]  # where no other column names the file
_CLASS_HEADERS = ["class", "class_name", "label", "label_name", "labelname", "category"]
_NAME_HEADERS = ["name", "species", "object"]  # where no other column names the class
_SPLIT_HEADERS = ["split", "set", "subset", "partition"]
_LEFT_HEADERS = ["xmin", "x_min", "x1", "left", "xtl", "bbox_xmin", "bbox_x1"]
_TOP_HEADERS = ["ymin", "y_min", "y1", "top", "ytl", "bbox_ymin", "bbox_y1"]
_RIGHT_HEADERS = ["xmax", "x_max", "x2", "right", "xbr", "bbox_xmax", "bbox_x2"]
_BOTTOM_HEADERS = ["ymax", "y_max", "y2", "bottom", "ybr", "bbox_ymax", "bbox_y2"]
_X_HEADERS, _Y_HEADERS = ["bbox_x", "x", "left", "xmin", "x_min"], ["bbox_y", "y", "top", "ymin", "y_min"]
_BOX_WIDTH_HEADERS, _BOX_HEIGHT_HEADERS = (
    ["bbox_width", "bbox_w", "box_width", "w", "width"],
    ["bbox_height", "bbox_h", "box_height", "h", "height"],
)
_IMAGE_WIDTH_HEADERS, _IMAGE_HEIGHT_HEADERS = (
    ["image_width", "img_width", "width"],
    ["image_height", "img_height", "height"],
)
_FLAGS_BY_HEADER = {
    "isoccluded": OCCLUDED,
    "occluded": OCCLUDED,
    "istruncated": TRUNCATED,
    "truncated": TRUNCATED,
    "isgroupof": GROUP,
    "difficult": DIFFICULT,
}


@dataclass(frozen=True)
class BoxColumns:
    """Where the columns of a table of boxes stand.

    ``box`` are four places: left, top, right, bottom where ``form`` is CORNERS, left, top, width, height where it is
    SIDES. ``size`` are those of the image's width and height. ``shares`` tells that boxes are shares of the image.
    """

    delimiter: str
    column_count: int
    has_header: bool
    file: int
    label: int
    box: tuple[int, int, int, int]
    box_format: str
    size: tuple[int, int] | None = None
    split: int | None = None
    normalised: bool = False
    flags: Mapping[int, int] = field(default_factory=dict)


def detect_columns(text: str) -> BoxColumns | None:
    """Return the columns of the table that starts as ``text`` does, ``None`` when it is no table of boxes.

    Raise ``AmbiguousError`` when two columns could hold the file or the class.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    cells = split_cells(first, delimiter)
    return _columns_from_header(cells, delimiter) or _columns_from_first_row(cells, delimiter)


def split_cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def find_box_columns(names: Sequence[str]) -> list[str]:
    """Return which of the column ``names`` hold the box of an object; none when there is no box among them."""
    found, _form = _find_box([normalise_header(name) for name in names])
    return [] if found is None else [names[i] for i in found]


def normalise_header(name: str) -> str:
    """Return a column's name as it is compared."""
    return name.strip().strip('"').lower().replace(" ", "_").replace("-", "_")


def _columns_from_header(cells: Sequence[str], delimiter: str) -> BoxColumns | None:
    names = [normalise_header(cell) for cell in cells]
    box, form = _find_box(names)
    files = _find_positions(names, _FILE_HEADERS) or _find_positions(names, _IMAGE_ID_HEADERS)
    labels = _find_positions(names, _CLASS_HEADERS) or _find_positions(names, _NAME_HEADERS)
    if box is None or not files or not labels:
        return None
    width, height = (
        [i for i in _find_positions(names, known) if i not in box]
        for known in (_IMAGE_WIDTH_HEADERS, _IMAGE_HEIGHT_HEADERS)
    )
    return BoxColumns(
        delimiter=delimiter,
        column_count=len(names),
        has_header=True,
        file=_require_single(cells, files),
        label=_require_single(cells, labels),
        box=box,
        box_format=form,
        size=(width[0], height[0]) if width and height else None,
        split=next(iter(_find_positions(names, _SPLIT_HEADERS)), None),
        normalised="imageid" in names and "labelname" in names,  # OpenImages
        flags={i: _FLAGS_BY_HEADER[name] for i, name in enumerate(names) if name in _FLAGS_BY_HEADER},
    )


def _columns_from_first_row(cells: Sequence[str], delimiter: str) -> BoxColumns | None:
    """Return the columns of makesense.ai (class, box, image and its size) or of RetinaNet (image, box, class)."""
    stripped = [cell.strip() for cell in cells]
    if len(cells) == 8 and looks_like_image(stripped[5]) and all(map(_is_number, stripped[1:5] + stripped[6:])):
        return BoxColumns(delimiter, 8, False, 5, 0, (1, 2, 3, 4), XYWH, (6, 7))
    empty = not any(stripped[1:])
    if len(cells) == 6 and looks_like_image(stripped[0]) and (empty or all(map(_is_number, stripped[1:5]))):
        return BoxColumns(delimiter, 6, False, 0, 5, (1, 2, 3, 4), XYXY)
    return None


def _find_box(names: Sequence[str]) -> tuple[tuple[int, int, int, int] | None, str]:
    for form, roles in (
        (XYXY, (_LEFT_HEADERS, _TOP_HEADERS, _RIGHT_HEADERS, _BOTTOM_HEADERS)),
        (XYWH, (_X_HEADERS, _Y_HEADERS, _BOX_WIDTH_HEADERS, _BOX_HEIGHT_HEADERS)),
    ):
        found = [next(iter(_find_positions(names, known)), None) for known in roles]
        left, top, third, fourth = found
        if left is not None and top is not None and third is not None and fourth is not None:
            return (left, top, third, fourth), form
    return None, ""


def _find_positions(names: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return where those of ``names`` stand that are ``known``, in the order of ``known``."""
    return [i for word in known for i, name in enumerate(names) if name == word]


def _require_single(cells: Sequence[str], places: Sequence[int]) -> int:
    if len(places) > 1:
        raise AmbiguousError(
            _("Several columns could be meant: {names}.").format(names=", ".join(cells[i].strip() for i in places)),
            _("Expected one column for the file, one for the class."),
            _("Remove or rename the others."),
        )
    return places[0]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
