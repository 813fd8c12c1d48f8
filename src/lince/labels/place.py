"""The door to where data lies: a path or an address becomes a place in a folder, an archive, or far away."""

from __future__ import annotations

from pathlib import Path

from lince.errors import UsageError
from lince.labels.archive import HEAD, Archive, FileBlock, is_archive
from lince.labels.remote import is_address, on_this_machine, remote_place
from lince.labels.tree import Folder, Place
from lince.messages import _


def place(path: Path | str) -> Place:
    """Return the place at ``path``, a path or an address; raise ``UsageError`` when there is none."""
    if isinstance(path, str) and is_address(path):
        local = on_this_machine(path)
        if local is None:
            return remote_place(path)
        path = local
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
