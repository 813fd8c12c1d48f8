"""Expands patterns such as ``photos [2024]/**/*.jpg``, which a shell did not expand, part by part."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from lince.errors import DataError
from lince.i18n import _
from lince.storage.scan import list_folders, natural_sort_key

_ANY_FOLDERS = "**"


def is_pattern(text: str) -> bool:
    """Return whether ``text`` has a wildcard: ``*``, ``?`` or ``[``."""
    return glob.has_magic(text)


def expand_pattern(pattern: str) -> list[str]:
    """Return the files and folders that ``pattern`` matches, in natural order, without duplicates.

    Each part is first looked for by its own name, so that folders may have brackets in theirs; only a part that is not
    there is read as a pattern. ``**`` is any number of folders. Raises ``DataError`` when nothing matches; it names the
    folder up to which the pattern leads.
    """
    anchor, *parts = PurePath(os.path.expanduser(pattern)).parts
    folders, start = ([anchor], 0) if os.path.isabs(anchor) else ([""], -1)
    names = parts if start == 0 else [anchor, *parts]
    for place, part in enumerate(names):
        matches = [match for folder in folders for match in _match_part(folder, part, place == len(names) - 1)]
        if not matches:
            raise _no_match_error(pattern, folders, part)
        folders = list(dict.fromkeys(matches))
    return sorted(folders, key=natural_sort_key)


def _match_part(folder: str, part: str, is_last: bool) -> Iterator[str]:
    """Yield the entries of ``folder`` that one part of a pattern matches; before the last one, folders alone."""
    if part == _ANY_FOLDERS:
        # A folder stands for all below it where nothing follows.
        yield from [folder or os.curdir] if is_last else _walk_folders(folder, frozenset())
        return
    literal = os.path.join(folder, part)
    if os.path.lexists(literal) or not is_pattern(part):
        matches = [literal] if os.path.lexists(literal) else []
    else:
        matches = glob.glob(os.path.join(glob.escape(folder), part))
    yield from (match for match in matches if is_last or os.path.isdir(match))


def _walk_folders(folder: str, above: frozenset[str]) -> Iterator[str]:
    """Yield ``folder`` and the folders below it; a link that leads back to a folder ``above`` is not followed."""
    real = os.path.realpath(folder or os.curdir)
    if real in above:
        return
    yield folder
    for name in list_folders(Path(folder)):
        yield from _walk_folders(os.path.join(folder, name), above | {real})


def _no_match_error(pattern: str, folders: list[str], part: str) -> DataError:
    """Return the error for a ``pattern`` that leads to ``folders``, where nothing matches its next ``part``."""
    where = folders[0] or os.getcwd()
    similar = [name for folder in folders for name in _list_similar(folder, part)]
    problem = (
        _("There is nothing at {path}: {folder} has no {part}.").format(path=pattern, folder=where, part=part)
        if len(folders) == 1
        else _("There is nothing at {path}: none of {count:,} folders, such as {folder}, has {part}.").format(
            path=pattern, count=len(folders), folder=where, part=part
        )
    )
    remedy = _("Check the spelling, and the folder that you are in: {folder}.").format(folder=os.getcwd())
    if similar:
        remedy = _("Large and small letters count: {name} is there.").format(name=similar[0])
    return DataError(problem, _("Expected a photo, a folder of photos, or a pattern such as '*.jpg'."), remedy)


def _list_similar(folder: str, part: str) -> list[str]:
    """Return the names in ``folder`` that ``part`` would match if the case of letters did not matter."""
    try:
        names = sorted(os.listdir(folder or os.curdir), key=natural_sort_key)
    except OSError:
        return []
    return [name for name in names if fnmatch.fnmatchcase(name.lower(), part.lower())]
