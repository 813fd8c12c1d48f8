"""Finds the photo that a label means: by its path, else by its name where that is unique, else it says why not."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.errors import DataError
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.storage import scan
from lince.storage.tree import FileTree, LocalFolder

_HEADER_BYTES = 65_536  # bytes in which nearly every header lies
_BATCH = 1024
_MAX_IMAGE_BYTES = 2**31


class ImageLookup:
    """The photos of a tree, found by what label files call them.

    What lies in a folder called as one of ``apart`` (small letters) is a picture of another kind, such as a mask.
    """

    def __init__(self, tree: FileTree, excluded_folders: frozenset[str] = frozenset()) -> None:
        self.tree = tree
        self._excluded_folders = excluded_folders

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every file whose ending is an image's, in the order of the tree."""
        found = filter(scan.looks_like_image, self.tree.names)
        if not self._excluded_folders:
            return tuple(found)
        return tuple(name for name in found if self._excluded_folders.isdisjoint(name.lower().split("/")[:-1]))

    def find(self, mention: str, near: str = "") -> str | None:
        """Return the file that ``mention`` means in a label file that lies in the folder ``near``; ``None`` if none.

        Paths are tried as they stand, from the folder ``near`` and from the root. Else a file of that name anywhere
        below is taken, the one whose folders agree best with those mentioned; two that agree equally are none.
        """
        wanted = self._relative_to_root(normalise_path(mention))
        if not wanted or "\0" in wanted:
            return None
        for name in dict.fromkeys((posixpath.normpath(posixpath.join(near, wanted)), posixpath.normpath(wanted))):
            if (name in self._all_names or self._is_file_outside(name)) and self._is_image(name):
                return name
        return _closest_match(wanted, self._by_name.get(posixpath.basename(wanted), ()))

    def find_by_stem(self, label: str) -> str | None:
        """Return the photo that has the name of the label file ``label`` but for its ending, by the same rule."""
        stem = posixpath.splitext(label)[0]
        return _closest_match(stem, self._by_stem.get(posixpath.basename(stem), ()))

    @cached_property
    def _all_names(self) -> frozenset[str]:
        return frozenset(self.tree.names)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(posixpath.basename(name), []).append(name)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(posixpath.splitext(posixpath.basename(name))[0], []).append(name)
        return found

    def _relative_to_root(self, path: str) -> str:
        """Return a full path that leads below the root as the tree calls it; any other as it is."""
        root = os.path.abspath(self.tree.root) if isinstance(self.tree, LocalFolder) else ""
        return path.removeprefix(f"{root}/") if root else path

    def _is_image(self, name: str) -> bool:
        # A label file may name any file: only a photo is taken, by its ending or, without a known one, by its content.
        if scan.looks_like_image(name):
            return True
        try:
            return images.detect_format(self.tree.head(name, images.HEADER_BYTES)) is not None
        except DataError:
            return False

    def _is_file_outside(self, name: str) -> bool:
        # Only the label files of a folder here may point out of it.
        leads_out = name.startswith("../") or os.path.isabs(name)
        return leads_out and isinstance(self.tree, LocalFolder) and os.path.isfile(os.path.join(self.tree.root, name))


def read_image_sizes(tree: FileTree, names: Sequence[str], progress: Progress = SILENT) -> NDArray[np.int32]:
    """Return (height, width) int32 (N, 2) of the upright photos ``names`` from their headers; 0 where unreadable."""
    found: list[tuple[int, int]] = []
    with progress.open_stage(_("Reading the sizes of the photos"), len(names)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            found += pool.map(lambda name: read_image_size(tree, name), batch, chunksize=32)
            stage.advance(len(batch))
    return np.array(found, np.int32).reshape(-1, 2)


def normalise_path(mention: str) -> str:
    """Return a path from a label file with '/' for every bar, without drive letters and leading './'."""
    path = mention.strip().replace("\\", "/")
    if len(path) > 2 and path[1] == ":" and path[0].isalpha():
        path = path[2:]
    return path.removeprefix("file://").removeprefix("./")


def _closest_match(wanted: str, candidates: Sequence[str]) -> str | None:
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    folders = posixpath.dirname(wanted).split("/")[::-1]
    agreeing = [_common_prefix_length(folders, posixpath.dirname(name).split("/")[::-1]) for name in candidates]
    best = max(agreeing)
    return candidates[agreeing.index(best)] if agreeing.count(best) == 1 else None


def _common_prefix_length(one: list[str], other: list[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def read_image_size(tree: FileTree, name: str) -> tuple[int, int]:
    """Return (height, width) of the upright photo ``name`` from its header; zeros when it cannot be read."""
    for count in (_HEADER_BYTES, _MAX_IMAGE_BYTES):
        try:
            return images.read_size(tree.head(name, count))
        except DataError:
            continue
    return 0, 0
