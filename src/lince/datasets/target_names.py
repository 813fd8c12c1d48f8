"""What images are called in the folder that a dataset is converted to: as before where that is free, else apart."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from lince import images
from lince.annotations import UNLABELLED
from lince.datasets.dataset import Dataset
from lince.datasets.image_source import ImageSource
from lince.formats import Capability, Format
from lince.splits import SPLITS
from lince.storage import scan

_EXTENSIONS = {"jpeg": ".jpg", "tiff": ".tif"}
_FORBIDDEN_CHARACTERS = re.compile(
    r'[\x00-\x1f\x7f<>:"|?*\\]'
)  # in file names on some system, or in label files made of lines
_SPLIT_NAMES = {split: word for word, split in SPLITS.items()}


def assign_target_paths(dataset: Dataset, form: Format) -> list[str]:
    """Return for each image its path in a folder of the format ``form``, all different, with '/'.

    A base name that is free is kept. Where two images would stand in one place, or differ by case or by ending alone
    (their label files would meet), they get as many of their folders' names as tell them apart, else a number. The
    result does not depend on the order of the images.
    """
    words = [
        _SPLIT_NAMES.get(split, "") if Capability.SPLITS in form.capabilities else ""
        for split in dataset.splits.tolist()
    ]
    kinds = ["" if i == UNLABELLED else dataset.classes.names[i] for i in dataset.class_ids.tolist()]

    def place(row: int, name: str) -> str:
        return name if form.image_path is None else form.image_path(words[row], kinds[row], name)

    return make_unique_paths([_target_name(dataset.images, row) for row in range(len(dataset))], place)


def make_unique_paths(paths: Sequence[str], place: Callable[[int, str], str]) -> list[str]:
    """Return ``place(row, name)`` for each of ``paths``, with names that keep all the results apart."""
    found = [place(row, posixpath.basename(path)) for row, path in enumerate(paths)]
    counts = Counter(map(_collision_key, found))
    taken = {key for key, count in counts.items() if count == 1}
    crowds: dict[str, list[int]] = {}
    for row, path in enumerate(found):
        if counts[_collision_key(path)] > 1:
            crowds.setdefault(_collision_key(path), []).append(row)
    for _name, crowd in sorted(crowds.items()):
        rows = sorted(crowd, key=lambda row: paths[row])
        for row, path in zip(rows, _disambiguate(rows, paths, place, taken), strict=True):
            found[row] = path
            taken.add(_collision_key(path))
    return found


def _disambiguate(
    rows: Sequence[int], paths: Sequence[str], place: Callable[[int, str], str], taken: set[str]
) -> list[str]:
    deepest = max(paths[row].count("/") for row in rows)
    names: list[str] = []
    for depth in range(1, deepest + 1):
        names = [_prefix_folders(paths[row], depth) for row in rows]
        found = [place(row, name) for row, name in zip(rows, names, strict=True)]
        keys = set(map(_collision_key, found))
        if len(keys) == len(rows) and not keys & taken:
            return found
    names = names or [paths[row] for row in rows]
    return list(_number_duplicates(rows, names, place, set(taken)))


def _number_duplicates(
    rows: Sequence[int], names: Sequence[str], place: Callable[[int, str], str], taken: set[str]
) -> Iterator[str]:
    for row, name in zip(rows, names, strict=True):
        stem, ending = posixpath.splitext(name)
        path, number = place(row, name), 1
        while _collision_key(path) in taken:
            number += 1
            path = place(row, f"{stem}-{number}{ending}")
        taken.add(_collision_key(path))
        yield path


def _prefix_folders(path: str, depth: int) -> str:
    return "-".join(part for part in path.split("/")[-depth - 1 :] if part)


def _collision_key(path: str) -> str:
    return unicodedata.normalize("NFC", posixpath.splitext(path)[0]).casefold()


def sanitise_path(name: str) -> str:
    """Return the path ``name``, with '/', without what no file name can hold on some system."""
    path = "/".join(part.rstrip(" .") for part in _FORBIDDEN_CHARACTERS.sub("_", name).split("/"))
    return path + "_" if path.endswith("/") or not path else path


def _target_name(source: ImageSource, row: int) -> str:
    """Return the name of the image at ``row``, made safe, with the ending of an image."""
    path = sanitise_path(source.get_name(row))
    if scan.looks_like_image(path):
        return path
    kind = images.detect_format(source.read_bytes(row)[: images.HEADER_BYTES]) or "png"
    return path + _EXTENSIONS.get(kind, f".{kind}")
