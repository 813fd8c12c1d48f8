"""The door to where data lies: a path or an address becomes a place in a folder, an archive, or far away."""

from __future__ import annotations

from pathlib import Path

from lince.errors import UsageError
from lince.labels.archive import HEAD, Archive, FileBlock, is_archive
from lince.labels.tree import Folder, Place
from lince.messages import _


def place(path: Path | str) -> Place:
    """Return the place at ``path``; raise ``UsageError`` when there is none."""
    path = Path(path)
    if path.is_dir():
        return Place(Folder(path))
    if path.is_file():
        if is_archive(Folder(path.parent).head(path.name, HEAD)):
            return Place(Archive(path, FileBlock(path)))
        return Place(Folder(path.parent), path.name)
    raise UsageError(
        _("{path} does not exist.").format(path=path),
        _("Expected a folder with photos, a file with labels, or an archive of them."),
    )
