"""The page at ``/`` for trying a model in the browser: HTML, assets, translated texts, and the drawing of digits.

The page's files are in ``lince/serving/page``: a Jinja template, a style sheet and ES modules, which need no build
step. A task's results are shown by its renderer, a module listed in ``page/tasks.js``.
"""

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
from lince.model_card import DrawingSpec
from lince.serving import digit_image, openapi, request_reader, state
from lince.serving.model_registry import ModelRegistry
from lince.web.http_errors import client_error

router = APIRouter()
_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_MAX_DRAWING_BYTES = 1 << 20
_REPORT_STYLE = "style.css"  # shared with the evaluation reports


@router.get("/", include_in_schema=False)
async def get_try_page(request: Request) -> Response:
    """Return the page in the client's language.

    Its links are relative, so that it works below a proxy's prefix; there, a path without a trailing slash is
    redirected (308). The language and its texts are in the page as JSON, for the scripts; the models are not: the
    scripts request them, with the token that a person enters where the server requires one.
    """
    settings = state.get_server_state(request).settings
    if settings.root_path and not request.scope.get("raw_path", b"/").endswith(b"/"):
        return Response(status_code=308, headers={"Location": f"{settings.root_path}/"})
    accepts_corrections = settings.corrections_folder is not None
    script_data = {
        "language": get_language(),
        "corrections": accepts_corrections,
        "texts": translate_script_texts(),
    }
    languages = [(code, language.name) for code, language in LANGUAGES.items()]
    template = _template_environment().get_template("try.html.j2")
    text = template.render(page=script_data, language=get_language(), languages=languages)
    return Response(text, media_type="text/html", headers={"Vary": "Accept-Language"})


@router.get("/page/{name}", include_in_schema=False)
async def get_page_asset(request: Request, name: str) -> Response:
    """Return a style sheet, script or icon of the page, 404 for any other ``name``.

    Browsers may cache it but must revalidate it every time (``ETag``); the response to an unchanged one is 304.
    """
    content = _page_assets().get(name)
    if content is None:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    etag = f'"{compute_digest(content)}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_MEDIA_TYPES[name.rpartition(".")[2]], headers=headers)


@router.post(
    "/v1/drawing", response_class=Response, responses=openapi.DRAWING_RESPONSES, openapi_extra=openapi.DRAWING_REQUEST
)
async def render_drawing(request: Request) -> Response:
    """Return a drawn digit as a PNG like those that a model was trained on, for a prediction request.

    The body is {"strokes": [[[x, y], ...], ...]}: the points of each stroke in fractions of the drawing area, y
    downwards. ``model`` in the query string names the model, as for a prediction; the only one is the default. For a
    model whose card does not say how, and where several are served and none is named, the digit is prepared as those of
    MNIST: scaled to 20 pixels and centred in 28 x 28 pixels, white on black.
    """
    spec = _find_drawing_spec(state.get_server_state(request).models, request.query_params.get("model"))
    limits = replace(state.get_server_state(request).settings.limits, request_bytes=_MAX_DRAWING_BYTES)
    png = await asyncio.to_thread(_render_digit, await request_reader.receive_body(request, limits), spec)
    return Response(png, media_type="image/png")


def translate_script_texts() -> dict[str, str]:
    """Return the texts that the page's scripts show, by key, in the current language.

    The scripts look a text up with ``text(key, values)`` of ``page/texts.js`` and put the values in place of the names
    in braces. Texts that do not change are in the template instead.
    """
    return {
        "all-classes": _("Show all {count} classes"),
        "area-is": _("{name} is really"),
        "background": _("background"),
        "background-only": _("background only"),
        "busy": _("The server is busy. Try again in {seconds} s."),
        "camera-broken": _("The camera gives no image. Another program may be using it."),
        "camera-insecure": _("Browsers open the camera only for pages of this machine, or over HTTPS. Choose a photo."),
        "camera-none": _("No camera was found. Choose a photo instead."),
        "camera-refused": _("Camera access was denied. Allow it in the browser, or choose a photo."),
        "choose-class": _("Choose the correct class"),
        "class-summary": _("{name} · {share}"),
        "correction-known": _("It was already saved."),
        "correction-saved": _("Saved. Thank you."),
        "failed": _("no result"),
        "fewer-classes": _("Show fewer"),
        "hint": _("Drop a photo here, paste it, or choose one."),
        "json-record": _("Result as JSON"),
        "no-class": _("no class"),
        "no-object": _("no object"),
        "no-objects": _("No objects were found."),
        "no-preview": _("This browser cannot show {name}, but the model can still process it."),
        "nothing-yet": _("The answer appears here."),
        "object": _("Object {number}"),
        "object-count": _("{name}: {count}"),
        "offline": _("No network connection. Try again when it is back."),
        "page-error": _("Something went wrong on this page. Reload it."),
        "photo": _("Photo"),
        "refused": _("The server rejected the request (status {status})."),
        "share-from": _("{share} (from {threshold})"),
        "show-photo": _("Photo {number}: {answer}"),
        "threshold-default": _("model default"),
        "unreachable": _("The server cannot be reached. Is it running?"),
        "waiting": _("Running the model…"),
        **_fact_texts(),
    }


def _fact_texts() -> dict[str, str]:
    """Return the labels of the model's properties, which the page shows in a table (``page/model_facts.js``)."""
    return {
        "fact-accuracy": _("test accuracy"),
        "fact-classes": _("classes"),
        "fact-f1_macro": _("test F1, mean of the classes"),
        "fact-input": _("input size in pixels"),
        "fact-licence": _("licence of its weights"),
        "licence-none": _("none"),
        "licence-unknown": _("unknown"),
        "fact-made": _("format"),
        "fact-map": _("test mAP"),
        "fact-map50": _("test mAP50"),
        "fact-map50_95": _("test mAP50-95"),
        "fact-segm_map50": _("test mask mAP50"),
        "fact-segm_map50_95": _("test mask mAP50-95"),
        "fact-miou": _("test mean IoU"),
        "fact-name": _("name"),
        "fact-network": _("network"),
        "fact-pixel_accuracy": _("pixels right in the test"),
        "fact-source": _("source of its weights"),
        "fact-trouble": _("newer version, not loaded"),
    }


def _find_drawing_spec(models: ModelRegistry, name: str | None) -> DrawingSpec:
    """Return how drawings are prepared for the model ``name``; raise ``ApiError`` (404) where there is none."""
    if name is None and len(models) != 1:
        return digit_image.MNIST
    return models.find(name).version.predictor.card.drawing or digit_image.MNIST


def _render_digit(body: bytes, spec: DrawingSpec) -> bytes:
    """Return the PNG for a JSON body of strokes, prepared by ``spec``; raise ``ApiError`` (400, 422) for another."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise client_error("bad-json", _("The body is not JSON.")) from None
    strokes = digit_image.parse_strokes(document.get("strokes") if isinstance(document, dict) else None)
    return images.encode_png(digit_image.render_digit(strokes, spec))


@cache
def _template_environment() -> Environment:
    """Return the Jinja environment of the page: HTML-escaped, and an error for undefined variables."""
    environment = Environment(
        loader=PackageLoader("lince.serving", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals["_"] = _
    return environment


@cache
def _page_assets() -> dict[str, bytes]:
    """Return the content of every asset by file name; nothing else can be requested.

    These are all files of the page's folder with a suffix of ``_MEDIA_TYPES``, so a new script needs no entry, and the
    style sheet of the evaluation reports.
    """
    folder = files("lince.serving").joinpath("page")
    assets = {item.name: item.read_bytes() for item in folder.iterdir() if item.name.rpartition(".")[2] in _MEDIA_TYPES}
    return {**assets, _REPORT_STYLE: files("lince.evaluation.report").joinpath("templates", _REPORT_STYLE).read_bytes()}
