"""Index of the files of a tree: by folder, below a folder, and by suffix."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby

from lince.storage.own_outputs import leave_out_own_folders
from lince.storage.scan import natural_sort_key


class FileListing:
    """The files of a tree in a fixed order, with an index by folder and by suffix.

    ``names`` holds the path of every file relative to the root, with '/' on every system: the files
    of a folder first, then those of its subfolders, folder by folder. The indexes are built at
    their first use, and refer to positions in ``names``, so that a million files cost little
    memory.
    """

    def __init__(self, entries: Iterable[str], left_out: list[str] | None = None) -> None:
        """Take the entries in the order of ``scan.walk_entries`` or ``scan.sort_entries``.

        An entry that ends in '/' is a folder without files of its own. The order is not checked,
        but the spans of the folders are wrong without it. ``left_out``, which may be filled while
        the entries are taken, are the folders and files that lince wrote there.
        """
        self._empty_folders: list[str] = []
        self.names = tuple(self._take_files(entries))
        self.left_out = tuple(left_out or ())

    @classmethod
    def without_own(cls, entries: Iterable[str]) -> FileListing:
        """Return the listing of ``entries``, in the order of ``scan.sort_entries``, without what lince wrote there."""
        left_out: list[str] = []
        return cls(leave_out_own_folders(entries, left_out), left_out)

    def list_files(self, folder: str = "") -> list[str]:
        """Return the names of the files directly in ``folder``, without its path.

        ``folder`` is relative to the root, '' for the root itself. A folder that does not exist has
        no files.
        """
        first, end = self._file_spans.get(folder, (0, 0))
        prefix_length = len(folder) + 1 if folder else 0
        return [name[prefix_length:] for name in self.names[first:end]]

    def list_folders(self, folder: str = "") -> list[str]:
        """Return the names of the direct subfolders of ``folder``, in natural order."""
        return sorted(self._child_folders.get(folder, ()), key=natural_sort_key)

    def iterate_files(self, folder: str = "") -> Iterator[str]:
        """Yield the files in ``folder`` and in all folders below it, relative to ``folder``."""
        first, end = self._subtree_spans.get(folder, (0, 0))
        prefix_length = len(folder) + 1 if folder else 0
        return (self.names[i][prefix_length:] for i in range(first, end))

    def find_by_suffix(self, *suffixes: str) -> list[str]:
        """Return the files that end in one of ``suffixes``, whatever their case, in the order of ``names``.

        ``suffixes`` are in lower case. They are usually file extensions (``.json``), which are
        looked up; anything else, such as ``labels.txt`` or ``_mask.png``, is compared with the end
        of the names.
        """
        indices: set[int] = set()
        for wanted in suffixes:
            suffix = _suffix(wanted)
            groups = [self._by_suffix.get(suffix, array("q"))] if suffix else list(self._by_suffix.values())
            for group in groups:
                indices.update(group if suffix == wanted else self._filter_by_suffix(group, wanted))
        return [self.names[i] for i in sorted(indices)]

    @cached_property
    def name_set(self) -> frozenset[str]:
        """All names as a set, for fast membership tests."""
        return frozenset(self.names)

    @property
    def all_folders(self) -> set[str]:
        """Every folder of the tree, the empty ones included; the root is ''."""
        return {
            ancestor
            for folder in (*self._file_spans, *self._empty_folders)
            for ancestor in _path_with_ancestors(folder)
        } | {""}

    def _take_files(self, entries: Iterable[str]) -> Iterator[str]:
        """Yield the files among ``entries`` and keeps the empty folders aside."""
        for entry in entries:
            if entry.endswith("/"):
                self._empty_folders.append(entry[:-1])
            else:
                yield entry

    def _filter_by_suffix(self, group: array[int], suffix: str) -> Iterator[int]:
        """Yield the indices of ``group`` whose names end in ``suffix``."""
        return (i for i in group if self.names[i].lower().endswith(suffix))

    @cached_property
    def _by_suffix(self) -> dict[str, array[int]]:
        """Indices into ``names`` by file extension in lower case, '' for names without one."""
        as_written: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        for i, name in enumerate(self.names):
            suffix = name[name.rfind(".") :]
            as_written["" if "/" in suffix else suffix].append(i)
        by_suffix: dict[str, array[int]] = {}
        for suffix, rows in as_written.items():
            by_suffix.setdefault(_suffix(suffix.lower()), array("q")).extend(rows)
        return by_suffix

    @cached_property
    def _file_spans(self) -> dict[str, tuple[int, int]]:
        """For each folder with files of its own: the range (first, end) of these in ``names``."""
        spans: dict[str, tuple[int, int]] = {}
        first = 0
        for folder, names in groupby(self.names, lambda name: name.rpartition("/")[0]):
            end = first + sum(1 for _name in names)
            spans[folder] = first, end
            first = end
        return spans

    @cached_property
    def _subtree_spans(self) -> dict[str, tuple[int, int]]:
        """For each folder: the range (first, end) of all files below it in ``names``."""
        spans: dict[str, tuple[int, int]] = {}
        for folder, (first, end) in self._file_spans.items():
            for ancestor in _path_with_ancestors(folder):
                spans[ancestor] = spans.get(ancestor, (first, end))[0], end
        return spans

    @cached_property
    def _child_folders(self) -> dict[str, set[str]]:
        """For each folder with subfolders: the names of these."""
        children: dict[str, set[str]] = {}
        for folder in (*self._file_spans, *self._empty_folders):
            for path in _path_with_ancestors(folder)[1:]:
                parent, _slash, name = path.rpartition("/")
                children.setdefault(parent, set()).add(name)
        return children


def _path_with_ancestors(folder: str) -> list[str]:
    """Return the root '', then each folder on the path to ``folder``, itself included."""
    parts = folder.split("/") if folder else []
    return ["", *("/".join(parts[: i + 1]) for i in range(len(parts)))]


def _suffix(name: str) -> str:
    """Return the part of the file name from its last dot on, '' when it has no dot."""
    file_name = name.rpartition("/")[2]
    return "." + file_name.rpartition(".")[2] if "." in file_name else ""
