"""Finds the images of a YOLO set: what train, val and test mean, wherever the set has been moved since."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.image_lookup import ImageLookup, normalise_path
from lince.formats.yolo.dataset_yaml import MAX_CONFIG_BYTES, SplitEntry, YoloDatasetConfig
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.splits import SPLIT_WORDS, UNASSIGNED
from lince.storage import scan
from lince.storage.tree import LocalFolder

_MAX_LIST_BYTES = 64 * MAX_CONFIG_BYTES


class SplitImages:
    """The images of a set in ``splits``, each with its split; what does not fit together goes to ``marks``.

    ``outside`` are folders of images that lie outside the tree, ``lists`` the files that list images.
    """

    def __init__(
        self, declared: YoloDatasetConfig, photos: ImageLookup, prefix: str, marks: ObjectTableBuilder
    ) -> None:
        self.splits: dict[str, int] = {}
        self.outside_folders: list[str] = []
        self.image_lists: set[str] = set()
        self._config = declared
        self._image_lookup = photos
        self._base_folder = posixpath.normpath(prefix + declared.folder) if prefix + declared.folder else ""
        self._config_file = prefix + declared.files[0] if declared.files else ""
        self._builder = marks
        for part in sorted(declared.split_entries, key=lambda part: part.split % 4):  # images of no part come last
            for mention in part.mentions:
                self._add_mention(part, mention)
        if not self.splits:
            self.splits = {name: _split_from_path(name) for name in photos.names if is_encodable_text(name)}
        self._reject_others()

    def _add_mention(self, part: SplitEntry, mention: str) -> None:
        found = self._find_images(mention)
        if not found and part.key:
            reason = _("{key}: no images in '{mention}'").format(key=part.key, mention=mention[:200])
            self._builder.reject(self._config_file, reason, _("put them there, or correct the file"), kind="no-image")
        again = 0
        for name in found:
            if self.splits.setdefault(name, part.split) != part.split:
                again += 1
        if again and part.split != UNASSIGNED:
            reason = _("{key}: {count} images belong to a part named before").format(key=part.key, count=again)
            self._builder.reject(self._config_file, reason, _("they are used there alone"), kind="double")

    def _find_images(self, mention: str) -> list[str]:
        for path in dict.fromkeys(self._candidate_paths(mention)):
            if path.lower().endswith(".txt"):
                found = self._read_image_list(path)
            elif scan.looks_like_image(path) and self._image_lookup.tree.has(path):
                found = [path]
            else:
                found = list(filter(scan.looks_like_image, self._files_below(path)))
            if found:
                return list(filter(is_encodable_text, found))
        return []

    def _candidate_paths(self, mention: str) -> Iterator[str]:
        """Yield what ``mention`` may mean: seen from ``path``, the file's folder and the root, then ever less of it."""
        wanted = normalise_path(mention)
        for base in (posixpath.join(self._base_folder, self._config.path), self._base_folder, ""):
            yield self._relocate(posixpath.normpath(posixpath.join(base, wanted)))
        parts = [part for part in wanted.split("/") if part not in ("", ".", "..")]
        for first in range(len(parts)):
            yield self._relocate(posixpath.normpath(posixpath.join(self._base_folder, *parts[first:])))

    def _relocate(self, path: str) -> str:
        root = self._image_lookup.tree.root.absolute().as_posix()
        if path == root or path.startswith(root.rstrip("/") + "/"):
            path = posixpath.relpath(path, root)
        return "" if path == "." else path

    def _files_below(self, folder: str) -> Iterator[str]:
        """Yield the files below ``folder``, which may lie outside of a folder of this machine."""
        prefix = f"{folder}/" if folder else ""
        tree = self._image_lookup.tree
        if not _is_outside_root(folder):
            return (prefix + name for name in tree.listing.iterate_files(folder))
        if "\0" in folder or not isinstance(tree, LocalFolder):
            return iter(())
        path = tree.root / folder
        if not path.is_dir() or path.resolve() == path.resolve().parent:
            return iter(())
        self.outside_folders.append(folder)
        return (prefix + name for name in scan.walk_files(path))

    def _read_image_list(self, name: str) -> list[str]:
        tree = self._image_lookup.tree
        if _is_outside_root(name) and not isinstance(tree, LocalFolder):
            return []
        if "\0" in name or not tree.has(name):
            return []
        self.image_lists.add(name)
        lines = tree.read(name, _MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
        found: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            photo = self._image_lookup.find(line, posixpath.dirname(name)) if line.strip() else ""
            if photo is None:
                reason = _("no such image: {name}").format(name=line.strip()[:200])
                self._builder.reject(name, reason, _("put it there, or remove the line"), number, "no-image")
            elif photo in found:
                reason = _("the same image as in line {line}").format(line=found[photo])
                self._builder.reject(name, reason, _("remove the line"), number, "double")
            elif photo:
                found[photo] = number
        return list(found)

    def _reject_others(self) -> None:
        for name in self._image_lookup.names:
            if not is_encodable_text(name):
                shown = name.encode("utf-8", "backslashreplace").decode()
                self._builder.reject(shown, _("its name is not valid text"), _("rename it"), kind="unusable")
            elif name not in self.splits:
                reason = _("{file} names it in no part").format(file=self._config_file)
                self._builder.reject(name, reason, _("name its folder there, or move it elsewhere"), kind="unusable")


def _split_from_path(name: str) -> int:
    words = [] if posixpath.isabs(name) else name.lower().split("/")[:-1]
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), UNASSIGNED)


def _is_outside_root(name: str) -> bool:
    return name.startswith("../") or name == ".." or os.path.isabs(name)
