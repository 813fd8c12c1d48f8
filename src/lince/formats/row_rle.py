"""Masks as tools of labelling sites write them, row by row, to and from the run lengths of ``masks``.

CVAT gives the runs of a rectangle of the image; Label Studio packs the pixels' colours into bits ("rle-pack" of
thi.ng/umbrella, four bytes for each pixel, the last of which is how much it is covered).
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
    """Return the text of the mask of an image of ``size`` (height, width) that ``runs`` draw row by row.

    ``rectangle`` is left, top, width, height in the image; the first run does not belong to the mask. Raise
    ``DataError`` when they do not fit.
    """
    left, top, width, height = rectangle
    images.check_pixel_count(*size)
    if min(rectangle) < 0 or left + width > size[1] or top + height > size[0]:
        raise _mask_error(_("a mask that leaves the image"))
    if (runs < 0).any() or (runs > width * height).any() or int(runs.sum()) != width * height:
        raise _mask_error(_("a mask whose run lengths do not fill its rectangle"))
    belongs = np.arange(len(runs)) % 2 == 1
    return rle.counts_to_string(_embed_in_image(np.repeat(belongs, runs).reshape(height, width), left, top, size))


def encode_cvat_rle(text: str, size: tuple[int, int]) -> tuple[list[int], tuple[int, int, int, int]]:
    """Return the runs, row by row, and the rectangle (left, top, width, height) around the mask ``text``."""
    mask = rle.decode(text, *size)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return [0], (0, 0, 0, 0)
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    inner = mask[top:bottom, left:right]
    return rle.mask_to_counts(inner.T).tolist(), (left, top, right - left, bottom - top)


def decode_labelstudio_rle(packed: Sequence[int], size: tuple[int, int]) -> str:
    """Return the text of the mask of an image of ``size`` (height, width) in the bytes ``packed``.

    A pixel belongs to the mask when it is covered at all. Raise ``DataError`` when they are damaged or do not fit.
    """
    images.check_pixel_count(*size)
    try:
        data = bytes(packed)
        values = _unpack_values(data, size[0] * size[1] * _CHANNELS)
    except (IndexError, TypeError, ValueError) as error:
        raise _mask_error(_("a mask whose packed bytes are damaged")) from error
    return rle.encode(values[_CHANNELS - 1 :: _CHANNELS].reshape(size))


def encode_labelstudio_rle(text: str, size: tuple[int, int]) -> list[int]:
    """Return the bytes that hold the mask ``text`` of an image of ``size`` (height, width)."""
    runs = rle.mask_to_counts(rle.decode(text, *size).T) * _CHANNELS
    bits = [f"{int(runs.sum()):032b}", f"{7:05b}", *(f"{length - 1:04b}" for length in _LENGTH_BITS)]
    for place, run in enumerate(runs.tolist()):
        value = f"{255 * (place % 2):08b}"
        for length in _split_run(run):
            kind = next(i for i, size_bits in enumerate(_LENGTH_BITS) if length <= 2**size_bits)
            bits.append(f"1{kind:02b}{length - 1:0{_LENGTH_BITS[kind]}b}{value}")
    whole = "".join(bits)
    whole += "0" * (-len(whole) % 8)
    return list(int(whole, 2).to_bytes(len(whole) // 8, "big"))


def _split_run(run: int) -> list[int]:
    longest = 2 ** _LENGTH_BITS[-1]
    return [longest] * (run // longest) + ([run % longest] if run % longest else [])


class _BitReader:
    """Bits of ``data`` one after the other, the highest of a byte first. ``IndexError`` after the last."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read_bits(self, count: int) -> int:
        """Return the number in the next ``count`` bits, at most 32."""
        end = self._position + count
        if end > 8 * len(self._data):
            raise IndexError(end)
        window = int.from_bytes(self._data[self._position // 8 : (end + 7) // 8], "big")
        self._position = end
        return (window >> (-end % 8)) & ((1 << count) - 1)


def _unpack_values(data: bytes, expected: int) -> NDArray[np.uint8]:
    """Return the values packed in ``data``; raise ``ValueError`` unless there are ``expected`` of at most 8 bits."""
    bits = _BitReader(data)
    total, word = bits.read_bits(32), bits.read_bits(5) + 1
    lengths = [bits.read_bits(4) + 1 for _kind in _LENGTH_BITS]
    if total != expected or word > 8:
        raise ValueError(total)
    values = np.zeros(total, np.uint8)
    at = 0
    while at < total:
        same = bits.read_bits(1)
        end = min(at + 1 + bits.read_bits(lengths[bits.read_bits(2)]), total)
        if same:
            values[at:end] = bits.read_bits(word)
        else:
            values[at:end] = [bits.read_bits(word) for _value in range(at, end)]
        at = end
    return values


def _embed_in_image(inner: NDArray[np.bool_], left: int, top: int, size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the counts of an image of ``size`` in which ``inner`` lies at ``left`` and ``top``."""
    steps = np.diff(np.pad(inner, ((1, 1), (0, 0))), axis=0)
    columns, rows = np.nonzero(steps.T)
    places = (left + columns) * size[0] + top + rows
    # A run that ends at the foot of a column goes on at the head of the next.
    found, times = np.unique(places, return_counts=True)
    pixels = size[0] * size[1]
    turns = found[(times == 1) & (found < pixels)]
    return np.diff(np.concatenate([[0], turns, [pixels]])).astype(np.int64)


def _mask_error(found: str) -> DataError:
    return DataError(found, _("Expected run lengths over the whole image."), _("Export it anew, or remove it."))


def parse_runs(text: str) -> NDArray[Any]:
    """Return the whole numbers in ``text``, int64, with commas between them; raise ``ValueError`` for anything else."""
    words = text.split(",")
    if not all(word.strip().isdecimal() and len(word) < 16 for word in words):
        raise ValueError(text[:40])
    return np.array(words, np.int64)
