"""Assembles the studio's application, and runs it on this machine."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.studio import photo_intake
from lince.studio.event_stream import EventHub
from lince.studio.guard import Guard
from lince.studio.people_book import PeopleBook
from lince.studio.picture_store import ThumbnailStore
from lince.studio.project_lock import hold_project
from lince.studio.project_place import ProjectPlace, find_project_place
from lince.studio.roles import list_route_roles
from lince.studio.routes import classes, edits, exports, intake, journal, pages, people, photos, selection
from lince.studio.routes import project as project_routes
from lince.studio.sessions import Sessions, get_person, load_secret
from lince.studio.store.project import Project, ReadOnlyError, describe_newer
from lince.studio.store.writer import NotSavedError, name_disk_fault
from lince.studio.studio_settings import StudioSettings, describe_dangers, require_owner
from lince.studio.studio_state import StudioState
from lince.studio.upload_store import UploadStore
from lince.version import __version__
from lince.web.http_errors import ApiError, client_error
from lince.web.listener import format_url
from lince.web.signalled_server import SignalledServer

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_log = logging.getLogger("lince.studio")


def create_app(project: Project, events: EventHub, sessions: Sessions, hosts: Sequence[str] = ()) -> FastAPI:
    """Return the ASGI application of an open project; ``hosts`` are further names under which it is reached."""
    thumbnails = ThumbnailStore(project.folder / "cache" / "thumbs.sqlite")
    app = FastAPI(
        title="lince studio",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_make_lifespan,
    )
    app.state.studio = StudioState(
        project, thumbnails, events, sessions, UploadStore(project.folder / "cache" / "uploads")
    )
    for module in (pages, project_routes, photos, selection, edits, journal, classes, intake, exports, people):
        app.include_router(module.router)
    app.add_exception_handler(ApiError, _handle_api_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(RequestValidationError, _handle_bad_body)
    app.add_exception_handler(NotSavedError, _handle_not_saved)
    app.add_exception_handler(ReadOnlyError, _handle_read_only)
    app.add_exception_handler(DBAPIError, _handle_no_database)
    app.add_exception_handler(OSError, _handle_full_disk)
    app.add_middleware(Guard, sessions=sessions, hosts=hosts)
    list_route_roles(app)
    return app


def run_studio(
    folder: Path,
    photo_folders: Sequence[Path],
    database: str | None,
    settings: StudioSettings,
    on_started: Callable[[str], None],
    progress: Progress = SILENT,
) -> None:
    """Open the project in ``folder``, add photos, and serve it until Ctrl+C; ``on_started`` gets the address, once.

    Where ``folder`` is one of photos, the project is beside it (see ``find_project_place``), which is told. Raise
    ``UsageError`` when the port is taken, another studio has the project open, or others could reach it and nobody has
    a password, ``DataError`` when the project cannot be opened or a folder has no photo.
    """
    events = EventHub()
    place = ProjectPlace(folder) if database else find_project_place(folder)
    if place.photos is not None:
        text = _("The photos stay in {photos}, where nothing is written; the labels are kept in {folder}.")
        progress.show_message(text.format(photos=place.photos, folder=place.folder))
        photo_folders = [place.photos, *photo_folders]
    lock = nullcontext() if database else hold_project(place.folder)
    with (
        settings.open_port() as listener,
        lock,
        Project(place.folder, database, events.notify, shows_newer=True) as opened,
    ):
        require_owner(opened, settings)
        if opened.newer is not None:
            progress.show_message("\n".join(filter(None, describe_newer(opened.newer))))
            photo_folders = []
        for photo_folder in photo_folders:
            intake = photo_intake.link_folder(opened, photo_folder, progress)
            for item in intake.rejected:
                progress.show_message(str(item))
        for text in describe_dangers(settings):
            progress.show_message(text)
        _serve(opened, events, settings, listener, on_started)


def _serve(
    project: Project,
    events: EventHub,
    settings: StudioSettings,
    listener: socket.socket,
    on_started: Callable[[str], None],
) -> None:
    port = listener.getsockname()[1]
    people_book = PeopleBook(project) if settings.needs_passwords else None
    sessions = Sessions(port, get_person(), load_secret(), people=people_book)
    app = create_app(project, events, sessions, settings.hosts)
    config = uvicorn.Config(app, ws="none", lifespan="on", log_level="warning", access_log=False, server_header=False)
    # The token is for the person at this machine; where there are passwords, everybody has one.
    address = f"{settings.name_address(port)}/" if people_book else f"{format_url(listener)}/?token={sessions.token}"
    _Server(config, events, lambda: on_started(address)).run([listener])


class _Server(SignalledServer):
    """A server that says when it is there, and ends the open streams before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, events: EventHub, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._events, self._on_started = events, on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then stop."""
        self._events.close()
        await super().shutdown(sockets)


@asynccontextmanager
async def _make_lifespan(app: FastAPI) -> AsyncIterator[None]:
    studio: StudioState = app.state.studio
    studio.events.attach(asyncio.get_running_loop())
    yield
    studio.events.close()
    studio.thumbnails.close()


async def _handle_api_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return error.to_response()


async def _handle_http_exception(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return client_error("not-found", _("There is nothing at this address."), status).to_response()


async def _handle_not_saved(_request: Request, error: Exception) -> Response:
    return client_error("not-saved", str(error), 503).to_response()


async def _handle_read_only(_request: Request, error: Exception) -> Response:
    return client_error("read-only", str(error), 403).to_response()


async def _handle_no_database(_request: Request, error: Exception) -> Response:
    reason = error.orig if isinstance(error, DBAPIError) else error
    _log.warning("the project could not be read: %s", reason)
    message = _("The project cannot be read just now. The page tries again by itself.")
    return client_error("no-database", message, 503).to_response()


async def _handle_full_disk(_request: Request, error: Exception) -> Response:
    """Say that there is no room for a photo or an export; any other fault of a file is one of the program."""
    if isinstance(error, ConnectionError):
        return await _handle_no_database(_request, error)
    if not isinstance(error, OSError) or error.errno not in _DISK_ERRORS:
        raise error
    message = _("Nothing was written: {reason}.").format(reason=name_disk_fault(error))
    return client_error("no-room", message, 503).to_response()


async def _handle_bad_body(_request: Request, error: Exception) -> Response:
    """Say which field of a body is wrong, without its value."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": ("body",), "msg": ""}
    place = ".".join(map(str, first["loc"]))
    message = _("The request is not as expected: {place}: {reason}.").format(place=place, reason=first["msg"])
    return client_error("bad-request", message, 422).to_response()
