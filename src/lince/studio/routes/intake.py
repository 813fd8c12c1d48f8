"""New photos: folders of this machine to choose from, archives and videos that come in pieces, samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from lince.annotations import RejectedItem
from lince.errors import LinceError
from lince.i18n import _
from lince.studio import folder_list, packed_intake, sample_photos, studio_state
from lince.studio.request_bodies import SampleBody, TakeBody, UploadBody, VideoBody
from lince.studio.roles import LABELLER, OWNER, READER, REVIEWER, demand_role, has_role
from lince.studio.routes.answers import describe_import, describe_intake, run_or_refuse
from lince.studio.store.edits import Act
from lince.studio.store.project import TASKS
from lince.studio.store.writer import NotSavedError
from lince.validation import require_choice
from lince.web.json_response import json_response

router = APIRouter()


@router.get("/api/folders", dependencies=demand_role(OWNER))
def list_folders(request: Request, path: str = "") -> Response:
    """Return the folders in a folder below the home folder, for the person at this machine."""
    studio_state.require_local(request)
    listed = run_or_refuse("bad-folder", lambda: folder_list.list_below_home(path))
    return json_response(
        {
            "path": str(listed.path),
            "parent": None if listed.parent is None else str(listed.parent),
            "folders": [{"name": name, "path": str(listed.path / name)} for name in listed.folders],
            "photos": listed.photos,
        }
    )


@router.post("/api/uploads", dependencies=demand_role(LABELLER))
def begin_upload(request: Request, body: UploadBody) -> Response:
    """Return the id of a new upload, whose pieces follow."""
    uploads = studio_state.get_studio(request).uploads
    return json_response({"id": run_or_refuse("no-room", lambda: uploads.begin(body.size))})


@router.post("/api/uploads/{number}", dependencies=demand_role(LABELLER))
async def append_piece(request: Request, number: str, offset: int) -> Response:
    """Write the piece in the body, at most 64 MiB, and return how many bytes of the upload there are."""
    data = await request.body()
    uploads = studio_state.get_studio(request).uploads
    received = await run_in_threadpool(run_or_refuse, "bad-upload", lambda: uploads.append(number, offset, data))
    return json_response({"received": received})


@router.post("/api/uploads/{number}/zip", dependencies=demand_role(LABELLER))
def add_archive(request: Request, number: str, body: TakeBody) -> Response:
    """Add the photos of a zip archive that was uploaded, and the labels in it where a reviewer sends it."""
    studio = studio_state.get_studio(request)
    act = Act(number, studio_state.get_author(request), is_wide=True, kind="import")
    may_label = has_role(request, REVIEWER)

    def add() -> Response:
        with studio.uploads.take(number) as path:
            problem = ""
            try:
                if may_label and (
                    done := packed_intake.import_archive(studio.project, path, body.name, act, studio.intake)
                ):
                    return json_response(describe_import(done))
            except NotSavedError:
                raise
            except LinceError as error:  # what is no labels, or is ambiguous: the photos come all the same
                problem = str(error)
            found = packed_intake.add_archive(studio.project, path, body.name, studio.intake)
        reasons = [RejectedItem(body.name, _("the labels were not read: {reason}").format(reason=problem), "")]
        return json_response(describe_intake(replace(found, rejected=(*reasons[: bool(problem)], *found.rejected))))

    return run_or_refuse("bad-archive", add)


@router.post("/api/uploads/{number}/video", dependencies=demand_role(LABELLER))
def add_video(request: Request, number: str, body: TakeBody) -> Response:
    """Add frames of a video that was uploaded."""
    studio = studio_state.get_studio(request)

    def add() -> Response:
        with studio.uploads.take(number) as path:
            every = body.every or 1.0
            found = packed_intake.add_video(studio.project, path, body.name, every, studio.intake, body.changed)
        return json_response(describe_intake(found))

    return run_or_refuse("bad-video", add)


@router.post("/api/photos/video", dependencies=demand_role(OWNER))
def add_local_video(request: Request, body: VideoBody) -> Response:
    """Add frames of a video on the studio's machine, which stays as it is."""
    studio_state.require_local(request)
    studio, path = studio_state.get_studio(request), Path(body.path).expanduser()
    found = run_or_refuse(
        "bad-video",
        lambda: packed_intake.add_video(studio.project, path, path.name, body.every, studio.intake, body.changed),
    )
    return json_response(describe_intake(found))


@router.post("/api/photos/sample", dependencies=demand_role(OWNER))
def add_sample(request: Request, body: SampleBody) -> Response:
    """Add photos to try the studio with, and the classes for them."""
    studio = studio_state.get_studio(request)
    act = Act(body.key, studio_state.get_author(request, body.session), is_wide=True)

    def add() -> Response:
        task = require_choice("task", body.task, TASKS)
        return json_response(describe_intake(sample_photos.add_sample(studio.project, task, act)))

    return run_or_refuse("bad-sample", add)


@router.get("/api/intake", dependencies=demand_role(READER))
def get_progress(request: Request) -> Response:
    """Return how far the photos that are being added are; ``null`` where none are."""
    return json_response({"stage": studio_state.get_studio(request).intake.describe()})
