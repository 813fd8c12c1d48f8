"""Finds the image that a label file refers to: by its path, else by its file name where that is unique.

Also reads image sizes from file headers, many at a time.
"""

from __future__ import annotations

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.formats.image_guesses import ImageGuesses, compare_names, fold_name, loosen_stem, strip_upload_code
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED, find_split_words, infer_split_from_folders
from lince.storage import scan
from lince.storage.tree import DataLocation, FileTree, LocalFolder

_HEADER_BYTES = 65_536  # enough for nearly every header
_BATCH = 1024
_MAX_IMAGE_BYTES = 2**31
_MIN_SHARE = 0.25  # of the images in a match's folder; a folder with fewer holds pictures of another kind, as a logo


class ImageLookup:
    """The images of a tree, found by what label files call them.

    Files below a folder named as one of ``excluded_folders`` (lower case) are pictures of another kind, such as masks,
    and are never found by name alone.
    """

    def __init__(self, tree: FileTree, excluded_folders: frozenset[str] = frozenset()) -> None:
        self.tree = tree
        self._excluded_folders = excluded_folders
        self._guesses = ImageGuesses()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The files with an image's suffix, in the order of the tree, without the excluded folders."""
        names = filter(scan.looks_like_image, self.tree.names)
        if not self._excluded_folders:
            return tuple(names)
        return tuple(name for name in names if self._excluded_folders.isdisjoint(name.lower().split("/")[:-1]))

    def find(self, image_reference: str, label_folder: str = "", *, sidecar: bool = False) -> str | None:
        """Return the image that a label file calls ``image_reference``; ``None`` when there is no single best one.

        ``label_folder`` is the folder of the label file, by its name in the tree; ``sidecar`` says that the file is of
        this image alone. The path is tried from that folder and from the root. Else an image of the same file name
        anywhere below is taken, the one with the most folders in common with the reference, counted from the file
        upwards; two that are equally good are none. An image in another place than the one where the missing one would
        be is another image, and is not taken: it is in another split, or images are in the folder of the reference, or
        in the folder that is to a sidecar what the image's folder is to the image; a few pictures there do not count.
        """
        path = self._relative_to_root(normalise_path(image_reference))
        if not path or "\0" in path:
            return None
        for name in dict.fromkeys((posixpath.normpath(posixpath.join(label_folder, path)), posixpath.normpath(path))):
            if (name in self._all_names or self._is_file_outside(name)) and self._is_image(name):
                return name
        same_names = self._by_name.get(posixpath.basename(path)) or self._by_folded_name.get(fold_name(path)) or ()
        match = _closest_match(path, same_names)
        if match is None or self._is_elsewhere(match, posixpath.dirname(path), label_folder, sidecar):
            return None
        return match

    def find_by_name_or_stem(
        self, image_reference: str, label_folder: str = "", *, sidecar: bool = False
    ) -> str | None:
        """Return the image that a label file calls ``image_reference``; ``None`` when there is no single best one.

        It is the one that ``find`` gives, else the one of that name apart from the suffix, else the one of that name
        apart from what an upload puts before it.
        """
        path = self._relative_to_root(normalise_path(image_reference))
        name = self.find(image_reference, label_folder, sidecar=sidecar)
        if name is not None or not path or "\0" in path:
            return name
        whole = path if scan.looks_like_image(path) else f"{path}.jpg"
        return self.find_by_stem(posixpath.join(label_folder, whole)) or self._find_upload(path, label_folder)

    def is_of_other_split(self, image_reference: str, name: str | None) -> bool:
        """Return whether the folders of ``image_reference`` say another split than those of the image ``name``."""
        path = self._relative_to_root(normalise_path(image_reference))
        expected_split = infer_split_from_folders(path) if path and "\0" not in path else UNASSIGNED
        return name is not None and UNASSIGNED != expected_split != _infer_image_split(name) != UNASSIGNED

    def note_guess(self, image_reference: str, name: str, label_file: str = "", *, sidecar: bool = False) -> None:
        """Remember the image ``name`` for ``pop_guesses`` where it is called otherwise than ``image_reference``.

        ``sidecar`` says that ``label_file`` is of this image alone.
        """
        if name == image_reference or ("/" not in image_reference and name.endswith(f"/{image_reference}")):
            return
        path = self._relative_to_root(normalise_path(image_reference))
        kind = compare_names(path, name) if path and "\0" not in path else ""
        is_there = kind != "folder" and posixpath.basename(path) in self._by_name  # so that the label file decided
        if kind not in ("", "other") and not is_there:
            self._guesses.add(kind, image_reference, name, label_file, sidecar)

    def pop_guesses(self, label_file: str = "") -> list[RejectedItem]:
        """Return a notice for each way in which label files call images otherwise than they are called.

        They are about the images noted since the last call, and about ``label_file`` where it is given.
        """
        return self._guesses.pop_notices(label_file)

    def list_unnamed(self, named: Container[str], location: DataLocation) -> Iterator[RejectedItem]:
        """Yield the images that are not ``named`` by a label file of ``location``: told, and no loss.

        None of a tree above the location, beside a file that was given alone or far away: other things are there, too.
        """
        if location.file or self.tree.is_remote or not self.tree.root.is_relative_to(location.tree.root):
            return
        reason, remedy = _("no label file names it"), _("add it to one, or move it elsewhere")
        for name in self.names:
            if name not in named and is_encodable_text(name):
                yield RejectedItem(name, reason, remedy, kind="unlabelled")

    def explain_missing(self, reason: str, image_reference: str, label_folder: str = "") -> str:
        """Return ``reason``, why an image is missing, with what is there instead of it."""
        near = "" if self.tree.is_remote else self.describe_near_misses(image_reference, label_folder)
        return f"{reason}; {near}" if near else reason

    def describe_near_misses(self, image_reference: str, label_folder: str = "") -> str:
        """Return what is there instead of an image that was not found, as a part of a sentence; '' for nothing."""
        path = normalise_path(image_reference)
        file_name = posixpath.basename(path)
        stem = posixpath.splitext(file_name)[0] if scan.looks_like_image(file_name) else file_name
        same_names = self._by_name.get(file_name) or self._by_folded_name.get(fold_name(path)) or ()
        same_names = same_names or self._by_folded_stem.get(fold_name(stem)) or ()
        if len(same_names) > 1:
            return _("several photos have that name: {names}").format(names=", ".join(same_names[:3]))
        if same_names:
            return _("{name} has that name, but is in another place").format(name=same_names[0])
        alike = self._by_loose_stem.get(loosen_stem(stem)) if loosen_stem(stem) else None
        return _("{name} is called almost so").format(name=alike[0]) if alike else ""

    def _find_upload(self, path: str, label_folder: str) -> str | None:
        """Return the image called ``path`` apart from an upload's code before one of the two names."""
        folder, file_name = posixpath.split(path)
        bare = strip_upload_code(file_name)
        if bare != file_name:
            same_names: Sequence[str] = self._by_name.get(bare) or self._by_folded_name.get(fold_name(bare)) or ()
        else:
            same_names = self._by_bare_name.get(fold_name(file_name)) or ()
        match = _closest_match(path, same_names)
        return None if match is None or self._is_elsewhere(match, folder, label_folder, False) else match

    def _list_upload_stems(self, stem: str) -> Sequence[str]:
        """Return the images called ``stem`` apart from an upload's code before one of the two names."""
        bare = strip_upload_code(stem)
        if bare == stem:
            return self._by_bare_stem.get(fold_name(stem)) or ()
        return self._by_stem.get(bare) or self._by_folded_stem.get(fold_name(bare)) or ()

    def find_by_stem(self, label_file: str) -> str | None:
        """Return the image whose name is that of ``label_file`` apart from the suffix; ``None`` as in ``find``.

        Where there is none, one whose name differs by an upload's code is taken. Several images of that name are told
        apart by their folders, and an image in another place is not taken, as in ``find``.
        """
        stem = posixpath.splitext(label_file)[0]
        same_stems = self._by_stem.get(posixpath.basename(stem)) or self._by_folded_stem.get(fold_name(stem))
        match = _closest_match(stem, same_stems or self._list_upload_stems(posixpath.basename(stem)))
        folder = posixpath.dirname(stem)
        return None if match is None or self._is_elsewhere(match, folder, folder, sidecar=True) else match

    def _is_elsewhere(self, match: str, reference_folder: str, label_folder: str, sidecar: bool) -> bool:
        """Return whether ``match``, found by its file name alone, is in another place than the image that is meant."""
        image_folder = posixpath.dirname(match)
        expected_split = infer_split_from_folders(posixpath.join(label_folder, reference_folder, ""))
        if UNASSIGNED != expected_split != _infer_image_split(match) != UNASSIGNED:
            return True
        min_count = self._count_by_folder[image_folder] * _MIN_SHARE
        mirrored_folder = _mirrored_folder(image_folder, label_folder) if sidecar else None
        if mirrored_folder is not None and self._count_by_folder[mirrored_folder] >= min_count:
            return True
        parts = (reference_folder or (label_folder if sidecar else "")).split("/")
        agreement = _common_suffix_length(parts, image_folder.split("/"))
        return any(
            _common_suffix_length(parts, other.split("/")) > agreement and self._count_by_folder[other] >= min_count
            for other in self._folders_by_name[parts[-1]]
        )

    @cached_property
    def _count_by_folder(self) -> Counter[str]:
        """The number of images right in each folder."""
        return Counter(map(posixpath.dirname, self.names))

    @cached_property
    def _folders_by_name(self) -> defaultdict[str, list[str]]:
        """The folders that hold images, by their own name."""
        folders_by_name: defaultdict[str, list[str]] = defaultdict(list)
        for folder in self._count_by_folder.keys() - {""}:
            folders_by_name[posixpath.basename(folder)].append(folder)
        return folders_by_name

    @cached_property
    def _all_names(self) -> frozenset[str]:
        return frozenset(self.tree.names)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """Image names by their file name without folders."""
        names_by_file_name: dict[str, list[str]] = {}
        for name in self.names:
            names_by_file_name.setdefault(posixpath.basename(name), []).append(name)
        return names_by_file_name

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        """Image names by their file name without folders and suffix."""
        names_by_stem: dict[str, list[str]] = {}
        for name in self.names:
            names_by_stem.setdefault(posixpath.splitext(posixpath.basename(name))[0], []).append(name)
        return names_by_stem

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        """Image names by their file name as ``fold_name`` gives it."""
        return _join_by_fold(self._by_name)

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        """Image names by their file name without suffix, as ``fold_name`` gives it."""
        return _join_by_fold(self._by_stem)

    @cached_property
    def _by_bare_name(self) -> dict[str, list[str]]:
        """Names of images that begin with an upload's code, by their folded file name without it."""
        return _join_without_code(self._by_name)

    @cached_property
    def _by_bare_stem(self) -> dict[str, list[str]]:
        """Names of images that begin with an upload's code, by their folded file name without it and its suffix."""
        return _join_without_code(self._by_stem)

    @cached_property
    def _by_loose_stem(self) -> dict[str, list[str]]:
        """Image names by their file name as ``loosen_stem`` gives it."""
        names_by_text: dict[str, list[str]] = {}
        for stem, names in self._by_stem.items():
            names_by_text.setdefault(loosen_stem(stem), []).extend(names)
        return names_by_text

    def _relative_to_root(self, path: str) -> str:
        """Return a full path below the root relative to it; any other path unchanged."""
        root = os.path.abspath(self.tree.root) if isinstance(self.tree, LocalFolder) else ""
        return path.removeprefix(f"{root}/") if root else path

    def _is_image(self, name: str) -> bool:
        """Whether ``name`` is an image by its suffix, or by its first bytes.

        A label file may name any file of this machine, so nothing else is taken.
        """
        if scan.looks_like_image(name):
            return True
        try:
            return images.detect_format(self.tree.head(name, images.HEADER_BYTES)) is not None
        except DataError:
            return False

    def _is_file_outside(self, name: str) -> bool:
        """Whether ``name`` is a file outside of the root, which only local label files may name."""
        leads_out = name.startswith("../") or os.path.isabs(name)
        return leads_out and isinstance(self.tree, LocalFolder) and os.path.isfile(os.path.join(self.tree.root, name))


def read_image_sizes(tree: FileTree, names: Sequence[str], progress: Progress = SILENT) -> NDArray[np.int32]:
    """Return (height, width) int32 (N, 2) in pixels of the upright images ``names``; 0, 0 where a size cannot be read.

    Only headers are read, in parallel. Upright means turned by the orientation that the file's EXIF data gives.
    """
    sizes: list[tuple[int, int]] = []
    with progress.open_stage(_("Reading the image sizes"), len(names)) as stage, ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            sizes += pool.map(lambda name: read_image_size(tree, name), batch, chunksize=32)
            stage.advance(len(batch))
    return np.array(sizes, np.int32).reshape(-1, 2)


def read_sizes_by_name(tree: FileTree, names: Sequence[str], progress: Progress = SILENT) -> dict[str, tuple[int, int]]:
    """Return (height, width) of the images ``names`` as ``read_image_sizes`` does, by name; without names, at once."""
    if not names:
        return {}
    sizes = read_image_sizes(tree, names, progress).tolist()
    return {name: (height, width) for name, (height, width) in zip(names, sizes, strict=True)}


def normalise_path(image_reference: str) -> str:
    r"""Return a path from a label file with '/' for '\\', without drive letter, ``file://`` and leading './'."""
    path = image_reference.strip().replace("\\", "/")
    if len(path) > 2 and path[1] == ":" and path[0].isalpha():
        path = path[2:]
    return path.removeprefix("file://").removeprefix("./")


def _join_without_code(names_by_text: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the lists of ``names_by_text`` whose keys begin with an upload's code, by the folded key without it."""
    bare_names: dict[str, list[str]] = {}
    for text, names in names_by_text.items():
        bare = strip_upload_code(text)
        if bare != text:
            bare_names.setdefault(bare, []).extend(names)
    return _join_by_fold(bare_names)


def _join_by_fold(names_by_text: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the lists of ``names_by_text`` joined by the folded form of their keys."""
    names_by_fold: dict[str, list[str]] = {}
    for text, names in names_by_text.items():
        names_by_fold.setdefault(fold_name(text), []).extend(names)
    return names_by_fold


def _infer_image_split(name: str) -> int:
    """Return the split of an image by its folders, or by a word of its own folder alone: ``cut photos train``."""
    split, words = infer_split_from_folders(name), set(find_split_words(posixpath.basename(posixpath.dirname(name))))
    return words.pop() if split == UNASSIGNED and len(words) == 1 else split


def _closest_match(path: str, candidates: Sequence[str]) -> str | None:
    """Return the candidate whose folders agree best with those of ``path``; ``None`` when several do."""
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    folders = posixpath.dirname(path).split("/")
    agreements = [_common_suffix_length(folders, posixpath.dirname(name).split("/")) for name in candidates]
    best = max(agreements)
    return candidates[agreements.index(best)] if agreements.count(best) == 1 else None


def _common_suffix_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many last items two lists have in common."""
    pairs = zip(reversed(first), reversed(second), strict=False)
    return sum(1 for _pair in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _mirrored_folder(image_folder: str, label_folder: str) -> str | None:
    """Return the folder that is to ``label_folder`` what ``image_folder`` is to its own branch of the tree.

    ``None`` where one of the two folders is within the other.

    >>> _mirrored_folder("b/images", "a/labels")
    'a/images'
    """
    parts, label_parts = image_folder.split("/"), label_folder.split("/")
    shared = sum(1 for _pair in takewhile(lambda pair: pair[0] == pair[1], zip(parts, label_parts, strict=False)))
    if not (image_folder and label_folder) or shared in (len(parts), len(label_parts)):
        return None
    return "/".join([*label_parts[: shared + 1], *parts[shared + 1 :]])


def read_image_size(tree: FileTree, name: str) -> tuple[int, int]:
    """Return (height, width) in pixels of the upright image ``name`` from its header; zeros when unreadable."""
    for count in (_HEADER_BYTES, _MAX_IMAGE_BYTES):
        try:
            return images.read_size(tree.head(name, count))
        except DataError:
            continue
    return 0, 0
