"""Finds the columns of a CSV table of boxes: by its header or, without one, by the values of the first row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lince.annotations import DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.errors import AmbiguousError
from lince.formats.csv_headers import CLASS_HEADERS, FILE_HEADERS, SPLIT_HEADERS, normalise_header
from lince.formats.csv_text import find_first_line, split_cells
from lince.i18n import _
from lince.storage.scan import looks_like_image

XYXY, XYWH, CENTRE, CELL = "corners", "sides", "centre", "cell"
_IMAGE_ID_HEADERS = ["imageid", "image_id", "img_id", "photo", "photo_id"]  # where no other column names the file
_NAME_HEADERS = ["name", "object", "objeto"]  # where no other column names the class
_LEFT_HEADERS = ["xmin", "x_min", "x1", "left", "xtl", "bbox_xmin", "bbox_x1", "izquierda", "esquerda"]
_TOP_HEADERS = ["ymin", "y_min", "y1", "top", "ytl", "bbox_ymin", "bbox_y1", "arriba", "topo", "cima"]
_RIGHT_HEADERS = ["xmax", "x_max", "x2", "right", "xbr", "bbox_xmax", "bbox_x2", "derecha", "direita"]
_BOTTOM_HEADERS = ["ymax", "y_max", "y2", "bottom", "ybr", "bbox_ymax", "bbox_y2", "abajo", "baixo"]
_X_HEADERS = ["bbox_x", "x", "left", "xmin", "x_min", "izquierda", "esquerda"]
_Y_HEADERS = ["bbox_y", "y", "top", "ymin", "y_min", "arriba", "topo", "cima"]
_CENTRE_X_HEADERS = [
    *("x_center", "x_centre", "xcenter", "xcentre", "center_x", "centre_x", "cx", "xc", "x_c"),
    *("x_centro", "centro_x"),
]
_CENTRE_Y_HEADERS = [
    *("y_center", "y_centre", "ycenter", "ycentre", "center_y", "centre_y", "cy", "yc", "y_c"),
    *("y_centro", "centro_y"),
]
_BOX_WIDTH_HEADERS, _BOX_HEIGHT_HEADERS = (
    ["bbox_width", "bbox_w", "box_width", "w", "width", "ancho", "largura"],
    ["bbox_height", "bbox_h", "box_height", "h", "height", "alto", "altura"],
)
_IMAGE_WIDTH_HEADERS, _IMAGE_HEIGHT_HEADERS = (
    ["image_width", "img_width", "width", "ancho_imagen", "ancho", "largura_imagem", "largura"],
    ["image_height", "img_height", "height", "alto_imagen", "alto", "altura_imagem", "altura"],
)
_CELL_HEADERS = ["bbox", "bounding_box", "boundingbox", "bndbox", "box", "caja", "caixa"]  # all four numbers in one
_MAX_PROBES = 20  # rows
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_CELL = re.compile(rf"[\[(]?\s*(?:{_NUMBER.pattern}[\s,;]*){{4}}[\])]?")
# Columns that no table of classes has, even where they do not make a box.
_SHAPE_HEADERS = frozenset([
    *_CENTRE_X_HEADERS, *_CENTRE_Y_HEADERS, "xmin", "x_min", "xmax", "x_max", "ymin", "y_min", "ymax", "y_max", "x1",
    "y1", "x2", "y2", "xtl", "ytl", "xbr", "ybr", "bbox", "bboxes", "bounding_box", "boundingbox", "box", "boxes",
    "caja", "cajas", "caixa", "caixas", "bbox_x", "bbox_y", "bbox_w", "bbox_h", "bbox_width", "bbox_height", "polygon",
    "polygons", "points", "segmentation", "rle", "encodedpixels", "encoded_pixels", "region_shape_attributes",
    "predictionstring", "boxesstring", "objects",
])  # fmt: skip
_FLAGS_BY_HEADER = {
    "isoccluded": OCCLUDED,
    "occluded": OCCLUDED,
    "istruncated": TRUNCATED,
    "truncated": TRUNCATED,
    "isgroupof": GROUP,
    "difficult": DIFFICULT,
}


# What the first row of a table without header holds: file, class, box, its format and the image's size by position.
_Layout = tuple[int, int, tuple[int, int, int, int], str, tuple[int, int] | None]
_IMAGE, _CLASS, _BOX, _SIDES, _NO_BOX = ("image",), ("class",), ("number",) * 4, ("number",) * 2, ("none",) * 5
_LAYOUTS: dict[tuple[str, ...], _Layout] = {
    (*_CLASS, *_BOX, *_IMAGE, *_SIDES): (5, 0, (1, 2, 3, 4), XYWH, (6, 7)),
    (*_IMAGE, *_BOX, *_CLASS): (0, 5, (1, 2, 3, 4), XYXY, None),
    (*_IMAGE, *_NO_BOX): (0, 5, (1, 2, 3, 4), XYXY, None),
    (*_IMAGE, *_CLASS, *_BOX): (0, 1, (2, 3, 4, 5), XYXY, None),
    (*_IMAGE, *_SIDES, *_CLASS, *_BOX): (0, 3, (4, 5, 6, 7), XYXY, (1, 2)),
}


@dataclass(frozen=True)
class BoxColumns:
    """The columns of a table of boxes, as indices from 0.

    ``box`` are the columns of left, top, right, bottom where ``box_format`` is ``XYXY``, of left, top, width, height
    where it is ``XYWH``, of the centre's x and y, width, height where it is ``CENTRE``. Where it is ``CELL``, one
    column holds all four numbers, and only the values tell corners from sides. ``file`` names the image and ``label``
    the class, ``None`` where no column does. ``size`` are those of the image's width and height in pixels. ``flags``
    maps columns of 0 and 1 to object flags. ``normalised`` says that boxes are always fractions of the image's sides.
    """

    delimiter: str
    column_count: int
    has_header: bool
    file: int
    label: int | None
    box: tuple[int, int, int, int]
    box_format: str
    size: tuple[int, int] | None = None
    split: int | None = None
    normalised: bool = False
    flags: Mapping[int, int] = field(default_factory=dict)


def detect_columns(text: str) -> BoxColumns | None:
    """Return the columns of the table that begins with ``text``, ``None`` when it is not a table of boxes.

    Raise ``AmbiguousError`` when two columns could name the file or the class.
    """
    line, delimiter = find_first_line(text)
    cells = split_cells(line, delimiter)
    rows = [split_cells(row, delimiter) for row in text.splitlines()[1 : _MAX_PROBES + 1]]
    found = _columns_from_header(cells, delimiter, rows) or _columns_from_first_row(cells, delimiter)
    if found is None and any(_is_number(cell) or looks_like_image(cell) for cell in map(str.strip, cells)):
        # No header, but a row that is damaged: those below it tell what it should have been.
        return next(filter(None, (_columns_from_first_row(row, delimiter) for row in rows)), None)
    return found


def parse_box_cell(cell: str) -> list[str]:
    """Return the four numbers, as texts, in a cell such as ``[10.5, 20, 30, 40]``; none where it holds other things."""
    text = cell.strip().replace(",", ".") if ";" in cell else cell.strip()  # as in [10,5; 20,0; 30,5; 40,0]
    return _NUMBER.findall(text) if _CELL.fullmatch(text) else []


def find_box_columns(names: Sequence[str]) -> list[str]:
    """Return the column names in ``names`` that hold the box of an object; empty unless all four are there."""
    columns, _box_format = _find_box([normalise_header(name) for name in names])
    return [] if columns is None else [names[i] for i in columns]


def find_shape_columns(names: Sequence[str]) -> list[str]:
    """Return the column names in ``names`` that speak of where objects are, complete or not."""
    complete = find_box_columns(names)
    return complete or [name for name in names if normalise_header(name) in _SHAPE_HEADERS]


def _columns_from_header(cells: Sequence[str], delimiter: str, rows: Sequence[list[str]]) -> BoxColumns | None:
    """Return the columns by their names in the header, ``None`` without box or file among them.

    ``rows`` are the first ones below it. Without a class, only a box in one cell is taken for one.
    """
    names = [normalise_header(cell) for cell in cells]
    box, box_format = _find_box(names)
    if box is None and (position := _find_box_cell(names, rows)) is not None:
        box, box_format = (position,) * 4, CELL
    files = _find_positions(names, FILE_HEADERS) or _find_positions(names, _IMAGE_ID_HEADERS)[:1]
    labels = _find_positions(names, CLASS_HEADERS) or _find_positions(names, _NAME_HEADERS)
    if box is None or not files or not (labels or box_format == CELL):
        return None
    width, height = (
        [i for i in _find_positions(names, headers) if i not in box]
        for headers in (_IMAGE_WIDTH_HEADERS, _IMAGE_HEIGHT_HEADERS)
    )
    return BoxColumns(
        delimiter=delimiter,
        column_count=len(names),
        has_header=True,
        file=_require_single(cells, files),
        label=_require_single(cells, labels) if labels else None,
        box=box,
        box_format=box_format,
        size=(width[0], height[0]) if width and height else None,
        split=next(iter(_find_positions(names, SPLIT_HEADERS)), None),
        normalised="imageid" in names and "labelname" in names,  # OpenImages
        flags={i: _FLAGS_BY_HEADER[name] for i, name in enumerate(names) if name in _FLAGS_BY_HEADER},
    )


def _columns_from_first_row(cells: Sequence[str], delimiter: str) -> BoxColumns | None:
    """Return the columns of a table without header, ``None`` when its first row fits no layout.

    The layouts are those of makesense.ai (class, box, image, its width and height), RetinaNet (image, box, class), the
    same with the class before the box, and the tutorials' (image, its width and height, class, box). A first column
    with row numbers may stand before them.
    """
    stripped = [cell.strip() for cell in cells]
    count, skipped = len(cells), 0
    if stripped and stripped[0].isdecimal() and len(stripped) > 1 and looks_like_image(stripped[1]):
        stripped, skipped = stripped[1:], 1
    for kinds, (file, label, box, box_format, sides) in _LAYOUTS.items():
        if len(kinds) == len(stripped) and all(map(_fits_kind, kinds, stripped)):
            shifted = (box[0] + skipped, box[1] + skipped, box[2] + skipped, box[3] + skipped)
            size = None if sides is None else (sides[0] + skipped, sides[1] + skipped)
            return BoxColumns(delimiter, count, False, file + skipped, label + skipped, shifted, box_format, size)
    return None


def _fits_kind(kind: str, cell: str) -> bool:
    """Whether a cell holds what its layout has there: an image, a number, a class, or nothing at all."""
    if kind == "image":
        return looks_like_image(cell)
    if kind == "number":
        return _is_number(cell)
    if kind == "none":
        return not cell
    return bool(cell) and not looks_like_image(cell)


def _find_box(names: Sequence[str]) -> tuple[tuple[int, int, int, int] | None, str]:
    """Return the four box columns and their format; ``None`` and an empty text when they are not all there."""
    for box_format, header_lists in (
        (XYXY, (_LEFT_HEADERS, _TOP_HEADERS, _RIGHT_HEADERS, _BOTTOM_HEADERS)),
        (CENTRE, (_CENTRE_X_HEADERS, _CENTRE_Y_HEADERS, _BOX_WIDTH_HEADERS, _BOX_HEIGHT_HEADERS)),
        (XYWH, (_X_HEADERS, _Y_HEADERS, _BOX_WIDTH_HEADERS, _BOX_HEIGHT_HEADERS)),
    ):
        positions = [next(iter(_find_positions(names, headers)), None) for headers in header_lists]
        left, top, third, fourth = positions
        if left is not None and top is not None and third is not None and fourth is not None:
            return (left, top, third, fourth), box_format
    return None, ""


def _find_box_cell(names: Sequence[str], rows: Sequence[list[str]]) -> int | None:
    """Return the column whose cells hold the four numbers of a box; ``None`` where there is none, or several."""
    positions = [
        i
        for i in _find_positions(names, _CELL_HEADERS)
        if any(len(row) == len(names) and parse_box_cell(row[i]) for row in rows)
    ]
    return positions[0] if len(positions) == 1 else None


def _find_positions(names: Sequence[str], headers: Sequence[str]) -> list[int]:
    """Return the indices of the ``headers`` in ``names``, in the order of ``headers``."""
    return [i for header in headers for i, name in enumerate(names) if name == header]


def _require_single(cells: Sequence[str], positions: Sequence[int]) -> int:
    """Return the only one of ``positions``; raise ``AmbiguousError`` with their names when there are more."""
    if len(positions) > 1:
        raise AmbiguousError(
            _("The columns are ambiguous: {names}.").format(names=", ".join(cells[i].strip() for i in positions)),
            _("Expected one column for the file, one for the class."),
            _("Remove or rename the others."),
        )
    return positions[0]


def _is_number(text: str) -> bool:
    """Whether ``float`` can parse ``text``."""
    try:
        float(text)
    except ValueError:
        return False
    return True
