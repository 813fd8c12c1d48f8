"""The project as a whole: what the page needs first, its task, the stream of news, and who is there."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lince.datasets.conversion import list_writable_formats
from lince.errors import LinceError
from lince.i18n import get_language
from lince.studio import photo_query, studio_state
from lince.studio.request_bodies import PresenceBody, TaskBody
from lince.studio.roles import LABELLER, OWNER, READER, demand_role, find_role, has_role
from lince.studio.store import leases
from lince.studio.store.project import TASKS
from lince.studio.store.writer import NotSavedError
from lince.validation import require_choice
from lince.version import __version__
from lince.web.http_errors import client_error
from lince.web.json_response import json_response

router = APIRouter()


@router.get("/api/project", dependencies=demand_role(READER))
def get_project(request: Request) -> Response:
    """Return name, task, classes, counts, the newest event's number, and who asks.

    With very many photos the counts may be some seconds old: ``counted`` is the number of the event they are of.
    """
    studio = studio_state.get_studio(request)
    project, counts = studio.project, studio.counts.get(studio.project)
    about = project.read_meta()
    with project.read() as connection:
        classes = photo_query.list_classes(connection, counts.labels)
    answer = {
        "name": project.folder.name,
        "folder": str(project.folder),
        "id": about["project"],
        "task": about.get("task"),
        "counts": counts.states,
        "splits": counts.splits,
        "people": counts.people,
        "counted": counts.seq,
        "classes": classes,
        "seq": project.get_last_seq(),
        "version": __version__,
        "person": studio_state.get_author(request).who,
        "role": find_role(request),
        "newer": project.newer,
        "has_passwords": studio.sessions.people is not None,
        "language": get_language(),
        "formats": list(list_writable_formats()),
    }
    return json_response(answer)


@router.post("/api/task", dependencies=demand_role(OWNER))
def set_task(request: Request, body: TaskBody) -> Response:
    """Say what the labels are for."""
    try:
        require_choice("task", body.task, TASKS)
    except LinceError as error:
        raise client_error("bad-task", str(error), 422) from error
    studio_state.get_studio(request).project.set_task(body.task)
    return json_response({"task": body.task})


@router.get("/events", dependencies=demand_role(READER))
async def stream_events(request: Request, after: int = 0) -> Response:
    """Return the stream of news; a page that lost it goes on from ``Last-Event-ID``. It ends with the cookie."""
    studio = studio_state.get_studio(request)
    last = request.headers.get("last-event-id", "")
    first = int(last) if last.isdecimal() else after
    headers = {"X-Accel-Buffering": "no"}
    cookie, who = request.cookies.get(studio.sessions.cookie_name, ""), studio_state.get_author(request).who
    return StreamingResponse(
        studio.events.stream(studio.project, first, lambda: studio.sessions.find_person(cookie) == who),
        media_type="text/event-stream",
        headers=headers,
    )


@router.post("/api/presence", dependencies=demand_role(READER))
def set_presence(request: Request, body: PresenceBody) -> Response:
    """Note which photo a page shows, and renew its lease; answer who is there, and whether another has the photo."""
    studio, who = studio_state.get_studio(request), studio_state.get_author(request).who
    photo = body.photo
    is_free = True
    if photo is not None and has_role(request, LABELLER):  # who only looks takes a photo from nobody
        with suppress(NotSavedError):  # the disk is full: the edits say so, and go on when it is not
            is_free = studio.project.write(lambda connection: leases.renew_lease(connection, who, photo))
    studio.events.set_presence(body.session, who, photo)
    return json_response({"present": studio.events.list_present(), "free": is_free})
