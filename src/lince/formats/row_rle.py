"""Converts masks stored row by row, as CVAT and Label Studio write them, to and from COCO run lengths (``lince.rle``).

CVAT gives the runs of a rectangle of the image. Label Studio packs the pixels' RGBA values into bits ("rle-pack" of
thi.ng/umbrella): four bytes for each pixel, the last of which (alpha) is above 0 where the mask covers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images, rle
from lince.errors import DataError
from lince.i18n import _

_LENGTH_BITS = (3, 4, 8, 16)
_CHANNELS = 4
_HEADER_BITS = 32 + 5 + 4 * len(_LENGTH_BITS)


def decode_cvat_rle(runs: NDArray[np.int64], rectangle: tuple[int, int, int, int], size: tuple[int, int]) -> str:
    """Return the COCO text of a CVAT mask on an image of ``size`` (height, width).

    ``runs`` int64 are lengths in pixels, row by row within ``rectangle`` (left, top, width, height), alternating
    between outside and inside of the mask and beginning outside. Raise ``DataError`` when the rectangle leaves the
    image or the runs do not fill it.
    """
    left, top, width, height = rectangle
    images.check_pixel_count(*size)
    if min(rectangle) < 0 or left + width > size[1] or top + height > size[0]:
        raise _mask_error(_("a mask that extends past the image"))
    if (runs < 0).any() or (runs > width * height).any() or int(runs.sum()) != width * height:
        raise _mask_error(_("a mask whose run lengths do not fill its rectangle"))
    is_inside = np.arange(len(runs)) % 2 == 1
    return rle.counts_to_string(_embed_in_image(np.repeat(is_inside, runs).reshape(height, width), left, top, size))


def encode_cvat_rle(text: str, size: tuple[int, int]) -> tuple[list[int], tuple[int, int, int, int]]:
    """Return the CVAT runs, row by row, and the rectangle (left, top, width, height) around the mask.

    ``text`` is the mask's COCO text, ``size`` (height, width) that of the image. An empty mask gives one run of 0 and a
    rectangle of zeros.
    """
    mask = rle.decode(text, *size)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return [0], (0, 0, 0, 0)
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    inner = mask[top:bottom, left:right]
    return rle.mask_to_counts(inner.T).tolist(), (left, top, right - left, bottom - top)


def decode_labelstudio_rle(packed: Sequence[int], size: tuple[int, int]) -> str:
    """Return the COCO text of a Label Studio mask on an image of ``size`` (height, width).

    ``packed`` are its bytes, 0..255. A pixel belongs to the mask when its alpha is above 0. Raise ``DataError`` when
    the bytes are damaged or do not fit the image.
    """
    images.check_pixel_count(*size)
    try:
        data = bytes(packed)
        values = _unpack_values(data, size[0] * size[1] * _CHANNELS)
    except (IndexError, TypeError, ValueError) as error:
        raise _mask_error(_("a mask whose packed bytes are damaged")) from error
    return rle.encode(values[_CHANNELS - 1 :: _CHANNELS].reshape(size))


def encode_labelstudio_rle(text: str, size: tuple[int, int]) -> list[int]:
    """Return the Label Studio bytes of the mask with the COCO text ``text`` on an image of ``size`` (height, width).

    Layout: the number of values (32 bits), their width less 1 (5 bits), four widths of run lengths less 1 (4 bits
    each); then for each run a bit 1, the index of its width, its length less 1 and the value that repeats.
    """
    runs = rle.mask_to_counts(rle.decode(text, *size).T) * _CHANNELS
    bits = [f"{int(runs.sum()):032b}", f"{7:05b}", *(f"{length - 1:04b}" for length in _LENGTH_BITS)]
    for index, run in enumerate(runs.tolist()):
        value = f"{255 * (index % 2):08b}"
        for length in _split_run(run):
            width_index = next(i for i, size_bits in enumerate(_LENGTH_BITS) if length <= 2**size_bits)
            bits.append(f"1{width_index:02b}{length - 1:0{_LENGTH_BITS[width_index]}b}{value}")
    bit_text = "".join(bits)
    bit_text += "0" * (-len(bit_text) % 8)
    return list(int(bit_text, 2).to_bytes(len(bit_text) // 8, "big"))


def _split_run(run: int) -> list[int]:
    """Return the lengths, each at most what 16 bits hold, that a run is written as; none for an empty run."""
    max_length = 2 ** _LENGTH_BITS[-1]
    return [max_length] * (run // max_length) + ([run % max_length] if run % max_length else [])


class _BitReader:
    """Reads numbers from ``data`` bit by bit, the highest bit of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read_bits(self, count: int) -> int:
        """Return the number in the next ``count`` bits, at most 32; raise ``IndexError`` past the end."""
        end = self._position + count
        if end > 8 * len(self._data):
            raise IndexError(end)
        window = int.from_bytes(self._data[self._position // 8 : (end + 7) // 8], "big")
        self._position = end
        return (window >> (-end % 8)) & ((1 << count) - 1)


def _unpack_values(data: bytes, expected: int) -> NDArray[np.uint8]:
    """Return the values uint8 (``expected``,) packed in ``data``.

    Raise ``ValueError`` unless there are ``expected`` values of at most 8 bits, ``IndexError`` when the bits end too
    soon.
    """
    reader = _BitReader(data)
    count, value_bits = reader.read_bits(32), reader.read_bits(5) + 1
    length_bits = [reader.read_bits(4) + 1 for _index in _LENGTH_BITS]
    if count != expected or value_bits > 8:
        raise ValueError(count)
    values = np.zeros(count, np.uint8)
    start = 0
    while start < count:
        is_run = reader.read_bits(1)
        end = min(start + 1 + reader.read_bits(length_bits[reader.read_bits(2)]), count)
        if is_run:
            values[start:end] = reader.read_bits(value_bits)
        else:
            values[start:end] = [reader.read_bits(value_bits) for _value in range(start, end)]
        start = end
    return values


def _embed_in_image(inner: NDArray[np.bool_], left: int, top: int, size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the COCO run lengths of an image of ``size`` that holds the mask ``inner`` (H, W) at ``left`` and ``top``.

    Works on the places where columns change, so a small mask on a large image costs no memory for the image.
    """
    steps = np.diff(np.pad(inner, ((1, 1), (0, 0))), axis=0)
    columns, rows = np.nonzero(steps.T)
    positions = (left + columns) * size[0] + top + rows
    # A run that ends at the foot of a column and one that begins at the head of the next are one: both changes vanish.
    distinct, repeats = np.unique(positions, return_counts=True)
    pixels = size[0] * size[1]
    changes = distinct[(repeats == 1) & (distinct < pixels)]
    return np.diff(np.concatenate([[0], changes, [pixels]])).astype(np.int64)


def _mask_error(problem: str) -> DataError:
    return DataError(problem, _("Expected run lengths over the whole image."), _("Export it again, or remove it."))


def parse_runs(text: str) -> NDArray[Any]:
    """Return the whole numbers in ``text`` as int64, separated by commas.

    Raise ``ValueError`` for anything else: signs, decimals, numbers of 16 digits and more.
    """
    words = text.split(",")
    if not all(word.strip().isdecimal() and len(word) < 16 for word in words):
        raise ValueError(text[:40])
    return np.array(words, np.int64)
