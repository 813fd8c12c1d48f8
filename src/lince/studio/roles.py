"""Which role each route needs; a route that declares none is refused when the studio starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import Depends, FastAPI, params
from fastapi.routing import APIRoute
from starlette.requests import Request

from lince.i18n import _
from lince.studio.guard import ROLE
from lince.studio.store.edits import Edit
from lince.studio.store.people import LABELLER, OWNER, READER, REVIEWER, ROLES
from lince.studio.store.project import Project
from lince.web.http_errors import ApiError, client_error

__all__ = [
    "ANYBODY",
    "LABELLER",
    "OWNER",
    "READER",
    "REVIEWER",
    "demand_role",
    "find_role",
    "has_role",
    "list_route_roles",
    "no_role_error",
    "require_role",
    "require_role_of_fields",
    "require_roles_of_edits",
]
ANYBODY = "anybody"  # also those who have not signed in
_OF_REVIEWERS = ("removed", "split")  # fields of a photo that a labeller leaves alone


def demand_role(role: str) -> list[params.Depends]:
    """Return what a route is given as ``dependencies``, so that it answers ``role`` and higher ones alone."""

    async def check(request: Request) -> None:
        if role != ANYBODY:
            require_role(request, role)

    check.role = role  # type: ignore[attr-defined]  # read by list_route_roles
    return [Depends(check)]


def has_role(request: Request, role: str) -> bool:
    """Whether whoever sends ``request`` has ``role`` or a higher one."""
    found = find_role(request)
    return found in ROLES and ROLES.index(found) >= ROLES.index(role)


def find_role(request: Request) -> str:
    """Return the role of whoever sends ``request``; in a project of a newer lince everybody only looks."""
    found = str(request.scope[ROLE])
    return READER if found and _find_project(request).newer is not None else found


def require_role(request: Request, role: str) -> None:
    """Raise ``ApiError`` (403) unless whoever sends ``request`` has ``role`` or a higher one."""
    if has_role(request, role):
        return
    if role != READER and find_role(request) == READER:
        _find_project(request).require_writable()
    raise no_role_error(role, find_role(request))


def _find_project(request: Request) -> Project:
    project: Project = request.app.state.studio.project
    return project


def require_roles_of_edits(request: Request, edits: Iterable[Edit]) -> None:
    """Raise ``ApiError`` (403) where ``edits`` change classes, or what of a photo only reviewers may."""
    for edit in edits:
        if edit.target.kind == "class":
            require_role(request, REVIEWER)
        elif edit.target.kind == "photo":
            require_role_of_fields(request, _find_changes(edit.before, edit.after))


def require_role_of_fields(request: Request, fields: Iterable[str]) -> None:
    """Raise ``ApiError`` (403) where only reviewers may change one of the ``fields`` of a photo."""
    if any(name in _OF_REVIEWERS for name in fields):
        require_role(request, REVIEWER)


def list_route_roles(app: FastAPI) -> dict[tuple[str, str], str]:
    """Return the role of each route by method and path; raise ``RuntimeError`` for one that declares none."""
    found: dict[tuple[str, str], str] = {}
    for route in _flatten(app.routes):
        if not isinstance(route, APIRoute):
            raise RuntimeError(f"{route} is not a route with a role")
        roles = [getattr(one.dependency, "role", None) for one in route.dependencies]
        declared = [role for role in roles if role in (ANYBODY, *ROLES)]
        if len(declared) != 1:
            raise RuntimeError(f"{route.path} declares no role")
        found.update({(method, route.path): str(declared[0]) for method in route.methods or ()})
    return found


def _flatten(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield ``routes``, and in place of an included router, as newer versions of FastAPI keep it, the routes in it."""
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from [route] if included is None else _flatten(included.routes)


def no_role_error(role: str, found: str) -> ApiError:
    """Return the 403 for somebody with the role ``found`` who needs ``role``."""
    names = {
        READER: _("reader"),
        LABELLER: _("labeller"),
        REVIEWER: _("reviewer"),
        OWNER: _("owner"),
    }
    message = _("This needs the role {role}; yours is {found}. An owner of the project can change it.")
    return client_error("no-role", message.format(role=names[role], found=names.get(found, found)), 403)


def _find_changes(before: Any, after: Any) -> list[str]:
    """Return which fields of a photo's state an edit changes; a field that is left out has its first value."""
    if not isinstance(after, Mapping):
        return list(_OF_REVIEWERS)
    old = before if isinstance(before, Mapping) else {}
    return [name for name in _OF_REVIEWERS if (after.get(name) or "") != (old.get(name) or "")]
