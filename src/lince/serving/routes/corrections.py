"""``POST /v1/corrections``: a photo with the right answer, from a person who saw a wrong one."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import partial
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.i18n import _
from lince.serving import json_logs, openapi, request_body, request_images, request_reader, state
from lince.serving.correction_store import CorrectionStore
from lince.serving.http_errors import ApiError, client_error, json_response
from lince.serving.model_registry import ModelRegistry, ServedModel
from lince.serving.request_body import RequestBody
from lince.tasks import list_tasks

router = APIRouter()
_MAX_FIELD_BYTES = 200_000


@router.post("/v1/corrections", responses=openapi.CORRECTION_RESPONSES, openapi_extra=openapi.CORRECTION_REQUEST)
async def post_correction(request: Request) -> Response:
    """Keep the form's ``image`` with its ``label``, or with ``objects``: JSON of [{"class": ..., "box": [...]}]."""
    shared = state.get_server_state(request)
    if shared.settings.corrections_folder is None:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    data = await request_reader.receive_body(request, shared.settings.limits)
    body = request_body.parse_form(
        data, request.headers.get("content-type", ""), shared.settings.limits, _MAX_FIELD_BYTES
    )
    _check_form(body)
    state.get_request_context(request.scope).image_count = 1
    kept = _correction_stores(request, shared.models)
    served = shared.models.find(body.fields.get("model"))
    # Decoded where photos are, so that no more are in memory at one time; what cannot be read is not kept.
    look = partial(copy_context().run, served.version.prepare, body.images[0])
    seen = await asyncio.get_running_loop().run_in_executor(shared.models.decoder_pool, look)
    saved = await asyncio.to_thread(_save_correction, served, kept[served.name], body, seen.size)
    return json_response({"saved": saved}, 201 if saved else 200)


def _correction_stores(request: Request, models: ModelRegistry) -> dict[str, CorrectionStore]:
    """Return where the corrections of each model are kept: in folders of its name where there are several."""
    found: dict[str, CorrectionStore] | None = getattr(request.app.state, "corrections", None)
    if found is None:
        folder = Path(state.get_server_state(request).settings.corrections_folder or "")
        names = [one.name for one in models]
        found = {name: CorrectionStore(folder / _folder_name(name) if len(names) > 1 else folder) for name in names}
        request.app.state.corrections = found
    return found


def _folder_name(name: str) -> str:
    """Return a model's name as that of a folder."""
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name).strip(".") or "_"


def _check_form(body: RequestBody) -> None:
    parts = [task.load_part("http") for task in list_tasks() if task.has_part("http")]
    known = {"model", *(name for part in parts for name in part.CORRECTION_FIELDS)}
    unknown = [name for name in body.fields if name not in known]
    if unknown:
        raise client_error(
            "unknown-option",
            _("There is no option '{name}'.").format(name=request_images.shorten_text(unknown[0])),
            422,
        )
    if len(body.images) != 1:
        raise request_images.too_many_images_error(1)


def _save_correction(served: ServedModel, kept: CorrectionStore, body: RequestBody, size: tuple[int, int]) -> bool:
    [photo] = body.images
    try:
        saved: bool = served.http.save_correction(kept, photo.data, body.fields, served.version.predictor.classes, size)
        return saved
    except OSError as error:
        json_logs.log_event("correction-lost", reason=error.strerror or "")
        raise ApiError(507, "corrections-broken", _("The photo could not be saved on the server.")) from error
