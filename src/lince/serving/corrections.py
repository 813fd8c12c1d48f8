"""``POST /v1/corrections``: a photo with the right answer, from a person who saw a wrong one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.annotations import Classes
from lince.messages import _
from lince.serving import forms, intake, logs, openapi, photos, state
from lince.serving.corrected import Corrections, Marked
from lince.serving.drawing import are_numbers
from lince.serving.forms import Body
from lince.serving.models import Models, Served
from lince.serving.refusals import RefusedError, as_json, bad

router = APIRouter()
MOST_OBJECTS = 1000
_LONGEST_FIELD = 200_000
_FIELDS = ("model", "label", "objects")


@router.post("/v1/corrections", responses=openapi.CORRECTED, openapi_extra=openapi.CORRECT)
async def correct(request: Request) -> Response:
    """Keep the form's ``image`` with its ``label``, or with ``objects``: JSON of [{"class": ..., "box": [...]}]."""
    shared = state.of(request)
    if shared.settings.corrections is None:
        raise bad("not-found", _("There is nothing at this address."), 404)
    data = await intake.body(request, shared.settings.limits)
    body = forms.read_form(data, request.headers.get("content-type", ""), shared.settings.limits, _LONGEST_FIELD)
    _check(body)
    state.exchange(request.scope).images = 1
    kept = _kept(request, shared.models)
    served = shared.models.find(body.fields.get("model"))
    # Decoded where photos are, so that no more are in memory at one time; what cannot be read is not kept.
    look = partial(copy_context().run, served.version.look, body.photos[0])
    seen = await asyncio.get_running_loop().run_in_executor(shared.models.decoders, look)
    saved = await asyncio.to_thread(_keep, served, kept[served.name], body, seen.size)
    return as_json({"saved": saved}, 201 if saved else 200)


def _kept(request: Request, models: Models) -> dict[str, Corrections]:
    """Return where the corrections of each model are kept: in folders of its name where there are several."""
    found: dict[str, Corrections] | None = getattr(request.app.state, "corrections", None)
    if found is None:
        folder = Path(state.of(request).settings.corrections or "")
        names = [one.name for one in models]
        found = {name: Corrections(folder / _folder(name) if len(names) > 1 else folder) for name in names}
        request.app.state.corrections = found
    return found


def _folder(name: str) -> str:
    """Return a model's name as that of a folder."""
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name).strip(".") or "_"


def _check(body: Body) -> None:
    unknown = [name for name in body.fields if name not in _FIELDS]
    if unknown:
        raise bad("unknown-option", _("There is no option '{name}'.").format(name=photos.short(unknown[0])), 422)
    if len(body.photos) != 1:
        raise photos.too_many_images(1)


def _keep(served: Served, kept: Corrections, body: Body, size: tuple[int, int]) -> bool:
    [photo] = body.photos
    classes = served.version.predictor.classes
    try:
        if served.detects:
            boxes, class_ids = _objects(body.fields.get("objects", ""), classes, size)
            return kept.keep_objects(photo.data, Marked(boxes, class_ids, size), classes)
        return kept.keep_label(photo.data, _label(body.fields.get("label", ""), classes), classes)
    except OSError as error:
        logs.tell("correction-lost", reason=error.strerror or "")
        raise RefusedError(507, "corrections-broken", _("The photo could not be kept on the server's disk.")) from error


def _label(label: str, classes: Classes) -> str:
    if label not in classes.names:
        raise bad("unknown-class", _("There is no class '{name}'.").format(name=photos.short(label)), 422)
    return label


def _objects(text: str, classes: Classes, size: tuple[int, int]) -> tuple[Any, Any]:
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError):
        raise _unfit() from None
    if not isinstance(sent, list) or len(sent) > MOST_OBJECTS or not all(isinstance(one, dict) for one in sent):
        raise _unfit()
    class_ids = [classes.index(_label(str(one.get("class", "")), classes)) for one in sent]
    boxes = [_box(one.get("box"), size) for one in sent]
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(class_ids, np.int32)


def _box(value: object, size: tuple[int, int]) -> Sequence[float]:
    if not (isinstance(value, list) and are_numbers(value)):
        raise _unfit()
    try:
        box = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _unfit() from None
    if box.shape != (4,) or not np.isfinite(box).all():
        raise _unfit()
    height, width = size
    left, top, right, bottom = np.clip(box, 0, [width, height, width, height]).tolist()
    if right <= left or bottom <= top:
        raise _unfit()
    return left, top, right, bottom


def _unfit() -> RefusedError:
    message = _('Expected objects: JSON such as [{{"class": "{name}", "box": [left, top, right, bottom]}}].')
    return bad("bad-objects", message.format(name="cat"), 422)
