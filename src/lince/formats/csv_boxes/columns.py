"""Finds the columns of a CSV table of boxes: by its header or, without one, by the values of the first row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lince.annotations import DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.errors import AmbiguousError
from lince.formats.csv_text import find_first_line, split_cells
from lince.i18n import _
from lince.storage.scan import looks_like_image

XYXY, XYWH, CENTRE = "corners", "sides", "centre"
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
_CENTRE_X_HEADERS = ["x_center", "x_centre", "xcenter", "xcentre", "center_x", "centre_x", "cx", "xc", "x_c"]
_CENTRE_Y_HEADERS = ["y_center", "y_centre", "ycenter", "ycentre", "center_y", "centre_y", "cy", "yc", "y_c"]
_BOX_WIDTH_HEADERS, _BOX_HEIGHT_HEADERS = (
    ["bbox_width", "bbox_w", "box_width", "w", "width"],
    ["bbox_height", "bbox_h", "box_height", "h", "height"],
)
_IMAGE_WIDTH_HEADERS, _IMAGE_HEIGHT_HEADERS = (
    ["image_width", "img_width", "width"],
    ["image_height", "img_height", "height"],
)
# Columns that no table of classes has, even where they do not make a box.
_SHAPE_HEADERS = frozenset([
    *_CENTRE_X_HEADERS, *_CENTRE_Y_HEADERS, "xmin", "x_min", "xmax", "x_max", "ymin", "y_min", "ymax", "y_max", "x1",
    "y1", "x2", "y2", "xtl", "ytl", "xbr", "ybr", "bbox", "bboxes", "bounding_box", "boundingbox", "box", "boxes",
    "caja", "cajas", "caixa", "caixas", "bbox_x", "bbox_y", "bbox_w", "bbox_h", "bbox_width", "bbox_height", "polygon",
    "polygons", "points", "segmentation", "rle", "encodedpixels", "encoded_pixels", "region_shape_attributes",
    "predictionstring",
])  # fmt: skip
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
    """The columns of a table of boxes, as indices from 0.

    ``box`` are the columns of left, top, right, bottom where ``box_format`` is ``XYXY``, of left, top, width, height
    where it is ``XYWH``, of the centre's x and y, width, height where it is ``CENTRE``. ``file`` names the image and
    ``label`` the class. ``size`` are those of the image's width and height in pixels. ``flags`` maps columns of 0 and 1
    to object flags. ``normalised`` says that boxes are always fractions of the image's sides.
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
    """Return the columns of the table that begins with ``text``, ``None`` when it is not a table of boxes.

    Raise ``AmbiguousError`` when two columns could name the file or the class.
    """
    line, delimiter = find_first_line(text)
    cells = split_cells(line, delimiter)
    return _columns_from_header(cells, delimiter) or _columns_from_first_row(cells, delimiter)


def find_box_columns(names: Sequence[str]) -> list[str]:
    """Return the column names in ``names`` that hold the box of an object; empty unless all four are there."""
    columns, _box_format = _find_box([normalise_header(name) for name in names])
    return [] if columns is None else [names[i] for i in columns]


def find_shape_columns(names: Sequence[str]) -> list[str]:
    """Return the column names in ``names`` that speak of where objects are, complete or not."""
    complete = find_box_columns(names)
    return complete or [name for name in names if normalise_header(name) in _SHAPE_HEADERS]


def normalise_header(name: str) -> str:
    """Return a column name in the form in which it is compared: lower case, with ``_`` for spaces and ``-``."""
    return name.strip().strip('"').lower().replace(" ", "_").replace("-", "_")


def _columns_from_header(cells: Sequence[str], delimiter: str) -> BoxColumns | None:
    """Return the columns by their names in the header, ``None`` without box, file or class among them."""
    names = [normalise_header(cell) for cell in cells]
    box, box_format = _find_box(names)
    files = _find_positions(names, _FILE_HEADERS) or _find_positions(names, _IMAGE_ID_HEADERS)
    labels = _find_positions(names, _CLASS_HEADERS) or _find_positions(names, _NAME_HEADERS)
    if box is None or not files or not labels:
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
        label=_require_single(cells, labels),
        box=box,
        box_format=box_format,
        size=(width[0], height[0]) if width and height else None,
        split=next(iter(_find_positions(names, _SPLIT_HEADERS)), None),
        normalised="imageid" in names and "labelname" in names,  # OpenImages
        flags={i: _FLAGS_BY_HEADER[name] for i, name in enumerate(names) if name in _FLAGS_BY_HEADER},
    )


def _columns_from_first_row(cells: Sequence[str], delimiter: str) -> BoxColumns | None:
    """Return the columns of a table without header, ``None`` when its first row fits neither layout.

    The layouts are those of makesense.ai (class, box, image, its width and height) and RetinaNet (image, box, class).
    """
    stripped = [cell.strip() for cell in cells]
    if len(cells) == 8 and looks_like_image(stripped[5]) and all(map(_is_number, stripped[1:5] + stripped[6:])):
        return BoxColumns(delimiter, 8, False, 5, 0, (1, 2, 3, 4), XYWH, (6, 7))
    is_negative = not any(stripped[1:])
    if len(cells) == 6 and looks_like_image(stripped[0]) and (is_negative or all(map(_is_number, stripped[1:5]))):
        return BoxColumns(delimiter, 6, False, 0, 5, (1, 2, 3, 4), XYXY)
    return None


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
