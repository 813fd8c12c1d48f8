"""Opens the studio, where people label photos in the browser: ``lince.studio``; and lets people in with a password:
``lince.set_studio_password``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lince.api.extras import require_studio_extra
from lince.i18n import _
from lince.progress import SILENT, Progress

__all__ = ["set_studio_password", "studio"]


def studio(  # noqa: PLR0913
    folder: str | os.PathLike[str] = "labels",
    *,
    photos: Iterable[str | os.PathLike[str]] = (),
    database: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    allowed_hosts: Iterable[str] = (),
    on_started: Callable[[str], None] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Serve the project in ``folder`` to browsers until the process gets SIGTERM or Ctrl-C.

    The folder is made when it is not there. A folder that holds photos and no project is not written to: its photos are
    added, and the project is beside it, under its name and ``-labels``. ``photos`` are folders whose photos are added;
    they stay where they are. ``database`` is the address of a PostgreSQL database; without it, the labels are in
    ``project.lince`` in the folder. ``port`` is the first free one from 8765 on by default. ``on_started`` is called
    once with the address; by default it is shown as a message of ``progress``.

    With the default ``host`` only this machine reaches the studio, and the address lets in whoever has it. With another
    one (``0.0.0.0``: every network of the machine), or with ``allowed_hosts``, the names under which a proxy hands on
    requests, people sign in with the passwords that ``set_studio_password`` gave them.

    Raises ``MissingExtraError`` without the extra ``studio``, ``UsageError`` when the port is taken, another studio has
    the project open, or nobody could sign in, and ``DataError`` when the project cannot be opened or a folder has no
    photo.
    """
    with require_studio_extra():
        from lince.studio.studio_app import run_studio  # noqa: PLC0415  # needs the extra
        from lince.studio.studio_settings import StudioSettings  # noqa: PLC0415

    def show_address(address: str) -> None:
        progress.show_message(_("The studio is at {address}  (Ctrl-C to stop)").format(address=address))

    folders = [Path(one).expanduser() for one in photos]
    settings = StudioSettings(host, port, tuple(allowed_hosts))
    run_studio(Path(folder).expanduser(), folders, database, settings, on_started or show_address, progress)


def set_studio_password(
    folder: str | os.PathLike[str],
    name: str,
    password: str,
    *,
    role: str | None = None,
    database: str | None = None,
) -> str:
    """Let the person ``name`` sign in to the project in ``folder`` with ``password``, and return the person's role.

    The person is added when not there. ``role`` is ``reader`` (looks), ``labeller`` (labels photos), ``reviewer`` (also
    classes, splits, photos removed from the project) or ``owner`` (everything, and the people). By default it stays as
    it is; the first person becomes an owner, others labellers. ``database`` is as for ``lince.studio``. The password is
    kept as a scrypt hash; sessions with the old one end within seconds.

    Raises ``DataError`` for a password of fewer than 8 characters, a name or role that cannot be, or when the project
    cannot be opened, and ``MissingExtraError`` without the extra ``studio``.
    """
    with require_studio_extra():
        from lince.studio.passwords import hash_password, require_good_password  # noqa: PLC0415  # needs the extra
        from lince.studio.project_place import ProjectPlace, find_project_place  # noqa: PLC0415
        from lince.studio.store.people import save_person  # noqa: PLC0415
        from lince.studio.store.project import Project  # noqa: PLC0415

    given = Path(folder).expanduser()
    hashed = hash_password(require_good_password(password, name))
    place = ProjectPlace(given) if database else find_project_place(given)
    with Project(place.folder, database) as project:
        return project.write(lambda connection: save_person(connection, name, role, hashed)).role
