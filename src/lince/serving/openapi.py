"""Documentation of the HTTP API: the OpenAPI document, and the page ``/docs``, which needs no external files.

The constants are used by the routes: ``*_REQUEST`` as ``openapi_extra``, ``*_RESPONSES`` as ``responses``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from lince.evaluation.report.html import get_jinja_environment
from lince.i18n import _
from lince.serving import digit_image, request_options, state
from lince.serving.schemas import CorrectionResponse, ErrorResponse, PredictRequestBody, make_predict_response
from lince.tasks import list_tasks

router = APIRouter(include_in_schema=False)
_SCHEMA_REF = "#/components/schemas/{model}"
_Responses = dict[int | str, dict[str, Any]]


def error_responses(*statuses: int) -> _Responses:
    """Return the OpenAPI descriptions of error responses with ``statuses``, for a route's ``responses``."""
    return {status: {"model": ErrorResponse, "description": "Refused; the body says why."} for status in statuses}


BODY_ERRORS = error_responses(400, 401, 403, 408, 413, 421, 422, 429, 500, 503)  # of every route with a body
_BINARY_SCHEMA = {"type": "string", "format": "binary"}
_OPTION_SCHEMAS: dict[str, dict[str, Any]] = {
    name: {**option.schema, "description": option.description} for name, option in request_options.OPTIONS.items()
}
PREDICT_REQUEST: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": schema["description"], "schema": schema}
        for name, schema in _OPTION_SCHEMAS.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "properties": {
                        "images": {"type": "array", "items": _BINARY_SCHEMA, "minItems": 1},
                        **_OPTION_SCHEMAS,
                    },
                }
            },
            "application/json": {"schema": {"$ref": _SCHEMA_REF.format(model="PredictRequestBody")}},
            "application/octet-stream": {"schema": _BINARY_SCHEMA},
            "image/*": {"schema": _BINARY_SCHEMA},
        },
    },
}
PREDICT_RESPONSES: _Responses = {
    200: {"model": make_predict_response(), "description": "A record for each image, in the order of the request."},
    404: {"model": ErrorResponse, "description": "There is no model of that name."},
    **error_responses(414, 415),
    **BODY_ERRORS,
}
_COORDINATE_SCHEMA = {
    "type": "number",
    "exclusiveMinimum": -digit_image.MAX_COORDINATE,
    "exclusiveMaximum": digit_image.MAX_COORDINATE,
}
_POINT_SCHEMA = {"type": "array", "items": _COORDINATE_SCHEMA, "minItems": 2, "maxItems": 2}
_STROKES_SCHEMA = {
    "type": "array",
    "minItems": 1,
    "maxItems": digit_image.MAX_STROKES,
    "items": {"type": "array", "items": _POINT_SCHEMA, "minItems": 1},
    "description": f"Points x, y in fractions of the area, y downwards; {digit_image.MAX_POINTS} in all at most.",
}
_MODEL_PARAMETER = {
    "name": "model",
    "in": "query",
    "required": False,
    "description": "Name of the model; the drawing is prepared as its training images.",
    "schema": {"type": "string"},
}
DRAWING_REQUEST: dict[str, Any] = {
    "parameters": [_MODEL_PARAMETER],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["strokes"], "properties": {"strokes": _STROKES_SCHEMA}}
            }
        },
    },
}
DRAWING_RESPONSES: _Responses = {
    200: {
        "content": {"image/png": {"schema": _BINARY_SCHEMA}},
        "description": "As the model's training images, else 28 x 28 pixels, white on black, as MNIST's.",
    },
    404: {"model": ErrorResponse, "description": "There is no model of that name."},
    **BODY_ERRORS,
}
_CORRECTION_FIELDS: dict[str, Any] = {  # of all tasks
    name: schema
    for task in list_tasks()
    if task.has_part("http")
    for name, schema in task.load_part("http").CORRECTION_FIELDS.items()
}
CORRECTION_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {
                        "image": _BINARY_SCHEMA,
                        "model": _OPTION_SCHEMAS["model"],
                        **_CORRECTION_FIELDS,
                    },
                }
            }
        },
    },
}
CORRECTION_RESPONSES: _Responses = {
    200: {"model": CorrectionResponse, "description": "It was saved with the same labels before."},
    201: {"model": CorrectionResponse, "description": "Saved."},
    404: {"model": ErrorResponse, "description": "The server takes no corrections, or there is no model of that name."},
    409: {"model": ErrorResponse, "description": "The folder has corrections of a model with other classes."},
    507: {"model": ErrorResponse, "description": "The folder or the disk is full."},
    **error_responses(415),
    **BODY_ERRORS,
}


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``, built on the first call.

    Adds what FastAPI does not know: the JSON request body, which routes parse themselves, the proxy's prefix and the
    bearer token.
    """
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        body_schema = PredictRequestBody.model_json_schema(ref_template=_SCHEMA_REF)
        definitions = body_schema.pop("$defs", {})
        document["components"]["schemas"].update({**definitions, "PredictRequestBody": body_schema})
        shared: state.ServerState = app.state.lince
        if shared.settings.root_path:
            document["servers"] = [{"url": shared.settings.root_path}]
        if shared.settings.token:
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}]
        app.openapi_schema = document
    return app.openapi_schema


@router.get("/docs")
async def get_docs_page(request: Request) -> Response:
    """Return the documentation page, in the client's language."""
    shared = state.get_server_state(request)
    text = (
        get_jinja_environment("lince.serving")
        .get_template("docs.html.j2")
        .render(
            base=str(request.base_url).rstrip("/"),
            prefix=shared.settings.root_path,
            routes=_route_rows(),
            refusals=_error_rows(),
            limits=shared.settings.limits,
            token=bool(shared.settings.token),
        )
    )
    return Response(text, media_type="text/html")


@router.get("/docs/style.css")
async def get_docs_style() -> Response:
    """Return the style sheet of the documentation page."""
    return Response(_docs_css(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@cache
def _docs_css() -> str:
    """Return the style sheet that all pages of lince share, followed by that of the documentation page."""
    report_css = files("lince.evaluation.report").joinpath("templates", "style.css").read_text("utf-8")
    return report_css + files("lince.serving").joinpath("templates", "docs.css").read_text("utf-8")


def _route_rows() -> list[tuple[str, str, str]]:
    """Return method, path and translated description of every public route."""
    return [
        ("POST", "/v1/predict", _("Runs inference on photos: returns one record per photo, in order.")),
        (
            "POST",
            "/v1/drawing",
            _("Renders pen strokes as the image of a digit, in the input format of a digit model."),
        ),
        (
            "POST",
            "/v1/corrections",
            _("Stores a photo with its correct label, if the server was started with --corrections."),
        ),
        ("GET", "/v1/models", _("The models: task, classes with colours, input size, licence, metrics.")),
        ("GET", "/healthz", _("Liveness check.")),
        ("GET", "/readyz", _("Readiness check; 503 while the server is shutting down.")),
        ("GET", "/metrics", _("Metrics for Prometheus.")),
        ("GET", "/openapi.json", _("The description of this API (OpenAPI).")),
    ]


def _error_rows() -> list[tuple[int, str]]:
    """Return every error status that the server may send with its translated reason."""
    return [
        (400, _("The body does not match its content type.")),
        (401, _("The token is missing or wrong.")),
        (403, _("The origin of the request is not allowed.")),
        (404, _("There is no such address, or no model of that name.")),
        (408, _("The request took too long to arrive.")),
        (409, _("The folder already contains corrections for a model with other classes.")),
        (413, _("Too many bytes, pixels or images.")),
        (414, _("The address is too long.")),
        (415, _("Not an image, or a body of an unsupported type.")),
        (421, _("Unknown host name.")),
        (422, _("A damaged image, or an invalid option.")),
        (429, _("Overloaded: try again after the seconds in Retry-After.")),
        (500, _("Internal server error: details are in the server log under the number in the response.")),
        (503, _("The server is shutting down.")),
        (507, _("The photo could not be saved on the server.")),
    ]
