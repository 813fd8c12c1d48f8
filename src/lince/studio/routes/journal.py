"""The journal of the project: who did what, and when."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from lince.studio import studio_state
from lince.studio.roles import READER, demand_role
from lince.studio.store import journal_list
from lince.web.json_response import json_response

router = APIRouter()


@router.get("/api/journal", dependencies=demand_role(READER))
def list_acts(request: Request, before: int | None = None, count: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
    """Return the newest acts before event ``before``, newest first."""
    with studio_state.get_studio(request).project.read() as connection:
        acts = journal_list.list_acts(connection, before, count)
    return json_response({"acts": [act.to_dict() for act in acts]})
