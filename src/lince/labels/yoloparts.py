"""Finds the images of a YOLO set: what train, val and test mean, wherever the set has been moved since."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from lince.labels import scan
from lince.labels.jsonfile import is_text
from lince.labels.marks import Marks
from lince.labels.photos import Photos, tidy
from lince.labels.table import SPLIT_WORDS, UNASSIGNED
from lince.labels.tree import Folder
from lince.labels.yoloset import AT_MOST, Part, YoloSet
from lince.messages import _

_LIST_AT_MOST = 64 * AT_MOST


class Parts:
    """The images of a set in ``splits``, each with its split; what does not fit together goes to ``marks``.

    ``outside`` are folders of images that lie outside the tree, ``lists`` the files that list images.
    """

    def __init__(self, declared: YoloSet, photos: Photos, prefix: str, marks: Marks) -> None:
        self.splits: dict[str, int] = {}
        self.outside: list[str] = []
        self.lists: set[str] = set()
        self._declared = declared
        self._photos = photos
        self._near = posixpath.normpath(prefix + declared.folder) if prefix + declared.folder else ""
        self._file = prefix + declared.files[0] if declared.files else ""
        self._marks = marks
        for part in sorted(declared.parts, key=lambda part: part.split % 4):  # images of no part come last
            for mention in part.mentions:
                self._add(part, mention)
        if not self.splits:
            self.splits = {name: _split_of(name) for name in photos.names if is_text(name)}
        self._reject_others()

    def _add(self, part: Part, mention: str) -> None:
        found = self._images(mention)
        if not found and part.key:
            reason = _("{key}: no images in '{mention}'").format(key=part.key, mention=mention[:200])
            self._marks.reject(self._file, reason, _("put them there, or correct the file"), fault="no-image")
        again = 0
        for name in found:
            if self.splits.setdefault(name, part.split) != part.split:
                again += 1
        if again and part.split != UNASSIGNED:
            reason = _("{key}: {count} images belong to a part named before").format(key=part.key, count=again)
            self._marks.reject(self._file, reason, _("they are used there alone"), fault="double")

    def _images(self, mention: str) -> list[str]:
        for path in dict.fromkeys(self._readings(mention)):
            if path.lower().endswith(".txt"):
                found = self._in_list(path)
            elif scan.looks_like_image(path) and self._photos.tree.has(path):
                found = [path]
            else:
                found = list(filter(scan.looks_like_image, self._below(path)))
            if found:
                return list(filter(is_text, found))
        return []

    def _readings(self, mention: str) -> Iterator[str]:
        """Yield what ``mention`` may mean: seen from ``path``, the file's folder and the root, then ever less of it."""
        wanted = tidy(mention)
        for base in (posixpath.join(self._near, self._declared.path), self._near, ""):
            yield self._inward(posixpath.normpath(posixpath.join(base, wanted)))
        parts = [part for part in wanted.split("/") if part not in ("", ".", "..")]
        for first in range(len(parts)):
            yield self._inward(posixpath.normpath(posixpath.join(self._near, *parts[first:])))

    def _inward(self, path: str) -> str:
        root = self._photos.tree.root.absolute().as_posix()
        if path == root or path.startswith(root.rstrip("/") + "/"):
            path = posixpath.relpath(path, root)
        return "" if path == "." else path

    def _below(self, folder: str) -> Iterator[str]:
        """Yield the files below ``folder``, which may lie outside of a folder of this machine."""
        prefix = f"{folder}/" if folder else ""
        tree = self._photos.tree
        if not _leads_out(folder):
            return (prefix + name for name in tree.listing.below(folder))
        if "\0" in folder or not isinstance(tree, Folder):
            return iter(())
        path = tree.root / folder
        if not path.is_dir() or path.resolve() == path.resolve().parent:
            return iter(())
        self.outside.append(folder)
        return (prefix + name for name in scan.files_below(path))

    def _in_list(self, name: str) -> list[str]:
        tree = self._photos.tree
        if _leads_out(name) and not isinstance(tree, Folder):
            return []
        if "\0" in name or not tree.has(name):
            return []
        self.lists.add(name)
        lines = tree.read(name, _LIST_AT_MOST).decode("utf-8-sig", "replace").splitlines()
        found: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            photo = self._photos.find(line, posixpath.dirname(name)) if line.strip() else ""
            if photo is None:
                reason = _("no such image: {name}").format(name=line.strip()[:200])
                self._marks.reject(name, reason, _("put it there, or remove the line"), number, "no-image")
            elif photo in found:
                reason = _("the same image as in line {line}").format(line=found[photo])
                self._marks.reject(name, reason, _("remove the line"), number, "double")
            elif photo:
                found[photo] = number
        return list(found)

    def _reject_others(self) -> None:
        for name in self._photos.names:
            if not is_text(name):
                shown = name.encode("utf-8", "backslashreplace").decode()
                self._marks.reject(shown, _("its name is not valid text"), _("rename it"), fault="unusable")
            elif name not in self.splits:
                reason = _("{file} names it in no part").format(file=self._file)
                self._marks.reject(name, reason, _("name its folder there, or move it elsewhere"), fault="unusable")


def _split_of(name: str) -> int:
    words = [] if posixpath.isabs(name) else name.lower().split("/")[:-1]
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), UNASSIGNED)


def _leads_out(name: str) -> bool:
    return name.startswith("../") or name == ".." or os.path.isabs(name)
