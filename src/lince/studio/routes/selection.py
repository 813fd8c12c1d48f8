"""Acts on many photos at once."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.studio import studio_state
from lince.studio.request_bodies import ChangeBody
from lince.studio.roles import LABELLER, demand_role, require_role_of_fields
from lince.studio.routes.answers import answer_act
from lince.studio.store import wide_acts
from lince.studio.store.edits import Act
from lince.studio.store.wide_acts import ActCounts

router = APIRouter()


@router.post("/api/photos/change", dependencies=demand_role(LABELLER))
def change_photos(request: Request, body: ChangeBody) -> Response:
    """Change fields of many photos as one act, all or none; 409 where somebody else changed one since ``seen``."""
    require_role_of_fields(request, body.fields)
    project = studio_state.get_studio(request).project
    act = Act(body.key, studio_state.get_author(request, body.session), is_wide=True)

    def change(connection: sa.Connection) -> ActCounts:
        return wide_acts.change_photos(connection, body.photos, body.fields, act, body.seen)

    return answer_act(lambda: project.write(change)._asdict())
