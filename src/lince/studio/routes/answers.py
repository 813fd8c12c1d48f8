"""Answers that several routes give: what became of photos, and why an act was not made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.responses import Response

from lince.annotations import RejectedItem
from lince.errors import LinceError
from lince.option_phrases import reword_for_page
from lince.studio.label_import import LabelImport
from lince.studio.photo_intake import Intake
from lince.studio.store.edits import ConflictError
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.writer import NotSavedError
from lince.web.http_errors import client_error
from lince.web.json_response import json_response

_MAX_REJECTED = 100
_Result = TypeVar("_Result")


def answer_act(act: Callable[[], dict[str, Any]]) -> Response:
    """Return what ``act`` returns as JSON: 409 where somebody else changed it, 422 where it is none, 503 unsaved."""
    try:
        return json_response(act())
    except ConflictError as error:
        body = {"code": "conflict", "message": str(error)}
        return json_response({"error": body, "who": error.outcome.who}, 409)
    except EditRefusedError as error:
        return json_response({"error": {"code": error.code, "message": str(error)}}, 422)
    except NotSavedError as error:
        return json_response({"error": {"code": "not-saved", "message": str(error)}}, 503)


def run_or_refuse(code: str, act: Callable[[], _Result]) -> _Result:
    """Return what ``act`` returns; raise ``ApiError`` (422) with the message of what it raises, 503 if unsaved."""
    try:
        return act()
    except NotSavedError as error:
        raise client_error("not-saved", str(error), 503) from error
    except LinceError as error:
        raise client_error(code, describe_error(error), 422) from error


def describe_error(error: LinceError) -> str:
    """Return the sentences of ``error`` for somebody at a page, who has neither options nor Python's keywords."""
    return reword_for_page("\n".join(filter(None, (error.problem, error.expected, error.remedy))))


def describe_intake(intake: Intake) -> dict[str, Any]:
    """Return counts of new, known and rejected photos, with the first hundred reasons."""
    return {"added": intake.added, "known": intake.known, "rejected": list_rejected(intake.rejected)}


def describe_import(done: LabelImport) -> dict[str, Any]:
    """Return counts of new photos, classes and labels, of photos that kept theirs, and of what was rejected."""
    counts = {"photos": done.photos, "classes": done.classes, "labels": done.labels, "kept": done.kept}
    return {**counts, "added": done.photos, "known": 0, "rejected": list_rejected(done.rejected)}


def list_rejected(items: tuple[RejectedItem, ...]) -> dict[str, Any]:
    """Return how many items were rejected, and the first hundred with their reasons."""
    return {"count": len(items), "first": [str(item) for item in items[:_MAX_REJECTED]]}
