"""Decides where a project lies: in the folder that was given, or, for a folder of photos, beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lince.errors import UsageError
from lince.fileio import quote_path
from lince.formats.lince_project import FILE_NAME
from lince.i18n import _
from lince.storage.scan import looks_like_image, walk_files

_SUFFIX = "-labels"
_MAX_LOOKED_AT = 20_000  # files, before a folder is taken for one without photos


@dataclass(frozen=True)
class ProjectPlace:
    """The ``folder`` of a project, and the folder of ``photos`` that it was given for, ``None`` for none."""

    folder: Path
    photos: Path | None = None


def find_project_place(given: Path) -> ProjectPlace:
    """Return where the project for the path ``given`` lies.

    A folder with a project, an empty one, and one that is not there are the project's own. A folder of photos is not
    written to: its project is beside it under its name and ``-labels``, or in the current folder where that cannot be
    written. A file ``project.lince`` stands for its folder. Raise ``UsageError`` for another file, and for the home
    folder or one above it, where photos of all kinds may lie.
    """
    if given.is_file():
        if given.name == FILE_NAME:
            return ProjectPlace(given.parent)
        raise UsageError(
            _("{path} is a file.").format(path=given),
            _("Expected the folder of a project, or a folder of photos."),
            _("Type, for example: {command}").format(command=f"lince studio {quote_path(given.parent)}"),
        )
    if (given / FILE_NAME).exists() or not _has_photos(given):
        return ProjectPlace(given)
    photos = given.resolve()
    if Path.home().resolve().is_relative_to(photos):
        raise UsageError(
            _("{path} is your home folder, or one above it.").format(path=given),
            _("Expected the folder of a project, or a folder of photos."),
            _("Type, for example: {command}").format(command="lince studio labels --photos DIR"),
        )
    return ProjectPlace(_choose_beside(photos), given)


def _has_photos(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    names = walk_files(folder)
    return any(looks_like_image(name) for name, _number in zip(names, range(_MAX_LOOKED_AT), strict=False))


def _choose_beside(photos: Path) -> Path:
    """Return a folder beside ``photos`` that is a project already, or can become one."""
    parent = photos.parent if os.access(photos.parent, os.W_OK) else Path.cwd()
    for number in count(1):
        folder = parent / f"{photos.name}{_SUFFIX}{'' if number == 1 else f'-{number}'}"
        if not folder.exists() or (folder / FILE_NAME).is_file() or (folder.is_dir() and not any(folder.iterdir())):
            break
    return folder
