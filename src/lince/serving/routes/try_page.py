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
from lince.fileio import compute_digest
from lince.i18n import LANGUAGES, _, get_language
from lince.serving import digit_image, openapi, request_reader, state
from lince.serving.http_errors import client_error

router = APIRouter()
LANGUAGE_NAMES = {"en": "English", "es": "Español", "pt": "Português"}
_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_MAX_DRAWING_BYTES = 1 << 20
_REPORT_STYLE = "style.css"  # of the reports, so that all pages of lince look alike


@router.get("/", include_in_schema=False)
async def get_try_page(request: Request) -> Response:
    """Show the page, in the language of whoever looks."""
    settings = state.get_server_state(request).settings
    if settings.root_path and not request.scope.get("raw_path", b"/").endswith(b"/"):
        return Response(status_code=308, headers={"Location": f"{settings.root_path}/"})  # its addresses are relative
    corrections = settings.corrections_folder is not None
    facts = {"language": get_language(), "corrections": corrections, "words": translate_script_texts()}
    tongues = [(code, LANGUAGE_NAMES[code]) for code in LANGUAGES]
    text = (
        _template_environment().get_template("try.html.j2").render(page=facts, language=get_language(), tongues=tongues)
    )
    return Response(text, media_type="text/html", headers={"Vary": "Accept-Language"})


@router.get("/page/{name}", include_in_schema=False)
async def get_page_asset(request: Request, name: str) -> Response:
    """Give a part of the page: its styles, its scripts, its mark."""
    content = _page_assets().get(name)
    if content is None:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    tag = f'"{compute_digest(content)}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_MEDIA_TYPES[name.rpartition(".")[2]], headers=headers)


@router.post(
    "/v1/drawing", response_class=Response, responses=openapi.DRAWING_RESPONSES, openapi_extra=openapi.DRAWING_REQUEST
)
async def render_drawing(request: Request) -> Response:
    """Give the picture (PNG) of a digit that a pen drew: the body is ``{"strokes": [[[x, y], ...], ...]}``."""
    limits = replace(state.get_server_state(request).settings.limits, request_bytes=_MAX_DRAWING_BYTES)
    picture = await asyncio.to_thread(_render_digit, await request_reader.receive_body(request, limits))
    return Response(picture, media_type="image/png")


def translate_script_texts() -> dict[str, str]:
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
        **_fact_texts(),
    }


def _fact_texts() -> dict[str, str]:
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


def _render_digit(body: bytes) -> bytes:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise client_error("bad-json", _("The body is not JSON.")) from None
    strokes = digit_image.parse_strokes(sent.get("strokes") if isinstance(sent, dict) else None)
    return images.encode_png(digit_image.render_digit(strokes))


@cache
def _template_environment() -> Environment:
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
def _page_assets() -> dict[str, bytes]:
    folder = files("lince.serving").joinpath("page")
    found = {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in _MEDIA_TYPES}
    return {**found, _REPORT_STYLE: files("lince.evaluation.report").joinpath("templates", _REPORT_STYLE).read_bytes()}
