"""The lists that Pascal VOC keeps beside its labels: which image is in which split, and the order of the classes."""

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
_LIST_FOLDERS = ("main", "", "segmentation")  # the first that is there counts
_LIST_SPLITS = {**SPLIT_WORDS, "trainval": TRAIN}
_PRESENCE_FLAG = re.compile(r"\s+-?[01]$")
_IMAGE_EXTENSION = re.compile(r"\.(?:jpe?g|png|bmp)$", re.IGNORECASE)
_MAX_LIST_BYTES = 2**28
_LABEL_MAP_FILE = "labelmap.txt"
_LABEL_MAP_HEADER = "# label:color_rgb:parts:actions"
_BACKGROUND_COLOUR = "0,0,0"


class ImageSets:
    """Which split the label files ``labels`` are in, as the lists of ``tree`` say. ``present`` when there are lists.

    ``ImageSets/Main/train.txt`` and its like hold a name per line, that of the label file without folder and ending;
    ``trainval`` is training where the other lists do not say. Lines that fit nothing are refused in ``marks``.
    """

    def __init__(self, tree: FileTree, labels: Sequence[str], marks: ObjectTableBuilder) -> None:
        self._tree = tree
        self._builder = marks
        self._splits: dict[str, int] = {}
        self._unmatched_lines: list[tuple[str, str, str, int]] = []
        lists = _find_lists(tree.names)
        self.has_lists = bool(lists)
        known = _index_labels(labels, {base for base, _word, _name in lists}) if lists else {}
        for base, word, name in lists:
            self._read_list(base, word, name, known)

    def get_split(self, label: str) -> int:
        """Return the split of the label file ``label``; UNASSIGNED when no list names it."""
        return self._splits.get(label, UNASSIGNED)

    def reject_missing(self, photos: Iterable[str]) -> None:
        """Refuse the lines that name neither a label file nor one of ``photos``."""
        stems = {posixpath.splitext(posixpath.basename(photo))[0] for photo in photos}
        for name, text, shown, line in self._unmatched_lines:
            if posixpath.basename(text) not in stems:
                reason = _("'{name}' has neither a label file nor a photo").format(name=shown)
                self._builder.reject(name, reason, _("add them, or remove the line"), line, "no-image")

    def _read_list(self, base: str, word: str, name: str, known: dict[tuple[str, str], str]) -> None:
        try:
            lines = self._tree.read(name, _MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
        except DataError as error:
            self._builder.reject(name, error.problem, error.remedy, kind="unusable")
            return
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text:
                continue
            label = _find_label(base, text, known)
            if label is None:
                self._unmatched_lines.append((name, _parse_image_id(text), text, number))
            else:
                self._assign_split(label, word, f"{name}", number)

    def _assign_split(self, label: str, word: str, name: str, line: int) -> None:
        split = _LIST_SPLITS[word]
        earlier = self._splits.setdefault(label, split)
        if earlier != split and word != "trainval":
            reason = _("{label} stands in another split already").format(label=label)
            self._builder.reject(name, reason, _("remove the line here or there"), line, "double")


def read_label_map(tree: FileTree) -> tuple[list[str], list[str]]:
    """Return the classes in the order of ``labelmap.txt``, the one nearest to the root, and those that may be no class.

    The latter is the black ``background`` that CVAT puts first. Empty where there is no such file.
    """
    found = [name for name in tree.names if posixpath.basename(name).lower() == _LABEL_MAP_FILE]
    if not found:
        return [], []
    try:
        text = tree.read(min(found, key=lambda name: name.count("/")), _MAX_LIST_BYTES).decode("utf-8-sig", "replace")
    except DataError:
        return [], []
    entries = [
        line.rsplit(":", 3) for line in text.splitlines() if line.strip() and not line.startswith(_LABEL_MAP_HEADER)
    ]
    if any(len(entry) != 4 for entry in entries):
        return [], []  # a file of that name which holds something else
    names = [entry[0].strip() for entry in entries if entry[0].strip()]
    return names, [
        entry[0].strip() for entry in entries if entry[0].strip() == "background" and entry[1] == _BACKGROUND_COLOUR
    ]


def write_label_map(names: Sequence[str], folder: Path) -> None:
    """Write ``labelmap.txt`` with all classes in their order, as CVAT writes it, colours left open."""
    lines = [_LABEL_MAP_HEADER, *(f"{name}:::" for name in names)]
    (folder / _LABEL_MAP_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_image_sets(members: dict[str, list[str]], folder: Path) -> None:
    """Write ``ImageSets/Main/<word>.txt`` for each word with its names."""
    target = folder / "ImageSets" / "Main"
    target.mkdir(parents=True, exist_ok=True)
    for word, names in members.items():
        (target / f"{word}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8", newline="\n")


def _find_lists(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (base, word, name) of the lists that count, trainval last, so that it fills what the others leave."""
    found: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for name in names:
        match = _LIST_PATTERN.fullmatch(name)
        if match and match["word"].lower() in _LIST_SPLITS:
            entry = match["base"], match["word"].lower(), name
            found.setdefault(match["base"], {}).setdefault((match["kind"] or "").lower(), []).append(entry)
    chosen = [next((kinds[kind] for kind in _LIST_FOLDERS if kind in kinds), []) for kinds in found.values()]
    return sorted(
        (entry for entries in chosen for entry in entries), key=lambda e: (e[1] == "trainval", _LIST_SPLITS[e[1]], e)
    )


def _index_labels(labels: Sequence[str], bases: set[str]) -> dict[tuple[str, str], str]:
    """Return the label file of each (base, name in the lists)."""
    ids: dict[tuple[str, str], str] = {}
    for base in bases:
        for label in labels:
            if label.startswith(base):
                inner = posixpath.splitext(label[len(base) :])[0]
                ids.setdefault((base, posixpath.basename(inner)), label)
                ids[base, inner.partition("/")[2] or inner] = label
    return ids


def _find_label(base: str, text: str, known: dict[tuple[str, str], str]) -> str | None:
    for name in (text, _parse_image_id(text)):
        if (base, name) in known:
            return known[base, name]
    return known.get((base, posixpath.basename(_parse_image_id(text))))


def _parse_image_id(text: str) -> str:
    """Return the name in a line that may end in a mark of presence (1 or -1) or in the ending of a picture."""
    return _IMAGE_EXTENSION.sub("", _PRESENCE_FLAG.sub("", text))
