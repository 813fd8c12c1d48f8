"""``POST /v1/corrections``: saves an image with its correct labels, for the next training.

What a correction consists of is up to the model's task: its ``http`` part reads the form's fields and saves them.
"""

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
from lince.serving.model_registry import ModelRegistry, ServedModel
from lince.serving.request_body import RequestBody
from lince.tasks import list_tasks
from lince.web.http_errors import ApiError, client_error
from lince.web.json_response import json_response

router = APIRouter()
_MAX_FIELD_BYTES = 8_000_000  # enough for the boxes of ``MAX_OBJECTS`` objects, and for a class map


@router.post("/v1/corrections", responses=openapi.CORRECTION_RESPONSES, openapi_extra=openapi.CORRECTION_REQUEST)
async def post_correction(request: Request) -> Response:
    """Save the form's ``image`` with its correct labels: 201 when it is new, 200 when it was saved so before.

    A classification model takes the field ``label``, the name of a class. A detection model takes ``objects``, JSON of
    all objects in the image: [{"class": NAME, "box": [left, top, right, bottom]}, ...], in pixels of the upright
    image. A multilabel model takes ``labels``, JSON of all classes in the image: [NAME, ...], [] for none. A
    segmentation model takes ``class_map``, the class of each pixel as a grey PNG in base64. The last correction of an
    image replaces earlier ones. 404 where the server does not take corrections.
    """
    shared = state.get_server_state(request)
    if shared.settings.corrections_folder is None:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    data = await request_reader.receive_body(request, shared.settings.limits)
    body = request_body.parse_form(
        data, request.headers.get("content-type", ""), shared.settings.limits, _MAX_FIELD_BYTES
    )
    _check_form(body)
    state.get_request_context(request.scope).image_count = 1
    stores = _correction_stores(request, shared.models)
    served = shared.models.find(body.fields.get("model"))
    # Only images that can be decoded are saved. The pool of predictions decodes them, which bounds the memory in use.
    decode = partial(copy_context().run, served.version.prepare, body.images[0])
    prepared = await asyncio.get_running_loop().run_in_executor(shared.models.decoder_pool, decode)
    saved = await asyncio.to_thread(_save_correction, served, stores[served.name], body, prepared.size)
    return json_response({"saved": saved}, 201 if saved else 200)


def _correction_stores(request: Request, models: ModelRegistry) -> dict[str, CorrectionStore]:
    """Return the store of each model by the model's name, created at the first correction.

    A single model has the server's corrections folder for itself; of several, each has a folder of its name in there.
    """
    stores: dict[str, CorrectionStore] | None = getattr(request.app.state, "corrections", None)
    if stores is None:
        folder = Path(state.get_server_state(request).settings.corrections_folder or "")
        names = [served.name for served in models]
        stores = {name: CorrectionStore(folder / _folder_name(name) if len(names) > 1 else folder) for name in names}
        request.app.state.corrections = stores
    return stores


def _folder_name(name: str) -> str:
    """Return a model's name with ``_`` for every character that is not safe in a folder's name."""
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in name).strip(".") or "_"


def _check_form(body: RequestBody) -> None:
    """Raise ``ApiError`` for a field that no task knows (422), or more than one image (413)."""
    parts = [task.load_part("http") for task in list_tasks() if task.has_part("http")]
    allowed_fields = {"model", *(name for part in parts for name in part.CORRECTION_FIELDS)}
    unknown = [name for name in body.fields if name not in allowed_fields]
    if unknown:
        raise client_error(
            "unknown-option",
            _("There is no option '{name}'.").format(name=request_images.shorten_text(unknown[0])),
            422,
        )
    if len(body.images) != 1:
        raise request_images.too_many_images_error(1)


def _save_correction(served: ServedModel, store: CorrectionStore, body: RequestBody, size: tuple[int, int]) -> bool:
    """Save the image of ``body`` as the task of ``served`` does; return whether it is new.

    ``size`` is the (height, width) of the image in pixels. Raises ``ApiError`` when the fields are invalid (422) or the
    disk fails (507), whose reason is in the log only.
    """
    (image,) = body.images
    classes = served.version.predictor.classes
    try:
        saved: bool = served.http.save_correction(store, image.data, body.fields, classes, size)
        return saved
    except OSError as error:
        json_logs.log_event("correction-lost", reason=error.strerror or "")
        raise ApiError(507, "corrections-broken", _("The photo could not be saved on the server.")) from error
