"""Assembles the studio's application, and runs it on this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lince.errors import UsageError
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.studio import photo_intake
from lince.studio.event_stream import EventHub
from lince.studio.guard import Guard
from lince.studio.picture_store import ThumbnailStore
from lince.studio.project_place import ProjectPlace, find_project_place
from lince.studio.routes import classes, edits, exports, intake, journal, pages, photos, selection
from lince.studio.routes import project as project_routes
from lince.studio.sessions import Sessions, get_person, load_secret
from lince.studio.store.project import Project
from lince.studio.studio_state import StudioState
from lince.studio.upload_store import UploadStore
from lince.version import __version__
from lince.web.http_errors import ApiError, client_error
from lince.web.listener import format_url, open_listener
from lince.web.signalled_server import SignalledServer

DEFAULT_PORT = 8765
_PORTS_TRIED = 20
_HOST = "127.0.0.1"


def create_app(project: Project, events: EventHub, sessions: Sessions) -> FastAPI:
    """Return the ASGI application of an open project, which it closes when it shuts down."""
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
    for module in (pages, project_routes, photos, selection, edits, journal, classes, intake, exports):
        app.include_router(module.router)
    app.add_exception_handler(ApiError, _handle_api_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(RequestValidationError, _handle_bad_body)
    app.add_middleware(Guard, sessions=sessions)
    return app


def run_studio(
    folder: Path,
    photo_folders: Sequence[Path],
    database: str | None,
    port: int | None,
    on_started: Callable[[str], None],
    progress: Progress = SILENT,
) -> None:
    """Open the project in ``folder``, add photos, and serve it until Ctrl+C; ``on_started`` gets the address, once.

    Where ``folder`` is one of photos, the project is beside it (see ``find_project_place``), which is told. Without
    ``port`` the first free one from 8765 on is used. Raise ``UsageError`` when the port is taken, ``DataError`` when
    the project cannot be opened or a folder has no photo.
    """
    events = EventHub()
    place = ProjectPlace(folder) if database else find_project_place(folder)
    if place.photos is not None:
        text = _("The photos stay in {photos}, where nothing is written; the labels are kept in {folder}.")
        progress.show_message(text.format(photos=place.photos, folder=place.folder))
        photo_folders = [place.photos, *photo_folders]
    with _open_port(port) as listener, Project(place.folder, database, events.notify) as opened:
        for photo_folder in photo_folders:
            intake = photo_intake.link_folder(opened, photo_folder, progress)
            for item in intake.rejected:
                progress.show_message(str(item))
        sessions = Sessions(listener.getsockname()[1], get_person(), load_secret())
        app = create_app(opened, events, sessions)
        config = uvicorn.Config(
            app, ws="none", lifespan="on", log_level="warning", access_log=False, server_header=False
        )
        server = _Server(config, events, lambda: on_started(f"{format_url(listener)}/?token={sessions.token}"))
        server.run([listener])


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


def _open_port(port: int | None) -> socket.socket:
    if port is not None:
        return open_listener(_HOST, port)
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED):
        try:
            return open_listener(_HOST, candidate)
        except UsageError:
            continue
    return open_listener(_HOST, 0)


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


async def _handle_bad_body(_request: Request, error: Exception) -> Response:
    """Say which field of a body is wrong, without its value."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": ("body",), "msg": ""}
    place = ".".join(map(str, first["loc"]))
    message = _("The request is not as expected: {place}: {reason}.").format(place=place, reason=first["msg"])
    return client_error("bad-request", message, 422).to_response()
