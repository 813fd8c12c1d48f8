"""Opens the studio, where people label photos in the browser: ``lince.studio``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lince.api.extras import require_studio_extra
from lince.i18n import _
from lince.progress import SILENT, Progress

__all__ = ["studio"]


def studio(
    folder: str | os.PathLike[str] = "labels",
    *,
    photos: Iterable[str | os.PathLike[str]] = (),
    database: str | None = None,
    port: int | None = None,
    on_started: Callable[[str], None] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Serve the project in ``folder`` to the browsers of this machine until the process gets SIGTERM or Ctrl-C.

    The folder is made when it is not there. A folder that holds photos and no project is not written to: its photos are
    added, and the project is beside it, under its name and ``-labels``. ``photos`` are folders whose photos are added;
    they stay where they are. ``database`` is the address of a PostgreSQL database; without it, the labels are in
    ``project.lince`` in the folder. ``port`` is the first free one from 8765 on by default. ``on_started`` is called
    once with the address, which lets in whoever has it; by default it is shown as a message of ``progress``.

    Raises ``MissingExtraError`` without the extra ``studio``, ``UsageError`` when the port is taken, and ``DataError``
    when the project cannot be opened or a folder has no photo.
    """
    with require_studio_extra():
        from lince.studio.studio_app import run_studio  # noqa: PLC0415  # needs the extra

    def show_address(address: str) -> None:
        progress.show_message(_("The studio is at {address}  (Ctrl-C to stop)").format(address=address))

    folders = [Path(one).expanduser() for one in photos]
    run_studio(Path(folder).expanduser(), folders, database, port, on_started or show_address, progress)
