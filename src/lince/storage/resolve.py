"""Resolves a path or URL to a local folder, archive or remote store."""

from __future__ import annotations

from pathlib import Path

from lince.errors import UsageError
from lince.i18n import _
from lince.storage.archives import open_archive
from lince.storage.remote import resolve_url
from lince.storage.tree import DataLocation, LocalFolder
from lince.storage.url import file_url_to_path, is_url


def resolve_location(path: Path | str) -> DataLocation:
    """Return the data at ``path``, a path or a URL.

    A folder gives its whole tree, a zip or tar archive the tree inside it, any other file the tree of its
    folder with that file named. Archives are recognised by their content. ``file://`` URLs are
    local paths.

    Raise ``UsageError`` when nothing exists there, and ``DataError`` when an archive is damaged or
    unsafe or when a remote store cannot be reached.
    """
    if isinstance(path, str) and is_url(path):
        local_path = file_url_to_path(path)
        if local_path is None:
            return resolve_url(path)
        path = local_path
    path = Path(path)
    if path.is_dir():
        return DataLocation(LocalFolder(path))
    if path.is_file():
        tree = open_archive(path)
        return DataLocation(LocalFolder(path.parent), path.name) if tree is None else DataLocation(tree)
    if path.exists():
        raise UsageError(
            _("{path} is a pipe, a socket or a device.").format(path=path),
            _("Expected a folder with photos, a file with labels, or an archive of them."),
            _("Save what it gives as a file, and name that."),
        )
    raise UsageError(
        _("{path} does not exist.").format(path=path),
        _("Expected a folder with photos, a file with labels, or an archive of them."),
    )
