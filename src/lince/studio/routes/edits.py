"""Edits, undo, redo, history and restore: the only way to change a label."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.errors import LinceError
from lince.studio import studio_state
from lince.studio.event_stream import describe_event
from lince.studio.request_bodies import ActBody, EditBody, EditsBody, RestoreBody, UndoBody
from lince.studio.roles import LABELLER, OWNER, READER, demand_role, require_role, require_roles_of_edits
from lince.studio.store import journal, journal_list
from lince.studio.store.edits import Act, ConflictError, Edit, Outcome
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.project import Project
from lince.studio.store.states import Target
from lince.studio.store.writer import NotSavedError
from lince.web.json_response import json_response

router = APIRouter()


@router.post("/api/edits", dependencies=demand_role(LABELLER))
def save_edits(request: Request, body: EditsBody) -> Response:
    """Make edits, each on its own, and return what became of each, in their order.

    ``saved`` with the number in the journal and the photo's version; ``stale`` with the present state and who made it;
    ``refused`` with a code and a message. 503 when the disk takes nothing: the page keeps its edits and tries again.
    """
    author = studio_state.get_author(request, body.session)
    wanted = [_to_edit(edit) for edit in body.edits]
    require_roles_of_edits(request, wanted)
    outcomes = studio_state.get_studio(request).project.apply_edits(wanted, author)
    failure = next((one for one in outcomes if isinstance(one, NotSavedError)), None)
    if failure is not None:
        return _refuse(failure, 503)
    answers = [_describe(outcome, edit.key) for outcome, edit in zip(outcomes, body.edits, strict=True)]
    return json_response({"outcomes": answers})


@router.post("/api/act", dependencies=demand_role(LABELLER))
def save_act(request: Request, body: ActBody) -> Response:
    """Make edits that are undone as one, all of them or none; 409 where one is stale."""
    author = studio_state.get_author(request, body.session)
    act = Act(body.key, author, body.wide)
    wanted = [_to_edit(edit) for edit in body.edits]
    require_roles_of_edits(request, wanted)
    return _answer(lambda: studio_state.get_studio(request).project.apply_act(wanted, act))


@router.post("/api/undo", dependencies=demand_role(LABELLER))
def undo_act(request: Request, body: UndoBody) -> Response:
    """Take back the person's last act on a photo, or on the project; 409 where another changed it since."""
    author = studio_state.get_author(request, body.session)
    project = studio_state.get_studio(request).project
    answer = _answer(lambda: project.undo(body.key, author, body.photo))
    return _count(project, body) if body.brief and answer.status_code == 200 else answer


@router.post("/api/redo", dependencies=demand_role(LABELLER))
def redo_act(request: Request, body: UndoBody) -> Response:
    """Make the act again that was undone last."""
    author = studio_state.get_author(request, body.session)
    project = studio_state.get_studio(request).project
    answer = _answer(lambda: project.redo(body.key, author, body.photo))
    return _count(project, body) if body.brief and answer.status_code == 200 else answer


@router.post("/api/restore", dependencies=demand_role(LABELLER))
def restore_states(request: Request, body: RestoreBody) -> Response:
    """Bring a photo, or, for owners, the project, back to what it was after an event."""
    if body.photo is None:
        require_role(request, OWNER)
    author = studio_state.get_author(request, body.session)
    project = studio_state.get_studio(request).project
    answer = _answer(lambda: project.restore(body.key, author, body.seq, body.photo))
    return _count(project, body) if body.brief and answer.status_code == 200 else answer


@router.get("/api/photos/{photo_id}/history", dependencies=demand_role(READER))
def list_history(request: Request, photo_id: int) -> Response:
    """Return the events of a photo, newest first."""
    studio_state.find_photo(request, photo_id)
    with studio_state.get_studio(request).project.read() as connection:
        return json_response({"events": [describe_event(row) for row in journal.list_history(connection, photo_id)]})


def _to_edit(body: EditBody) -> Edit:
    return Edit(body.key, Target(body.target.kind, body.target.id), body.before, body.after, body.act)


def _answer(act: Any) -> Response:
    try:
        outcomes: list[Outcome] = act()
    except ConflictError as error:
        return json_response(
            {"error": {"code": "conflict", "message": str(error)}, "outcome": _describe(error.outcome)}, 409
        )
    except EditRefusedError as error:
        return _refuse(error, 422)
    except NotSavedError as error:
        return _refuse(error, 503)
    return json_response({"outcomes": [_describe(outcome) for outcome in outcomes]})


def _count(project: Project, body: UndoBody) -> Response:
    """Return how many events an act has and how many photos it concerns; all of them could be 100,000."""
    with project.read() as connection:
        count, photo_count = journal_list.count_act(connection, body.key)
    return json_response({"count": count, "photos": photo_count})


def _refuse(error: LinceError, status: int) -> Response:
    code = error.code if isinstance(error, EditRefusedError) else "not-saved"
    return json_response({"error": {"code": code, "message": str(error)}}, status)


def _describe(outcome: Outcome | LinceError, key: str = "") -> dict[str, Any]:
    if isinstance(outcome, LinceError):
        code = outcome.code if isinstance(outcome, EditRefusedError) else "error"
        return {"key": key, "status": "refused", "code": code, "message": str(outcome)}
    kept = ("key", "status", "seq", "version", "now", "who")
    return {**{name: getattr(outcome, name) for name in kept}, "id": outcome.target_id}
