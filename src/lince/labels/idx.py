"""The idx files of MNIST and its kin: images and labels as raw arrays, plain or gzipped.

The layout is LeCun's: two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian 32-bit
number, then the values.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, Strings
from lince.errors import AmbiguousError, DataError, UsageError
from lince.labels import scan
from lince.labels.format import Format, Holds
from lince.labels.table import SPLITS, TEST, TRAIN, UNASSIGNED, VAL, Options, Pixels, Table
from lince.labels.tree import Place
from lince.messages import _
from lince.progress import SILENT, Progress

NAME = "idx"
_UNSIGNED_BYTE = 8
_MOST_VALUES = 1 << 34  # 16 GiB: a header that asks for more is broken
_FILE = re.compile(r"(?P<set>.*?)[-_.]?(?P<what>images|labels)[-_.]idx(?P<dims>[13])[-_.]ubyte(\.gz)?", re.IGNORECASE)
_SETS = {"train": TRAIN, "t10k": TEST, "test": TEST, "val": VAL, "valid": VAL, "validation": VAL}


@dataclass(frozen=True)
class _Pair:
    split: int
    images: Path
    labels: Path


def detect(place: Place) -> str | None:
    """Return what speaks for idx files at ``path``, a folder or one of its files; ``None`` when nothing does."""
    names = [name for name in _names(place.path) if place.local and _FILE.fullmatch(name)]
    return _("idx files: {names}").format(names=", ".join(names)) if names else None


def read(place: Place, options: Options, progress: Progress = SILENT) -> Table:
    """Read every pair of images and labels in the folder of ``path``; ``train`` and ``t10k`` become the splits.

    Raise ``DataError`` on a missing partner, a header that is not idx, or a file that is cut off or too long.
    """
    path = place.path
    folder = path if path.is_dir() else path.parent
    pairs = _pairs(folder, _names(path))
    pixels, labels = [], []
    with progress.stage(_("Reading idx files"), len(pairs)) as stage:
        for pair in pairs:
            pixels.append(_images(pair.images))
            labels.append(_labels(pair.labels, len(pixels[-1])))
            stage.advance()
    values, class_ids = np.unique(np.concatenate(labels), return_inverse=True)
    sizes = [len(block) for block in labels]
    return Table(
        root=folder,
        format=NAME,
        names=Strings.of(
            f"{_word(pair)}-{i:05d}" for pair, size in zip(pairs, sizes, strict=True) for i in range(size)
        ),
        classes=Classes(tuple(map(str, values.tolist()))),
        class_ids=class_ids.astype(np.int32),
        splits=np.repeat(np.array([pair.split for pair in pairs], np.int8), sizes),
        pixels=Pixels(tuple(pixels)),
    )


def parse(data: bytes) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes in the idx file ``data``; raise ``DataError`` when it is not one, whole."""
    shape = _shape(data)
    start, expected = 4 + 4 * len(shape), prod(shape)
    if len(data) - start != expected:
        raise DataError(
            _("The idx file holds {found} values.").format(found=len(data) - start),
            _("Expected {expected}: its header says {shape}.").format(
                expected=expected, shape=" x ".join(map(str, shape))
            ),
            _("It is cut off or damaged; copy it again."),
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _shape(data: bytes) -> tuple[int, ...]:
    rank = data[3] if len(data) >= 4 else 0
    if data[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or not 1 <= rank <= 3 or len(data) < 4 + 4 * rank:
        raise DataError(
            _("The file does not start as idx: {head}.").format(head=data[:4].hex(" ") or _("it is empty")),
            _("Expected 00 00 08 and the number of dimensions, 1 to 3 (unsigned bytes)."),
        )
    shape = struct.unpack_from(f">{rank}I", data, 4)
    if prod(shape) > _MOST_VALUES:
        raise DataError(_("The idx header asks for {shape} values.").format(shape=" x ".join(map(str, shape))))
    return shape


def _images(path: Path) -> NDArray[np.uint8]:
    pixels = _array(path)
    if pixels.ndim != 3 or not pixels.shape[1] * pixels.shape[2]:
        raise DataError(
            _("{path} holds an array of {shape}.").format(path=path, shape=" x ".join(map(str, pixels.shape))),
            _("Expected images: count x height x width."),
        )
    return pixels


def _labels(path: Path, count: int) -> NDArray[Any]:
    labels = _array(path)
    if labels.shape != (count,):
        raise DataError(
            _("{path} holds {shape} labels.").format(path=path, shape=" x ".join(map(str, labels.shape))),
            _("Expected one for each of {count} images.").format(count=count),
        )
    return labels


def _array(path: Path) -> NDArray[np.uint8]:
    try:
        if path.suffix.lower() == ".gz":
            return parse(_unzip(path))
        # A plain file stays on disk: only the images in use are in memory.
        return parse(memoryview(np.memmap(path, np.uint8, "r")))  # type: ignore[arg-type]
    except DataError as error:
        raise DataError(f"{path}: {error.found}", error.expected, error.remedy) from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            _("{path} cannot be read: {error}.").format(path=path, error=error), "", _("Copy it again.")
        ) from error


def _unzip(path: Path) -> bytes:
    with gzip.open(path, "rb") as stream:
        head = stream.read(16)
        shape = _shape(head)
        rest = stream.read(max(0, 4 + 4 * len(shape) + prod(shape) - len(head)) + 1)  # one more shows what is too long
        return head + rest


def _names(path: Path) -> list[str]:
    if path.is_dir():
        return scan.files(path)
    if not _FILE.fullmatch(path.name):
        return []
    return [name for name in scan.files(path.parent) if _set(name) == _set(path.name)]


def _set(name: str) -> str | None:
    match = _FILE.fullmatch(name)
    return match["set"].lower() if match else None


def _pairs(folder: Path, names: list[str]) -> list[_Pair]:
    found: dict[str, dict[str, Path]] = {}
    for match in filter(None, map(_FILE.fullmatch, names)):
        partners = found.setdefault(match["set"].lower(), {})
        if partners.setdefault(match["what"].lower(), folder / match[0]) != folder / match[0]:
            raise AmbiguousError(
                _("{folder} holds the same idx file twice: {name}.").format(folder=folder, name=match[0]),
                _("Expected each one once, plain or gzipped."),
            )
    if not found:
        raise UsageError(
            _("{folder} holds no idx files.").format(folder=folder),
            _("Expected names such as {example}.").format(example="train-images-idx3-ubyte.gz"),
        )
    pairs = [_pair(folder, name, partners) for name, partners in found.items()]
    if len({pair.split for pair in pairs}) < len(pairs):
        raise AmbiguousError(
            _("{folder} holds several idx sets: {names}.").format(folder=folder, names=", ".join(found)),
            _("Expected at most one for training and one for test."),
            _("Name one of the image files as the data."),
        )
    return sorted(pairs, key=lambda pair: pair.split)


def _pair(folder: Path, name: str, partners: dict[str, Path]) -> _Pair:
    missing = {"images", "labels"} - set(partners)
    if missing:
        raise DataError(
            _("{folder} holds {file} without its partner.").format(
                folder=folder, file=next(iter(partners.values())).name
            ),
            _("Expected a file '{name}' of {missing} too.").format(name=name, missing=", ".join(missing)),
        )
    word = re.split(r"[-_.]", name)[-1]
    return _Pair(_SETS.get(word, UNASSIGNED), partners["images"], partners["labels"])


def _word(pair: _Pair) -> str:
    return next((word for word, split in SPLITS.items() if split == pair.split), "image")


FORMAT = Format(NAME, detect, read, Holds.LABELS | Holds.SPLITS | Holds.CLASSES)
