"""Finds the images of the splits of a YOLO dataset, also when it has been moved since it was declared."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from lince.formats.builders.object_table import ObjectTableBuilder
from lince.formats.image_lookup import ImageLookup, normalise_path
from lince.formats.yolo.dataset_yaml import MAX_CONFIG_BYTES, SplitEntry, YoloDatasetConfig
from lince.i18n import _
from lince.parsing.json_reader import is_encodable_text
from lince.splits import UNASSIGNED, infer_split_from_folders
from lince.storage import scan
from lince.storage.tree import LocalFolder

_MAX_LIST_BYTES = 64 * MAX_CONFIG_BYTES  # of a text file that lists images


class SplitImages:
    """The images of a dataset and their splits.

    ``splits`` maps each image to its split; without declared splits these are all images of the
    tree, by folder names. ``outside_folders`` are folders of images outside the tree,
    ``image_lists`` the text files that list images. What cannot be found or belongs to two splits
    is rejected in ``builder``.
    """

    def __init__(
        self, config: YoloDatasetConfig, image_lookup: ImageLookup, prefix: str, builder: ObjectTableBuilder
    ) -> None:
        """``prefix`` leads from the root of ``image_lookup`` to the folder that the names in ``config`` start from."""
        self.splits: dict[str, int] = {}
        self.outside_folders: list[str] = []
        self.image_lists: set[str] = set()
        self._config = config
        self._image_lookup = image_lookup
        self._base_folder = posixpath.normpath(prefix + config.folder) if prefix + config.folder else ""
        self._config_file = prefix + config.files[0] if config.files else ""
        self._builder = builder
        for entry in sorted(config.split_entries, key=lambda entry: entry.split % 4):  # those without a split come last
            for path in entry.paths:
                self._add_path(entry, path)
        if not self.splits:
            self.splits = {
                name: infer_split_from_folders(name) for name in image_lookup.names if is_encodable_text(name)
            }
        self._reject_others()

    def _add_path(self, entry: SplitEntry, path: str) -> None:
        """Add the images that the declared ``path`` of a split stands for.

        An image keeps its first split; further ones are rejected, except those of the key for
        images without a split, which lists whole folders.
        """
        image_names = self._find_images(path)
        if not image_names and entry.key:
            reason = _("{key}: no images in '{mention}'").format(key=entry.key, mention=path[:200])
            self._builder.reject(self._config_file, reason, _("add them, or correct the file"), kind="no-image")
        duplicate_count = 0
        for name in image_names:
            if self.splits.setdefault(name, entry.split) != entry.split:
                duplicate_count += 1
        if duplicate_count and entry.split != UNASSIGNED:
            reason = _("{key}: {count} images already belong to another split").format(
                key=entry.key, count=duplicate_count
            )
            self._builder.reject(self._config_file, reason, _("they are used only there"), kind="overlap")

    def _find_images(self, path: str) -> list[str]:
        """Return the images at the first of the candidates for ``path`` where there are some."""
        for candidate in dict.fromkeys(self._candidate_paths(path)):
            if candidate.lower().endswith(".txt"):
                image_names = self._read_image_list(candidate)
            elif scan.looks_like_image(candidate) and self._image_lookup.tree.has(candidate):
                image_names = [candidate]
            else:
                image_names = list(filter(scan.looks_like_image, self._files_below(candidate)))
            if image_names:
                return list(filter(is_encodable_text, image_names))
        return []

    def _candidate_paths(self, path: str) -> Iterator[str]:
        """Yield the paths that the declared ``path`` may stand for.

        It is taken relative to ``path`` of the declaration, to the declaring file and to the root; then its leading
        folders are dropped one by one, for datasets that have been moved. Last, it is taken relative to the folder
        above the declaring file: YOLOv5 and YOLOv7 keep that in ``data``, with paths from where they are started.
        """
        clean_path = normalise_path(path)
        for base in (posixpath.join(self._base_folder, self._config.path), self._base_folder, ""):
            yield self._relocate(posixpath.normpath(posixpath.join(base, clean_path)))
        parts = [part for part in clean_path.split("/") if part not in ("", ".", "..")]
        for first in range(len(parts)):
            yield self._relocate(posixpath.normpath(posixpath.join(self._base_folder, *parts[first:])))
        above = posixpath.join(self._base_folder, "..")
        for base in (posixpath.join(above, self._config.path), above) if self._config.files else ():
            yield self._relocate(posixpath.normpath(posixpath.join(base, clean_path)))

    def _relocate(self, path: str) -> str:
        """Return an absolute path below the root relative to it, any other path unchanged."""
        root = self._image_lookup.tree.root.absolute().as_posix()
        if path == root or path.startswith(root.rstrip("/") + "/"):
            path = posixpath.relpath(path, root)
        return "" if path == "." else path

    def _files_below(self, folder: str) -> Iterator[str]:
        """Yield the files below ``folder``, which may be outside of a local root.

        The root of the file system is never searched.
        """
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
        """Return the images that a text file lists, one per line; lines without an image are rejected."""
        tree = self._image_lookup.tree
        if _is_outside_root(name) and not isinstance(tree, LocalFolder):
            return []
        if "\0" in name or not tree.has(name):
            return []
        self.image_lists.add(name)
        lines = tree.read(name, _MAX_LIST_BYTES).decode("utf-8-sig", "replace").splitlines()
        line_by_image: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            find, folder = self._image_lookup.find_by_name_or_stem, posixpath.dirname(name)
            image_name = find(line, folder) if line.strip() else ""
            if image_name is None:
                reason = _("no such image: {name}").format(name=line.strip()[:200])
                reason = self._image_lookup.explain_missing(reason, line, folder)
                self._builder.reject(name, reason, _("add it, or remove the line"), number, "no-image")
            elif image_name in line_by_image:
                reason = _("the same image as in line {line}").format(line=line_by_image[image_name])
                self._builder.reject(name, reason, _("remove the line"), number, "double")
            elif image_name:
                line_by_image[image_name] = number
                self._image_lookup.note_guess(line, image_name, name)
        return list(line_by_image)

    def _reject_others(self) -> None:
        """Reject the images that are in no split, and those whose names are not valid UTF-8."""
        for name in self._image_lookup.names:
            if not is_encodable_text(name):
                printable_name = name.encode("utf-8", "backslashreplace").decode()
                self._builder.reject(printable_name, _("its name is not valid text"), _("rename it"), kind="unusable")
            elif name not in self.splits:
                reason = _("{file} does not list it in any split").format(file=self._config_file)
                self._builder.reject(name, reason, _("add its folder there, or move it elsewhere"), kind="unusable")


def _is_outside_root(name: str) -> bool:
    """Whether the path leads out of the root."""
    return name.startswith("../") or name == ".." or os.path.isabs(name)
