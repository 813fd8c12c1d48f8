"""The door to where data lies: a path or an address becomes a place in a folder, an archive, or far away."""

from __future__ import annotations

from pathlib import Path

from lince.errors import UsageError
from lince.i18n import _
from lince.storage.remote import file_url_to_path, is_url, resolve_url
from lince.storage.tree import DataLocation, LocalFolder
from lince.storage.zip import MAGIC_LENGTH, LocalFile, ZipTree, is_archive


def resolve_location(path: Path | str) -> DataLocation:
    """Return the place at ``path``, a path or an address; raise ``UsageError`` when there is none."""
    if isinstance(path, str) and is_url(path):
        local = file_url_to_path(path)
        if local is None:
            return resolve_url(path)
        path = local
    path = Path(path)
    if path.is_dir():
        return DataLocation(LocalFolder(path))
    if path.is_file():
        if is_archive(LocalFolder(path.parent).head(path.name, MAGIC_LENGTH)):
            return DataLocation(ZipTree(path, LocalFile(path)))
        return DataLocation(LocalFolder(path.parent), path.name)
    raise UsageError(
        _("{path} does not exist.").format(path=path),
        _("Expected a folder with photos, a file with labels, or an archive of them."),
    )
