"""The lists that Pascal VOC keeps beside its labels: which image is in which split, and the order of the classes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lince.errors import DataError
from lince.labels.marks import Marks
from lince.labels.table import SPLIT_WORDS, TRAIN, UNASSIGNED
from lince.labels.tree import Tree
from lince.messages import _

_LIST = re.compile(r"(?P<base>(?:.*/)?)imagesets/(?:(?P<kind>[^/]+)/)?(?P<word>[^/]+)\.txt", re.IGNORECASE)
_KINDS = ("main", "", "segmentation")  # the first that is there counts
_WORDS = {**SPLIT_WORDS, "trainval": TRAIN}
_FLAG = re.compile(r"\s+-?[01]$")
_PICTURE = re.compile(r"\.(?:jpe?g|png|bmp)$", re.IGNORECASE)
_LIST_AT_MOST = 2**28
_MAP = "labelmap.txt"
_HEADER = "# label:color_rgb:parts:actions"
_BLACK = "0,0,0"


class ImageSets:
    """Which split the label files ``labels`` are in, as the lists of ``tree`` say. ``present`` when there are lists.

    ``ImageSets/Main/train.txt`` and its like hold a name per line, that of the label file without folder and ending;
    ``trainval`` is training where the other lists do not say. Lines that fit nothing are refused in ``marks``.
    """

    def __init__(self, tree: Tree, labels: Sequence[str], marks: Marks) -> None:
        self._tree = tree
        self._marks = marks
        self._splits: dict[str, int] = {}
        self._unlabelled: list[tuple[str, str, str, int]] = []
        lists = _lists(tree.names)
        self.present = bool(lists)
        known = _ids(labels, {base for base, _word, _name in lists}) if lists else {}
        for base, word, name in lists:
            self._read(base, word, name, known)

    def split(self, label: str) -> int:
        """Return the split of the label file ``label``; UNASSIGNED when no list names it."""
        return self._splits.get(label, UNASSIGNED)

    def reject_absent(self, photos: Iterable[str]) -> None:
        """Refuse the lines that name neither a label file nor one of ``photos``."""
        stems = {posixpath.splitext(posixpath.basename(photo))[0] for photo in photos}
        for name, text, shown, line in self._unlabelled:
            if posixpath.basename(text) not in stems:
                reason = _("'{name}' has neither a label file nor a photo").format(name=shown)
                self._marks.reject(name, reason, _("add them, or remove the line"), line, "no-image")

    def _read(self, base: str, word: str, name: str, known: dict[tuple[str, str], str]) -> None:
        try:
            lines = self._tree.read(name, _LIST_AT_MOST).decode("utf-8-sig", "replace").splitlines()
        except DataError as error:
            self._marks.reject(name, error.found, error.remedy, fault="unusable")
            return
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text:
                continue
            label = _known(base, text, known)
            if label is None:
                self._unlabelled.append((name, _id(text), text, number))
            else:
                self._assign(label, word, f"{name}", number)

    def _assign(self, label: str, word: str, name: str, line: int) -> None:
        split = _WORDS[word]
        earlier = self._splits.setdefault(label, split)
        if earlier != split and word != "trainval":
            reason = _("{label} stands in another split already").format(label=label)
            self._marks.reject(name, reason, _("remove the line here or there"), line, "double")


def read_map(tree: Tree) -> tuple[list[str], list[str]]:
    """Return the classes in the order of ``labelmap.txt``, the one nearest to the root, and those that may be no class.

    The latter is the black ``background`` that CVAT puts first. Empty where there is no such file.
    """
    found = [name for name in tree.names if posixpath.basename(name).lower() == _MAP]
    if not found:
        return [], []
    try:
        text = tree.read(min(found, key=lambda name: name.count("/")), _LIST_AT_MOST).decode("utf-8-sig", "replace")
    except DataError:
        return [], []
    entries = [line.rsplit(":", 3) for line in text.splitlines() if line.strip() and not line.startswith(_HEADER)]
    if any(len(entry) != 4 for entry in entries):
        return [], []  # a file of that name which holds something else
    names = [entry[0].strip() for entry in entries if entry[0].strip()]
    return names, [entry[0].strip() for entry in entries if entry[0].strip() == "background" and entry[1] == _BLACK]


def write_map(names: Sequence[str], folder: Path) -> None:
    """Write ``labelmap.txt`` with all classes in their order, as CVAT writes it, colours left open."""
    lines = [_HEADER, *(f"{name}:::" for name in names)]
    (folder / _MAP).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_sets(members: dict[str, list[str]], folder: Path) -> None:
    """Write ``ImageSets/Main/<word>.txt`` for each word with its names."""
    target = folder / "ImageSets" / "Main"
    target.mkdir(parents=True, exist_ok=True)
    for word, names in members.items():
        (target / f"{word}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8", newline="\n")


def _lists(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (base, word, name) of the lists that count, trainval last, so that it fills what the others leave."""
    found: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for name in names:
        match = _LIST.fullmatch(name)
        if match and match["word"].lower() in _WORDS:
            entry = match["base"], match["word"].lower(), name
            found.setdefault(match["base"], {}).setdefault((match["kind"] or "").lower(), []).append(entry)
    chosen = [next((kinds[kind] for kind in _KINDS if kind in kinds), []) for kinds in found.values()]
    return sorted(
        (entry for entries in chosen for entry in entries), key=lambda e: (e[1] == "trainval", _WORDS[e[1]], e)
    )


def _ids(labels: Sequence[str], bases: set[str]) -> dict[tuple[str, str], str]:
    """Return the label file of each (base, name in the lists)."""
    ids: dict[tuple[str, str], str] = {}
    for base in bases:
        for label in labels:
            if label.startswith(base):
                inner = posixpath.splitext(label[len(base) :])[0]
                ids.setdefault((base, posixpath.basename(inner)), label)
                ids[base, inner.partition("/")[2] or inner] = label
    return ids


def _known(base: str, text: str, known: dict[tuple[str, str], str]) -> str | None:
    for name in (text, _id(text)):
        if (base, name) in known:
            return known[base, name]
    return known.get((base, posixpath.basename(_id(text))))


def _id(text: str) -> str:
    """Return the name in a line that may end in a mark of presence (1 or -1) or in the ending of a picture."""
    return _PICTURE.sub("", _FLAG.sub("", text))
