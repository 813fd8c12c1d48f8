"""What the routes share: the open project, its thumbnails, the streams of news, and who may use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from starlette.requests import Request

from lince.i18n import _
from lince.studio.event_stream import EventHub
from lince.studio.guard import PERSON
from lince.studio.intake_progress import IntakeProgress
from lince.studio.photo_counts import CountCache
from lince.studio.picture_store import ThumbnailStore
from lince.studio.sessions import Sessions
from lince.studio.store.edits import Author
from lince.studio.store.project import Project
from lince.studio.store.schema import photos
from lince.studio.upload_store import UploadStore
from lince.web.access import is_allowed_host
from lince.web.http_errors import client_error
from lince.web.loopback import is_loopback

_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True)
class StudioState:
    """The open project and what belongs to it."""

    project: Project
    thumbnails: ThumbnailStore
    events: EventHub
    sessions: Sessions
    uploads: UploadStore
    intake: IntakeProgress = field(default_factory=IntakeProgress)
    counts: CountCache = field(default_factory=CountCache)


def get_studio(request: Request) -> StudioState:
    """Return the state of the application that answers ``request``."""
    state: StudioState = request.app.state.studio
    return state


def get_author(request: Request, session: str = "") -> Author:
    """Return who sends ``request``, as the guard found it by the cookie."""
    return Author(str(request.scope[PERSON]), session)


def find_photo(request: Request, photo_id: int) -> sa.Row[tuple[object, ...]]:
    """Return the row of a photo; raise ``ApiError`` (404) where there is none."""
    with get_studio(request).project.read() as connection:
        row = connection.execute(sa.select(photos).where(photos.c.id == photo_id)).one_or_none()
    if row is None:
        raise client_error("not-found", _("There is no such photo in this project."), 404)
    return row


def get_photo_path(request: Request, row: sa.Row[tuple[object, ...]]) -> Path:
    """Return where the file of a photo lies."""
    project = get_studio(request).project
    return Path(str(row.root), str(row.path)) if row.root else project.photo_folder / str(row.path)


def require_local(request: Request) -> None:
    """Raise ``ApiError`` (403) unless the request comes from this machine: only there may a page name paths.

    A proxy on this machine hands on requests from elsewhere: by another name, or with headers that say so.
    """
    host = request.client.host if request.client else ""
    is_handed_on = any(name in request.headers for name in _PROXY_HEADERS)
    if not is_loopback(host) or is_handed_on or not is_allowed_host(request.headers, (), is_local=True):
        message = _("Folders can be named only in a browser on the machine where lince studio runs.")
        raise client_error("not-here", message, 403)
