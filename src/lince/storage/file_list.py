"""What lies in a tree, listed once: every file by folder and by ending."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby

from lince.storage.scan import natural_sort_key


class FileListing:
    """The files of a tree by their ``names`` with '/', in a fixed order: those of a folder, then folder by folder."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Take names in the order of ``walk`` or ``in_order``; one that ends in '/' is a folder without files."""
        self._empty_folders: list[str] = []
        self.names = tuple(self._take_files(entries))

    def list_files(self, folder: str = "") -> list[str]:
        """Return the names of the files in ``folder`` itself (empty for the root), without its path."""
        first, end = self._file_spans.get(folder, (0, 0))
        start = len(folder) + 1 if folder else 0
        return [name[start:] for name in self.names[first:end]]

    def list_folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders in ``folder`` itself, sorted as people do."""
        return sorted(self._child_folders.get(folder, ()), key=lambda name: (natural_sort_key(name), name))

    def iterate_files(self, folder: str = "") -> Iterator[str]:
        """Yield the files in ``folder`` and in the folders below it, relative to it."""
        first, end = self._subtree_spans.get(folder, (0, 0))
        start = len(folder) + 1 if folder else 0
        return (self.names[i][start:] for i in range(first, end))

    def find_by_suffix(self, *endings: str) -> list[str]:
        """Return the files that end in one of ``endings`` (in small letters), case aside, in order."""
        rows: set[int] = set()
        for ending in endings:
            suffix = _suffix(ending)
            groups = [self._by_suffix.get(suffix, array("q"))] if suffix else list(self._by_suffix.values())
            for group in groups:
                rows.update(group if suffix == ending else self._filter_by_suffix(group, ending))
        return [self.names[i] for i in sorted(rows)]

    @cached_property
    def name_set(self) -> frozenset[str]:
        """All names, to be asked for one."""
        return frozenset(self.names)

    @property
    def all_folders(self) -> set[str]:
        """Every folder, itself and below, with files or without; the root is the empty one."""
        return {
            above for folder in (*self._file_spans, *self._empty_folders) for above in _path_with_ancestors(folder)
        } | {""}

    def _take_files(self, entries: Iterable[str]) -> Iterator[str]:
        for entry in entries:
            if entry.endswith("/"):
                self._empty_folders.append(entry[:-1])
            else:
                yield entry

    def _filter_by_suffix(self, group: array[int], ending: str) -> Iterator[int]:
        return (i for i in group if self.names[i].lower().endswith(ending))

    @cached_property
    def _by_suffix(self) -> dict[str, array[int]]:
        as_written: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        for i, name in enumerate(self.names):
            suffix = name[name.rfind(".") :]
            as_written["" if "/" in suffix else suffix].append(i)
        found: dict[str, array[int]] = {}
        for suffix, rows in as_written.items():
            found.setdefault(_suffix(suffix.lower()), array("q")).extend(rows)
        return found

    @cached_property
    def _file_spans(self) -> dict[str, tuple[int, int]]:
        """For each folder with files of its own: the first of them and their end."""
        found: dict[str, tuple[int, int]] = {}
        first = 0
        for folder, names in groupby(self.names, lambda name: name.rpartition("/")[0]):
            end = first + sum(1 for _name in names)
            found[folder] = first, end
            first = end
        return found

    @cached_property
    def _subtree_spans(self) -> dict[str, tuple[int, int]]:
        """For each folder: the first of the files below it and their end."""
        found: dict[str, tuple[int, int]] = {}
        for folder, (first, end) in self._file_spans.items():
            for above in _path_with_ancestors(folder):
                found[above] = found.get(above, (first, end))[0], end
        return found

    @cached_property
    def _child_folders(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for folder in (*self._file_spans, *self._empty_folders):
            for path in _path_with_ancestors(folder)[1:]:
                parent, _bar, name = path.rpartition("/")
                found.setdefault(parent, set()).add(name)
        return found


def _path_with_ancestors(folder: str) -> list[str]:
    """Return the root, and each folder on the way to ``folder``, itself included."""
    parts = folder.split("/") if folder else []
    return ["", *("/".join(parts[: i + 1]) for i in range(len(parts)))]


def _suffix(name: str) -> str:
    last = name.rpartition("/")[2]
    return "." + last.rpartition(".")[2] if "." in last else ""
