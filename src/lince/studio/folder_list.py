"""The folders of this machine, for choosing one in the page: below the home folder, and nothing but folders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lince.errors import DataError
from lince.i18n import _
from lince.storage import scan

_MAX_FOLDERS = 1000


@dataclass(frozen=True)
class FolderList:
    """The folders in ``path``; ``parent`` is ``None`` at the top, and ``photos`` counts the photos in it itself."""

    path: Path
    parent: Path | None
    folders: tuple[str, ...]
    photos: int


def list_below_home(path: str = "") -> FolderList:
    """Return what is in the folder ``path``, the home folder if empty. Raise ``DataError`` for one outside of it.

    Links are followed before it is judged where a folder is.
    """
    home = Path.home().resolve()
    folder = Path(path).resolve() if path else home
    if not _is_below(folder, home):
        raise DataError(
            _("{path} is not below your home folder.").format(path=path),
            _("Expected a folder below {path}.").format(path=home),
            _("Type the path of another folder yourself."),
        )
    names = [name for name in scan.list_folders(folder) if _is_below((folder / name).resolve(), home)]
    photos = sum(map(scan.looks_like_image, scan.list_files(folder)))
    return FolderList(folder, None if folder == home else folder.parent, tuple(names[:_MAX_FOLDERS]), photos)


def _is_below(folder: Path, home: Path) -> bool:
    """Whether the resolved ``folder`` is the home folder or below it, not hidden, and can be read."""
    if not folder.is_relative_to(home) or not os.access(folder, os.R_OK | os.X_OK):
        return False
    return not any(map(scan.is_system_name, folder.relative_to(home).parts))
