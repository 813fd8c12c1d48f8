"""Classes that are merged or deleted, with all their labels; the other acts on classes are edits."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.studio import studio_state
from lince.studio.request_bodies import RetireBody
from lince.studio.roles import REVIEWER, demand_role
from lince.studio.routes.answers import answer_act
from lince.studio.store import wide_acts
from lince.studio.store.edits import Act

router = APIRouter()


@router.post("/api/classes/{class_id}/retire", dependencies=demand_role(REVIEWER))
def retire_class(request: Request, class_id: int, body: RetireBody) -> Response:
    """Take a class out of use: its labels get another class, or are removed; one act, which can be undone."""
    project = studio_state.get_studio(request).project
    act = Act(body.key, studio_state.get_author(request, body.session), is_wide=True)
    return answer_act(
        lambda: project.write(lambda connection: wide_acts.retire_class(connection, class_id, body.into, act))._asdict()
    )
