"""People: who signs in with which password, and, for owners, who belongs to the project with which role."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lince.errors import LinceError
from lince.i18n import _
from lince.studio import studio_state
from lince.studio.passwords import hash_password, require_good_password
from lince.studio.request_bodies import EnterBody, NameBody, PasswordBody, PersonBody
from lince.studio.roles import ANYBODY, OWNER, READER, demand_role
from lince.studio.routes.answers import run_or_refuse
from lince.studio.store import people
from lince.web.http_errors import client_error
from lince.web.json_response import json_response

router = APIRouter()


@router.post("/api/enter", dependencies=demand_role(ANYBODY))
def sign_in(request: Request, body: EnterBody) -> Response:
    """Give a person who knows the password a new cookie; 401 for a wrong one, 429 after too many of them."""
    sessions = studio_state.get_studio(request).sessions
    if sessions.people is None:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    address = request.client.host if request.client else ""
    person = sessions.people.sign_in(body.name, body.password, address)
    return _answer_with_cookie(request, person.name, {"person": person.name, "role": person.role})


@router.post("/api/leave", dependencies=demand_role(READER))
def sign_out(request: Request) -> Response:
    """Take the cookie away from this browser."""
    response = json_response({})
    response.delete_cookie(studio_state.get_studio(request).sessions.cookie_name, path="/")
    return response


@router.post("/api/me/password", dependencies=demand_role(READER))
def change_own_password(request: Request, body: PasswordBody) -> Response:
    """Change one's own password, which also ends one's sessions in other browsers."""
    studio, who = studio_state.get_studio(request), studio_state.get_author(request).who
    if studio.sessions.people is None:
        raise client_error("not-found", _("There is nothing at this address."), 404)
    address = request.client.host if request.client else ""
    studio.sessions.people.sign_in(who, body.old, address)
    _save(request, who, None, body.new)
    return _answer_with_cookie(request, who, {})


@router.get("/api/people", dependencies=demand_role(OWNER))
def list_people(request: Request) -> Response:
    """Return the people of the project with their roles, and whether they can sign in."""
    with studio_state.get_studio(request).project.read() as connection:
        known = people.list_people(connection)
    kept = ("name", "role", "colour")
    listed = [
        {**{name: getattr(person, name) for name in kept}, "has_password": bool(person.secret_hash)} for person in known
    ]
    return json_response({"people": listed, "roles": list(people.ROLES)})


@router.post("/api/people", dependencies=demand_role(OWNER))
def save_person(request: Request, body: PersonBody) -> Response:
    """Add a person, or change role or password of one."""
    who = studio_state.get_author(request).who
    with studio_state.get_studio(request).project.read() as connection:
        is_known = people.find_person(people.list_people(connection), body.name) is not None
    if body.is_new and is_known:
        message = _("There is somebody called {name} already.").format(name=body.name)
        raise client_error("known", message, 422)
    if not body.is_new and not is_known:
        message = _("Nobody in this project is called {name}.").format(name=body.name)
        raise client_error("name", message, 422)
    _save(request, body.name, body.role, body.password)
    if body.name == who and body.password is not None and studio_state.get_studio(request).sessions.people:
        return _answer_with_cookie(request, who, {})
    return json_response({})


@router.post("/api/people/remove", dependencies=demand_role(OWNER))
def remove_person(request: Request, body: NameBody) -> Response:
    """Take somebody out of the project; what they did stays, and their sessions end."""
    studio = studio_state.get_studio(request)
    run_or_refuse("name", lambda: studio.project.write(lambda connection: people.remove_person(connection, body.name)))
    _tell_sessions(request)
    return json_response({})


def _save(request: Request, name: str, role: str | None, password: str | None) -> None:
    studio = studio_state.get_studio(request)

    def save() -> None:
        hashed = None if password is None else hash_password(require_good_password(password, name))
        studio.project.write(lambda connection: people.save_person(connection, name, role, hashed))

    try:
        run_or_refuse("person", save)
    except LinceError as error:
        raise client_error("person", str(error), 422) from error
    _tell_sessions(request)


def _tell_sessions(request: Request) -> None:
    """Let a changed role or password count at once, also for streams that are open."""
    studio = studio_state.get_studio(request)
    if studio.sessions.people is not None:
        studio.sessions.people.read()
    studio.events.notify()


def _answer_with_cookie(request: Request, name: str, content: dict[str, Any]) -> Response:
    response = json_response(content)
    studio_state.get_studio(request).sessions.set_cookie(response, name, is_encrypted=request.url.scheme == "https")
    return response
