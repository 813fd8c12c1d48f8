"""Reads and writes the lists beside Pascal VOC labels: ``ImageSets`` with the splits, and CVAT's ``labelmap.txt``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lince.errors import DataError
from lince.formats.builders.object_table import ObjectTableBuilder
from lince.i18n import _
from lince.splits import SPLIT_WORDS, TRAIN, UNASSIGNED
from lince.storage.tree import FileTree

_LIST_PATTERN = re.compile(r"(?P<base>(?:.*/)?)imagesets/(?:(?P<kind>[^/]+)/)?(?P<word>[^/]+)\.txt", re.IGNORECASE)
_LIST_FOLDERS = ("main", "", "segmentation")  # subfolders of ImageSets; the first one that exists is used
_LIST_SPLITS = {**SPLIT_WORDS, "trainval": TRAIN}
_PRESENCE_FLAG = re.compile(r"\s+-?[01]$")
_IMAGE_EXTENSION = re.compile(r"\.(?:jpe?g|png|bmp)$", re.IGNORECASE)
_MAX_LIST_BYTES = 2**28
_LABEL_MAP_FILE = "labelmap.txt"
_LABEL_MAP_HEADER = "# label:color_rgb:parts:actions"
_BACKGROUND_COLOUR = "0,0,0"


class ImageSets:
    """The splits of label files, from the lists in ``ImageSets`` of ``tree``.

    ``ImageSets/Main/train.txt`` and the like have one image id per line: the name of the label file
    without folder and suffix, which may be followed by a flag for the presence of a class.
    ``trainval`` means training for images that are in no other list. ``has_lists`` says whether
    there are any; lists that cannot be read, and images in two splits, are rejected in ``builder``.
    """

    def __init__(self, tree: FileTree, label_files: Sequence[str], builder: ObjectTableBuilder) -> None:
        self._tree = tree
        self._builder = builder
        self._splits: dict[str, int] = {}
        self._unmatched_lines: list[tuple[str, str, str, int]] = []
        lists = _find_lists(tree.names)
        self.has_lists = bool(lists)
        label_by_id = _index_labels(label_files, {base for base, _word, _name in lists}) if lists else {}
        for base, split_name, name in lists:
            self._read_list(base, split_name, name, label_by_id)

    def get_split(self, label_file: str) -> int:
        """Return the split of ``label_file``, ``UNASSIGNED`` when no list has it."""
        return self._splits.get(label_file, UNASSIGNED)

    def reject_missing(self, image_names: Iterable[str]) -> None:
        """Reject the lines with neither a label file nor an image among ``image_names``."""
        stems = {posixpath.splitext(posixpath.basename(image_name))[0] for image_name in image_names}
        for name, image_id, line_text, line in self._unmatched_lines:
            if posixpath.basename(image_id) not in stems:
                reason = _("'{name}' has neither a label file nor a photo").format(name=line_text)
                self._builder.reject(name, reason, _("add them, or remove the line"), line, "no-image")

    def _read_list(self, base: str, split_name: str, name: str, label_by_id: dict[tuple[str, str], str]) -> None:
        """Assign the split of the list ``name``; lines without a label file are kept for ``reject_missing``."""
        try:
            lines = self._tree.read(name, _MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
        except DataError as error:
            self._builder.reject(name, error.problem, error.remedy, kind="unusable")
            return
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text:
                continue
            label_file = _find_label(base, text, label_by_id)
            if label_file is None:
                self._unmatched_lines.append((name, _parse_image_id(text), text, number))
            else:
                self._assign_split(label_file, split_name, f"{name}", number)

    def _assign_split(self, label_file: str, split_name: str, name: str, line: int) -> None:
        """Assign a split to a label file, or rejects the line when it has another one already."""
        split = _LIST_SPLITS[split_name]
        first_split = self._splits.setdefault(label_file, split)
        if first_split != split and split_name != "trainval":
            reason = _("{label} is already in another split").format(label=label_file)
            self._builder.reject(name, reason, _("remove the line here or there"), line, "double")


def read_label_map(tree: FileTree) -> tuple[list[str], list[str]]:
    """Return the classes in ``labelmap.txt`` in their order, and those of them that may not be classes.

    The file nearest to the root is used. The second list has the black ``background`` that CVAT
    always writes first. Both are empty where there is no such file, or one that is not CVAT's.
    """
    label_maps = [name for name in tree.names if posixpath.basename(name).lower() == _LABEL_MAP_FILE]
    if not label_maps:
        return [], []
    try:
        text = tree.read(min(label_maps, key=lambda name: name.count("/")), _MAX_LIST_BYTES).decode(
            "utf-8-sig", "replace"
        )
    except DataError:
        return [], []
    entries = [
        line.rsplit(":", 3) for line in text.splitlines() if line.strip() and not line.startswith(_LABEL_MAP_HEADER)
    ]
    if any(len(entry) != 4 for entry in entries):
        return [], []  # another kind of file with this name
    names = [entry[0].strip() for entry in entries if entry[0].strip()]
    return names, [
        entry[0].strip() for entry in entries if entry[0].strip() == "background" and entry[1] == _BACKGROUND_COLOUR
    ]


def write_label_map(names: Sequence[str], folder: Path) -> None:
    """Write ``labelmap.txt`` with all classes in their order, as CVAT does, without colours."""
    lines = [_LABEL_MAP_HEADER, *(f"{name}:::" for name in names)]
    (folder / _LABEL_MAP_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_image_sets(ids_by_split: dict[str, list[str]], folder: Path) -> None:
    """Write ``ImageSets/Main/<split>.txt`` with the image ids of each split."""
    target = folder / "ImageSets" / "Main"
    target.mkdir(parents=True, exist_ok=True)
    for split_name, ids in ids_by_split.items():
        (target / f"{split_name}.txt").write_text(
            "".join(f"{image_id}\n" for image_id in ids), encoding="utf-8", newline="\n"
        )


def _find_lists(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (folder of ImageSets, split name, file) of the lists to be used.

    ``trainval`` comes last, so that it only assigns what the others leave.
    """
    lists_by_base: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for name in names:
        match = _LIST_PATTERN.fullmatch(name)
        if match and match["word"].lower() in _LIST_SPLITS:
            entry = match["base"], match["word"].lower(), name
            lists_by_base.setdefault(match["base"], {}).setdefault((match["kind"] or "").lower(), []).append(entry)
    chosen = [next((kinds[kind] for kind in _LIST_FOLDERS if kind in kinds), []) for kinds in lists_by_base.values()]
    return sorted(
        (entry for entries in chosen for entry in entries), key=lambda e: (e[1] == "trainval", _LIST_SPLITS[e[1]], e)
    )


def _index_labels(label_files: Sequence[str], bases: set[str]) -> dict[tuple[str, str], str]:
    """Return the label file for each (folder of ImageSets, image id).

    An id is the base name, or the path below ``Annotations``, which has precedence.
    """
    label_by_id: dict[tuple[str, str], str] = {}
    for base in bases:
        for label_file in label_files:
            if label_file.startswith(base):
                relative_stem = posixpath.splitext(label_file[len(base) :])[0]
                label_by_id.setdefault((base, posixpath.basename(relative_stem)), label_file)
                label_by_id[base, relative_stem.partition("/")[2] or relative_stem] = label_file
    return label_by_id


def _find_label(base: str, text: str, label_by_id: dict[tuple[str, str], str]) -> str | None:
    """Return the label file that a line means, ``None`` if there is none."""
    for name in (text, _parse_image_id(text)):
        if (base, name) in label_by_id:
            return label_by_id[base, name]
    return label_by_id.get((base, posixpath.basename(_parse_image_id(text))))


def _parse_image_id(text: str) -> str:
    """Return the image id in a line, without presence flag (1, 0 or -1) and image suffix."""
    return _IMAGE_EXTENSION.sub("", _PRESENCE_FLAG.sub("", text))
