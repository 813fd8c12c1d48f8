"""Chooses unique file names for the images of a converted dataset."""

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
# Not allowed in file names on some operating system, or in label files with one name per line.
_FORBIDDEN_CHARACTERS = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_SPLIT_NAMES = {split: word for word, split in SPLITS.items()}


def assign_target_paths(dataset: Dataset, target: Format) -> list[str]:
    """Return the path of each image in a folder of the format ``target``, with '/'. All are different.

    The file name is kept where it is unique in its folder, also without its suffix and ignoring case, since label files
    are named after it. Otherwise as many names of parent folders as necessary are put before it, or else a number after
    it. The result does not depend on the order of the images.
    """
    split_names = [
        _SPLIT_NAMES.get(split, "") if Capability.SPLITS in target.capabilities else ""
        for split in dataset.splits.tolist()
    ]
    class_names = ["" if i == UNLABELLED else dataset.classes.names[i] for i in dataset.class_ids.tolist()]

    def make_path(row: int, name: str) -> str:
        return name if target.image_path is None else target.image_path(split_names[row], class_names[row], name)

    return make_unique_paths([_target_name(dataset.images, row) for row in range(len(dataset))], make_path)


def make_unique_paths(paths: Sequence[str], make_path: Callable[[int, str], str]) -> list[str]:
    """Return ``make_path(row, name)`` for each of ``paths``, with names that make all results different.

    ``name`` is the last part of the path where that suffices. Results count as equal when they differ only in case or
    suffix.
    """
    targets = [make_path(row, posixpath.basename(path)) for row, path in enumerate(paths)]
    counts = Counter(map(_collision_key, targets))
    taken_keys = {key for key, count in counts.items() if count == 1}
    collisions: dict[str, list[int]] = {}
    for row, path in enumerate(targets):
        if counts[_collision_key(path)] > 1:
            collisions.setdefault(_collision_key(path), []).append(row)
    for _key, colliding_rows in sorted(collisions.items()):
        rows = sorted(colliding_rows, key=lambda row: paths[row])
        for row, path in zip(rows, _disambiguate(rows, paths, make_path, taken_keys), strict=True):
            targets[row] = path
            taken_keys.add(_collision_key(path))
    return targets


def _disambiguate(
    rows: Sequence[int], paths: Sequence[str], make_path: Callable[[int, str], str], taken_keys: set[str]
) -> list[str]:
    """Return different paths for ``rows``, with the fewest parent folders that suffice, or else with numbers.

    None of them has a key in ``taken_keys``.
    """
    max_depth = max(paths[row].count("/") for row in rows)
    names: list[str] = []
    for depth in range(1, max_depth + 1):
        names = [_prefix_folders(paths[row], depth) for row in rows]
        targets = [make_path(row, name) for row, name in zip(rows, names, strict=True)]
        keys = set(map(_collision_key, targets))
        if len(keys) == len(rows) and not keys & taken_keys:
            return targets
    names = names or [paths[row] for row in rows]
    return list(_number_duplicates(rows, names, make_path, set(taken_keys)))


def _number_duplicates(
    rows: Sequence[int], names: Sequence[str], make_path: Callable[[int, str], str], taken_keys: set[str]
) -> Iterator[str]:
    """Yield a path for each of ``rows``, with a number from 2 on after names that are taken. Adds to ``taken_keys``."""
    for row, name in zip(rows, names, strict=True):
        stem, suffix = posixpath.splitext(name)
        path, number = make_path(row, name), 1
        while _collision_key(path) in taken_keys:
            number += 1
            path = make_path(row, f"{stem}-{number}{suffix}")
        taken_keys.add(_collision_key(path))
        yield path


def _prefix_folders(path: str, depth: int) -> str:
    """Return the file name with the names of up to ``depth`` parent folders before it, joined by '-'."""
    return "-".join(part for part in path.split("/")[-depth - 1 :] if part)


def _collision_key(path: str) -> str:
    """Return what must differ between two paths: without suffix, case and Unicode normal form."""
    return unicodedata.normalize("NFC", posixpath.splitext(path)[0]).casefold()


def sanitise_path(name: str) -> str:
    """Return ``name``, a path with '/', without characters that file names cannot contain on some operating system.

    They become '_'; spaces and dots at the end of a part are removed.
    """
    path = "/".join(part.rstrip(" .") for part in _FORBIDDEN_CHARACTERS.sub("_", name).split("/"))
    return path + "_" if path.endswith("/") or not path else path


def _target_name(source: ImageSource, row: int) -> str:
    """Return the name of the image at ``row``, sanitised, with the suffix of an image format.

    A missing suffix is found by reading the start of the file.
    """
    path = sanitise_path(source.get_name(row))
    if scan.looks_like_image(path):
        return path
    image_format = images.detect_format(source.read_bytes(row)[: images.HEADER_BYTES]) or "png"
    return path + _EXTENSIONS.get(image_format, f".{image_format}")
