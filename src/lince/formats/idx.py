"""Reads the idx files of MNIST and datasets like it: images and labels as raw arrays, plain or gzipped.

The layout is LeCun's (yann.lecun.com/exdb/mnist): two zero bytes, a byte for the type of the values (8: unsigned byte),
the number of dimensions, each dimension as a big-endian 32-bit number, then the values in row-major order.
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
from lince.formats.table import LabelTable, PixelBlocks, ReadOptions
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLITS, TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.tree import DataLocation, FileTree, LocalFolder

NAME = "idx"
_UNSIGNED_BYTE = 8
_MAX_VALUES = 1 << 34  # 16 GiB; a header that announces more is taken for damaged
_FILE_PATTERN = re.compile(
    r"(?P<set>.*?)[-_.]?(?P<what>images|labels)[-_.]idx(?P<dims>[13])[-_.]ubyte(\.gz)?", re.IGNORECASE
)
_PARTNER_KINDS = {"images": ("labels", "1"), "labels": ("images", "3")}
_SPLIT_BY_WORD = {"train": TRAIN, "t10k": TEST, "test": TEST, "val": VAL, "valid": VAL, "validation": VAL}


@dataclass(frozen=True)
class _FilePair:
    """A file of images and its file of labels, by their names in the tree, and the split that they are."""

    split: int
    image_file: str
    label_file: str


def detect(location: DataLocation) -> str | None:
    """Return a text with the names of the idx files, ``None`` when there are none.

    A folder is searched for them without its subfolders; for a file, it and its partner (images or labels) are taken.
    """
    names = _find_files(location)
    return _("idx files: {names}").format(names=", ".join(map(posixpath.basename, names))) if names else None


def read(location: DataLocation, options: ReadOptions, progress: Progress = SILENT) -> LabelTable:
    """Read every pair of images and labels at ``location``; ``train`` and ``t10k`` in the names become the splits.

    Images are grey uint8 and stay in memory or mapped from the file; classes are the label values in ascending order,
    named by their digits. Raise ``DataError`` on a missing partner, a header that is not idx, or a file that is cut off
    or too long, ``AmbiguousError`` when a file is there twice or there are several sets.
    """
    tree = location.tree
    pairs = _find_pairs(location)
    blocks, labels = [], []
    with progress.open_stage(_("Reading idx files"), len(pairs)) as stage:
        for pair in pairs:
            blocks.append(_read_images(tree, pair.image_file))
            labels.append(_read_labels(tree, pair.label_file, len(blocks[-1])))
            stage.advance()
    label_values, class_ids = np.unique(np.concatenate(labels), return_inverse=True)
    counts = [len(array) for array in labels]
    return LabelTable(
        root=tree.root,
        format=NAME,
        names=StringColumn.from_strings(
            f"{_split_word(pair)}-{i:05d}" for pair, count in zip(pairs, counts, strict=True) for i in range(count)
        ),
        classes=Classes(tuple(map(str, label_values.tolist()))),
        class_ids=class_ids.astype(np.int32),
        splits=np.repeat(np.array([pair.split for pair in pairs], np.int8), counts),
        pixels=PixelBlocks(tuple(blocks)),
    )


def parse_idx(data: bytes | memoryview) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes in the idx file ``data``, a view into it without copying.

    Raise ``DataError`` when it is not an idx file of unsigned bytes, or not exactly as long as its header says.
    """
    shape = _parse_shape(data)
    offset, expected = 4 + 4 * len(shape), prod(shape)
    if len(data) - offset != expected:
        raise DataError(
            _("The idx file contains {found} values.").format(found=len(data) - offset),
            _("Expected {expected}: its header says {shape}.").format(
                expected=expected, shape=" x ".join(map(str, shape))
            ),
            _("It is truncated or damaged; copy it again."),
        )
    return np.frombuffer(data, np.uint8, offset=offset).reshape(shape)


def _parse_shape(data: bytes | memoryview) -> tuple[int, ...]:
    """Return the dimensions in an idx header; raise ``DataError`` when it is none or announces over 16 GiB."""
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
    """Return images uint8 (N, H, W), not empty; raise ``DataError`` for an array of another shape."""
    pixels = _read_array(tree, name)
    if pixels.ndim != 3 or not pixels.shape[1] * pixels.shape[2]:
        raise DataError(
            _("{path} contains an array of shape {shape}.").format(
                path=tree.root / name, shape=" x ".join(map(str, pixels.shape))
            ),
            _("Expected images: count x height x width."),
        )
    return pixels


def _read_labels(tree: FileTree, name: str, count: int) -> NDArray[Any]:
    """Return labels uint8 (``count``,); raise ``DataError`` for an array of another shape."""
    labels = _read_array(tree, name)
    if labels.shape != (count,):
        raise DataError(
            _("{path} contains {shape} labels.").format(
                path=tree.root / name, shape=" x ".join(map(str, labels.shape))
            ),
            _("Expected one for each of {count} images.").format(count=count),
        )
    return labels


def _read_array(tree: FileTree, name: str) -> NDArray[np.uint8]:
    """Return the array in the file ``name``; a plain file on this machine is mapped, not read."""
    path = tree.root / name
    try:
        if name.lower().endswith(".gz"):
            return parse_idx(_unzip(path if isinstance(tree, LocalFolder) else io.BytesIO(tree.read(name))))
        # A plain file is mapped: only the images in use take memory.
        is_local = isinstance(tree, LocalFolder)
        data = memoryview(np.memmap(path, np.uint8, "r")) if is_local else tree.read(name)  # type: ignore[arg-type]
        return parse_idx(data)
    except DataError as error:
        problem = error.problem if error.problem.startswith(str(path)) else f"{path}: {error.problem}"
        raise DataError(problem, error.expected, error.remedy) from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            _("{path} cannot be read: {error}.").format(path=path, error=error), "", _("Copy it again.")
        ) from error


def _unzip(source: Path | io.BytesIO) -> bytes:
    """Return the header and at most one byte more than the values that it announces, so a gzip bomb stays small."""
    with gzip.open(source, "rb") as stream:
        head = stream.read(16)
        shape = _parse_shape(head)
        expected = 4 + 4 * len(shape) + prod(shape) - len(head)
        values = stream.read(max(0, expected) + 1)  # one more byte shows that the file is too long
        return head + values


def _find_files(location: DataLocation) -> list[str]:
    """Return the names of the idx files in the folder, or of the file named and of its partner if there is one."""
    if not location.file:
        return [name for name in location.tree.listing.list_files() if _FILE_PATTERN.fullmatch(name)]
    folder, name = posixpath.split(location.file)
    match = _FILE_PATTERN.fullmatch(name)
    if not match:
        return []
    partner_kind, dims = _PARTNER_KINDS[match["what"].lower()]
    stem = name[: match.start("what")] + partner_kind + name[match.end("what") : match.start("dims")] + dims
    candidates = [stem + name[match.end("dims") :].removesuffix(".gz") + ending for ending in ("", ".gz")]
    paths = (posixpath.join(folder, candidate) for candidate in candidates)
    return [location.file, *filter(location.tree.has, paths)]


def _find_pairs(location: DataLocation) -> list[_FilePair]:
    """Return the pairs of files sorted by split; raise as ``read`` does where they do not pair up."""
    folder, names = location.tree.root, _find_files(location)
    files_by_set: dict[str, dict[str, str]] = {}
    for name in names:
        match = _FILE_PATTERN.fullmatch(posixpath.basename(name))
        if match and files_by_set.setdefault(match["set"].lower(), {}).setdefault(match["what"].lower(), name) != name:
            raise AmbiguousError(
                _("{folder} contains the same idx file twice: {name}.").format(folder=folder, name=name),
                _("Expected each one once, plain or gzipped."),
            )
    if not files_by_set:
        raise UsageError(
            _("{folder} contains no idx files.").format(folder=folder),
            _("Expected names such as {example}.").format(example="train-images-idx3-ubyte.gz"),
        )
    pairs = [_make_pair(folder, name, partners) for name, partners in files_by_set.items()]
    if len({pair.split for pair in pairs}) < len(pairs):
        raise AmbiguousError(
            _("{folder} contains several idx datasets: {names}.").format(folder=folder, names=", ".join(files_by_set)),
            _("Expected at most one for training and one for test."),
            _("Give one of the image files as the data."),
        )
    return sorted(pairs, key=lambda pair: pair.split)


def _make_pair(folder: Path, name: str, partners: dict[str, str]) -> _FilePair:
    """Return the pair in ``partners`` (file name by "images" and "labels"); raise where one is missing."""
    missing = {"images", "labels"} - set(partners)
    if missing:
        raise DataError(
            _("{folder} contains {file} without its matching file.").format(
                folder=folder, file=next(iter(partners.values()))
            ),
            _("Expected a file '{name}' of {missing} too.").format(name=name, missing=", ".join(missing)),
        )
    last_word = re.split(r"[-_.]", name)[-1]
    return _FilePair(_SPLIT_BY_WORD.get(last_word, UNASSIGNED), partners["images"], partners["labels"])


def _split_word(pair: _FilePair) -> str:
    """Return the name of the pair's split, which begins the names of its images; "image" for none."""
    return next((word for word, split in SPLITS.items() if split == pair.split), "image")


FORMAT = Format(NAME, detect, read, Capability.LABELS | Capability.SPLITS | Capability.CLASSES)
