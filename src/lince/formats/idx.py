"""The idx files of MNIST and its kin: images and labels as raw arrays, plain or gzipped.

The layout is LeCun's: two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian 32-bit
number, then the values.
"""

from __future__ import annotations

import gzip
import io
import posixpath
import re
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, StringColumn
from lince.errors import AmbiguousError, DataError, UsageError
from lince.formats.format import Capability, Format
from lince.formats.table import PixelBlocks, ReadOptions, Table
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLITS, TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.tree import DataLocation, FileTree, LocalFolder

NAME = "idx"
_UNSIGNED_BYTE = 8
_MAX_VALUES = 1 << 34  # 16 GiB: a header that asks for more is broken
_FILE_PATTERN = re.compile(
    r"(?P<set>.*?)[-_.]?(?P<what>images|labels)[-_.]idx(?P<dims>[13])[-_.]ubyte(\.gz)?", re.IGNORECASE
)
_PARTNER_KINDS = {"images": ("labels", "1"), "labels": ("images", "3")}
_SPLIT_BY_WORD = {"train": TRAIN, "t10k": TEST, "test": TEST, "val": VAL, "valid": VAL, "validation": VAL}


@dataclass(frozen=True)
class _FilePair:
    split: int
    image_file: str
    label_file: str


def detect(place: DataLocation) -> str | None:
    """Return what speaks for idx files: in a folder, or a file of one; ``None`` when nothing does."""
    names = _find_files(place)
    return _("idx files: {names}").format(names=", ".join(map(posixpath.basename, names))) if names else None


def read(place: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> Table:
    """Read every pair of images and labels in the folder of ``place``; ``train`` and ``t10k`` become the splits.

    Raise ``DataError`` on a missing partner, a header that is not idx, or a file that is cut off or too long.
    """
    tree = place.tree
    pairs = _find_pairs(place)
    pixels, labels = [], []
    with progress.open_stage(_("Reading idx files"), len(pairs)) as stage:
        for pair in pairs:
            pixels.append(_read_images(tree, pair.image_file))
            labels.append(_read_labels(tree, pair.label_file, len(pixels[-1])))
            stage.advance()
    values, class_ids = np.unique(np.concatenate(labels), return_inverse=True)
    sizes = [len(block) for block in labels]
    return Table(
        root=tree.root,
        format=NAME,
        names=StringColumn.from_strings(
            f"{_split_word(pair)}-{i:05d}" for pair, size in zip(pairs, sizes, strict=True) for i in range(size)
        ),
        classes=Classes(tuple(map(str, values.tolist()))),
        class_ids=class_ids.astype(np.int32),
        splits=np.repeat(np.array([pair.split for pair in pairs], np.int8), sizes),
        pixels=PixelBlocks(tuple(pixels)),
    )


def parse_idx(data: bytes | memoryview) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes in the idx file ``data``; raise ``DataError`` when it is not one, whole."""
    shape = _parse_shape(data)
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


def _parse_shape(data: bytes | memoryview) -> tuple[int, ...]:
    rank = data[3] if len(data) >= 4 else 0
    if data[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or not 1 <= rank <= 3 or len(data) < 4 + 4 * rank:
        raise DataError(
            _("The file does not start as idx: {head}.").format(head=data[:4].hex(" ") or _("it is empty")),
            _("Expected 00 00 08 and the number of dimensions, 1 to 3 (unsigned bytes)."),
        )
    shape = struct.unpack_from(f">{rank}I", data, 4)
    if prod(shape) > _MAX_VALUES:
        raise DataError(_("The idx header asks for {shape} values.").format(shape=" x ".join(map(str, shape))))
    return shape


def _read_images(tree: FileTree, name: str) -> NDArray[np.uint8]:
    pixels = _read_array(tree, name)
    if pixels.ndim != 3 or not pixels.shape[1] * pixels.shape[2]:
        raise DataError(
            _("{path} holds an array of {shape}.").format(
                path=tree.root / name, shape=" x ".join(map(str, pixels.shape))
            ),
            _("Expected images: count x height x width."),
        )
    return pixels


def _read_labels(tree: FileTree, name: str, count: int) -> NDArray[Any]:
    labels = _read_array(tree, name)
    if labels.shape != (count,):
        raise DataError(
            _("{path} holds {shape} labels.").format(path=tree.root / name, shape=" x ".join(map(str, labels.shape))),
            _("Expected one for each of {count} images.").format(count=count),
        )
    return labels


def _read_array(tree: FileTree, name: str) -> NDArray[np.uint8]:
    path = tree.root / name
    try:
        if name.lower().endswith(".gz"):
            return parse_idx(_unzip(path if isinstance(tree, LocalFolder) else io.BytesIO(tree.read(name))))
        # A plain file stays on disk: only the images in use are in memory.
        local = isinstance(tree, LocalFolder)
        plain = memoryview(np.memmap(path, np.uint8, "r")) if local else tree.read(name)  # type: ignore[arg-type]
        return parse_idx(plain)
    except DataError as error:
        found = error.problem if error.problem.startswith(str(path)) else f"{path}: {error.problem}"
        raise DataError(found, error.expected, error.remedy) from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            _("{path} cannot be read: {error}.").format(path=path, error=error), "", _("Copy it again.")
        ) from error


def _unzip(source: Path | io.BytesIO) -> bytes:
    with gzip.open(source, "rb") as stream:
        head = stream.read(16)
        shape = _parse_shape(head)
        rest = stream.read(max(0, 4 + 4 * len(shape) + prod(shape) - len(head)) + 1)  # one more shows what is too long
        return head + rest


def _find_files(place: DataLocation) -> list[str]:
    """Return the idx files in the folder, or the one named and its partner, by their names within the tree."""
    if not place.file:
        return [name for name in place.tree.listing.list_files() if _FILE_PATTERN.fullmatch(name)]
    folder, name = posixpath.split(place.file)
    match = _FILE_PATTERN.fullmatch(name)
    if not match:
        return []
    other, dims = _PARTNER_KINDS[match["what"].lower()]
    stem = name[: match.start("what")] + other + name[match.end("what") : match.start("dims")] + dims
    candidates = [stem + name[match.end("dims") :].removesuffix(".gz") + ending for ending in ("", ".gz")]
    found = [path for path in (posixpath.join(folder, item) for item in candidates) if place.tree.has(path)]
    return [place.file, *found]


def _find_pairs(place: DataLocation) -> list[_FilePair]:
    folder, names = place.tree.root, _find_files(place)
    found: dict[str, dict[str, str]] = {}
    for name in names:
        match = _FILE_PATTERN.fullmatch(posixpath.basename(name))
        if match and found.setdefault(match["set"].lower(), {}).setdefault(match["what"].lower(), name) != name:
            raise AmbiguousError(
                _("{folder} holds the same idx file twice: {name}.").format(folder=folder, name=name),
                _("Expected each one once, plain or gzipped."),
            )
    if not found:
        raise UsageError(
            _("{folder} holds no idx files.").format(folder=folder),
            _("Expected names such as {example}.").format(example="train-images-idx3-ubyte.gz"),
        )
    pairs = [_make_pair(folder, name, partners) for name, partners in found.items()]
    if len({pair.split for pair in pairs}) < len(pairs):
        raise AmbiguousError(
            _("{folder} holds several idx sets: {names}.").format(folder=folder, names=", ".join(found)),
            _("Expected at most one for training and one for test."),
            _("Name one of the image files as the data."),
        )
    return sorted(pairs, key=lambda pair: pair.split)


def _make_pair(folder: Path, name: str, partners: dict[str, str]) -> _FilePair:
    missing = {"images", "labels"} - set(partners)
    if missing:
        raise DataError(
            _("{folder} holds {file} without its partner.").format(folder=folder, file=next(iter(partners.values()))),
            _("Expected a file '{name}' of {missing} too.").format(name=name, missing=", ".join(missing)),
        )
    word = re.split(r"[-_.]", name)[-1]
    return _FilePair(_SPLIT_BY_WORD.get(word, UNASSIGNED), partners["images"], partners["labels"])


def _split_word(pair: _FilePair) -> str:
    return next((word for word, split in SPLITS.items() if split == pair.split), "image")


FORMAT = Format(NAME, detect, read, Capability.LABELS | Capability.SPLITS | Capability.CLASSES)
