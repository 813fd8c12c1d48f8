"""The page at ``/`` on which a person tries a model: its parts, its words, and the drawing that becomes a digit."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from lince import images
from lince.files import digest
from lince.messages import LANGUAGES, _, language
from lince.serving import drawing, intake, openapi, state
from lince.serving.refusals import bad

router = APIRouter()
TONGUES = {"en": "English", "es": "Español", "pt": "Português"}
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_DRAWING_BYTES = 1 << 20
_STYLE = "style.css"  # of the reports, so that all pages of lince look alike


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """Show the page, in the language of whoever looks."""
    settings = state.of(request).settings
    if settings.root_path and not request.scope.get("raw_path", b"/").endswith(b"/"):
        return Response(status_code=308, headers={"Location": f"{settings.root_path}/"})  # its addresses are relative
    corrections = settings.corrections is not None
    facts = {"language": language(), "corrections": corrections, "words": words()}
    tongues = [(code, TONGUES[code]) for code in LANGUAGES]
    text = _environment().get_template("try.html.j2").render(page=facts, language=language(), tongues=tongues)
    return Response(text, media_type="text/html", headers={"Vary": "Accept-Language"})


@router.get("/page/{name}", include_in_schema=False)
async def part(request: Request, name: str) -> Response:
    """Give a part of the page: its styles, its scripts, its mark."""
    content = _parts().get(name)
    if content is None:
        raise bad("not-found", _("There is nothing at this address."), 404)
    tag = f'"{digest(content)}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)


@router.post("/v1/drawing", response_class=Response, responses=openapi.DRAWN, openapi_extra=openapi.DRAW)
async def draw(request: Request) -> Response:
    """Give the picture (PNG) of a digit that a pen drew: the body is ``{"strokes": [[[x, y], ...], ...]}``."""
    limits = replace(state.of(request).settings.limits, request_bytes=_DRAWING_BYTES)
    picture = await asyncio.to_thread(_digit, await intake.body(request, limits))
    return Response(picture, media_type="image/png")


def words() -> dict[str, str]:
    """Return what the scripts say, by its name, in the language in force."""
    return {
        "all": _("Show all {count} classes"),
        "asking": _("Asking the model…"),
        "broken": _("Something went wrong on this page. Load it again."),
        "busy": _("The server is busy. Try again in {seconds} s."),
        "camera-broken": _("The camera gives no picture. Another program may be using it."),
        "camera-insecure": _("Browsers open the camera only for pages of this machine, or over HTTPS. Choose a photo."),
        "camera-none": _("No camera was found. Choose a photo instead."),
        "camera-refused": _("The camera was refused to this page. Allow it in the browser, or choose a photo."),
        "choose": _("Choose the right answer"),
        "count": _("{name}: {count}"),
        "fewer": _("Show fewer"),
        "hint": _("Drop a photo here, paste it, or choose one."),
        "is": _("{name}, {share}"),
        "kept": _("Kept. Thank you."),
        "kept-already": _("It was kept before."),
        "no-object": _("nothing is there"),
        "no-preview": _("This browser cannot show {name}, but the model is asked about it."),
        "nothing": _("Nothing was found."),
        "nothing-yet": _("Nothing has been asked yet."),
        "object": _("Object {number}"),
        "offline": _("There is no network. Try again when it is back."),
        "own": _("the model's own"),
        "photo": _("Photo"),
        "refused": _("The server refused it (status {status})."),
        "show": _("Photo {number}: {answer}"),
        "trouble": _("not answered"),
        "unreachable": _("The server cannot be reached. Is it running?"),
        **_facts(),
    }


def _facts() -> dict[str, str]:
    return {
        "fact-accuracy": _("accuracy on its test photos"),
        "fact-classes": _("classes"),
        "fact-input": _("what it reads, in pixels"),
        "fact-licence": _("licence of its weights"),
        "fact-made": _("made for"),
        "fact-map50": _("average precision at half overlap"),
        "fact-map50_95": _("average precision"),
        "fact-name": _("name"),
        "fact-network": _("network"),
        "fact-source": _("source of its weights"),
        "fact-trouble": _("a newer version that is not used"),
    }


def _digit(body: bytes) -> bytes:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise bad("bad-json", _("The body is not JSON.")) from None
    strokes = drawing.strokes(sent.get("strokes") if isinstance(sent, dict) else None)
    return images.encode_png(drawing.digit(strokes))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("lince.serving", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals["_"] = _
    return made


@cache
def _parts() -> dict[str, bytes]:
    folder = files("lince.serving").joinpath("page")
    found = {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in _KINDS}
    return {**found, _STYLE: files("lince.evaluation.report").joinpath("templates", _STYLE).read_bytes()}
