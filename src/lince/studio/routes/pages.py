"""The page, its scripts and styles, its words in each language, and the way in by the first address."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lince.fileio import compute_digest
from lince.i18n import LANGUAGES, _, get_language, use_language
from lince.studio import page_texts, studio_state
from lince.studio.roles import ANYBODY, demand_role
from lince.web.http_errors import ApiError, client_error

router = APIRouter()
_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "json": "application/json"}


@router.get("/", dependencies=demand_role(ANYBODY))
def get_page(request: Request, token: str = "") -> Response:
    """Return the page; the token in the first address is exchanged for a cookie, and is then gone from the address."""
    sessions = studio_state.get_studio(request).sessions
    if token:
        if not sessions.is_token(token):
            message = _("This address is of an earlier start. Open the one that lince studio printed in the terminal.")
            raise ApiError(401, "no-access", message)
        response = RedirectResponse("./", 303)
        sessions.set_cookie(response)
        return response
    languages = [(code, language.name) for code, language in LANGUAGES.items()]
    template = _template_environment().get_template("studio.html.j2")
    text = template.render(language=get_language(), languages=languages)
    return Response(text, media_type="text/html", headers={"Vary": "Accept-Language"})


@router.get("/page/words.{language}.json", dependencies=demand_role(ANYBODY))
def get_words(request: Request, language: str) -> Response:
    """Return the words of the page in a language."""
    if language not in LANGUAGES:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    with use_language(language):
        content = json.dumps(page_texts.translate(), ensure_ascii=False).encode()
    return _answer(request, content, "json")


@router.get("/page/{name:path}", dependencies=demand_role(ANYBODY))
def get_asset(request: Request, name: str) -> Response:
    """Return a script, style or icon of the page; 404 for any other ``name``."""
    content = _assets().get(name)
    if content is None:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    return _answer(request, content, name.rpartition(".")[2])


@router.get("/healthz", dependencies=demand_role(ANYBODY))
def get_health() -> Response:
    """Answer that the studio runs."""
    return Response("ok", media_type="text/plain")


def _answer(request: Request, content: bytes, suffix: str) -> Response:
    etag = f'"{compute_digest(content)}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_MEDIA_TYPES[suffix], headers=headers)


@cache
def _template_environment() -> Environment:
    environment = Environment(loader=PackageLoader("lince.studio", "page"), autoescape=True, undefined=StrictUndefined)
    environment.globals["_"] = _
    return environment


@cache
def _assets() -> dict[str, bytes]:
    """Return the content of every asset by its path below the folder of the page; nothing else can be asked for."""
    folder, found = files("lince.studio").joinpath("page"), {}
    for place, prefix in ((folder, ""), (folder.joinpath("vendor"), "vendor/")):
        for item in place.iterdir():
            if item.name.rpartition(".")[2] in _MEDIA_TYPES:
                found[prefix + item.name] = item.read_bytes()
    return found
