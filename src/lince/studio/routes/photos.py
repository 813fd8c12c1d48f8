"""Photos: the list for the gallery, one photo with its labels, its picture, and new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from lince.datasets import open_dataset
from lince.errors import ImageError, LinceError
from lince.studio import label_import, photo_intake, photo_query, picture_store, studio_state
from lince.studio.photo_query import PhotoFilter
from lince.studio.request_bodies import FolderBody, ImportBody, NextBody
from lince.studio.roles import LABELLER, OWNER, READER, demand_role
from lince.studio.routes.answers import describe_error, describe_import, describe_intake, run_or_refuse
from lince.studio.store import leases
from lince.studio.store.edits import Act
from lince.studio.store.schema import comments, shapes
from lince.studio.store.states import Target, read_state, to_shape_state
from lince.web.http_errors import client_error
from lince.web.json_response import json_response

router = APIRouter()
_MAX_LISTED = 500  # photos in one answer
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}  # the address holds the digest of the content
_ALONE = {"Content-Security-Policy": "sandbox; default-src 'none'", "Content-Disposition": "inline"}


@router.get("/api/photos/ids", dependencies=demand_role(READER))
def list_ids(
    request: Request,
    filter: str = "all",  # noqa: A002
    class_id: Annotated[int | None, Query(alias="class")] = None,
    split: str = "",
    person: str = "",
    search: str = "",
) -> Response:
    """Return the ids of the photos that fit a filter, in their order."""
    try:
        wanted = PhotoFilter(filter, class_id, split, person, search[:200])
    except LinceError as error:
        raise client_error("bad-filter", str(error), 422) from error
    with studio_state.get_studio(request).project.read() as connection:
        return json_response({"ids": photo_query.list_photo_ids(connection, wanted)})


@router.get("/api/photos", dependencies=demand_role(READER))
def list_photos(request: Request, ids: str = "") -> Response:
    """Return what the gallery shows of the photos with the given ids, at most 500."""
    numbers = [int(word) for word in ids.split(",") if word.isdecimal()][:_MAX_LISTED]
    with studio_state.get_studio(request).project.read() as connection:
        return json_response({"photos": photo_query.list_photos(connection, numbers)})


@router.get("/api/photos/{photo_id}", dependencies=demand_role(READER))
def get_photo(request: Request, photo_id: int) -> Response:
    """Return a photo with its shapes and comments, each with the state that an edit of it must name."""
    studio_state.find_photo(request, photo_id)
    with studio_state.get_studio(request).project.read() as connection:
        [photo] = photo_query.list_photos(connection, [photo_id])
        of_photo = sa.select(shapes).where(shapes.c.photo_id == photo_id).order_by(shapes.c.z, shapes.c.id)
        told = sa.select(comments).where(comments.c.photo_id == photo_id)
        answer: dict[str, Any] = {
            "photo": photo,
            "state": read_state(connection, Target("photo", str(photo_id))),
            "shapes": [{"id": row.id, "state": to_shape_state(row)} for row in connection.execute(of_photo)],
            "comments": [
                {"id": row.id, "state": read_state(connection, Target("comment", row.id))}
                for row in connection.execute(told)
            ],
        }
    return json_response(answer)


@router.get("/image/{photo_id}", dependencies=demand_role(READER))
def get_image(request: Request, photo_id: int) -> Response:
    """Return the photo itself, as a browser can show it."""
    row = studio_state.find_photo(request, photo_id)
    try:
        picture = picture_store.read_picture(studio_state.get_photo_path(request, row))
    except ImageError as error:
        raise client_error("no-image", str(error), 404) from error
    return Response(picture.data, media_type=picture.media_type, headers={**_FOR_EVER, **_ALONE})


@router.get("/thumb/{photo_id}", dependencies=demand_role(READER))
def get_thumbnail(request: Request, photo_id: int) -> Response:
    """Return the photo at a size of 256 pixels."""
    row = studio_state.find_photo(request, photo_id)
    try:
        data = studio_state.get_studio(request).thumbnails.get(
            str(row.digest), studio_state.get_photo_path(request, row)
        )
    except ImageError as error:
        raise client_error("no-image", str(error), 404) from error
    return Response(data, media_type="image/jpeg", headers={**_FOR_EVER, **_ALONE})


@router.post("/api/photos", dependencies=demand_role(LABELLER))
async def upload_photo(request: Request, name: str = "") -> Response:
    """Add the photo in the body; ``name`` is what it is called where it comes from."""
    data = await request.body()
    project = studio_state.get_studio(request).project
    return json_response(describe_intake(await run_in_threadpool(photo_intake.add_upload, project, name, data)))


@router.post("/api/photos/link", dependencies=demand_role(OWNER))
def link_folder(request: Request, body: FolderBody) -> Response:
    """Add the photos of a folder on the studio's machine, which stay where they are."""
    studio_state.require_local(request)
    studio = studio_state.get_studio(request)
    found = run_or_refuse(
        "bad-folder", lambda: photo_intake.link_folder(studio.project, Path(body.folder), studio.intake)
    )
    return json_response(describe_intake(found))


@router.post("/api/import", dependencies=demand_role(OWNER))
def import_labels(request: Request, body: ImportBody) -> Response:
    """Add a labelled data set on the studio's machine: its photos, classes and labels."""
    studio_state.require_local(request)
    project = studio_state.get_studio(request).project
    act = Act(body.key, studio_state.get_author(request), is_wide=True, kind="import")
    try:
        dataset = open_dataset(body.folder, format=body.format)
        done = label_import.import_dataset(project, dataset, act, studio_state.get_studio(request).intake)
        if "task" not in project.read_meta():
            project.set_task(label_import.get_task(dataset))
    except LinceError as error:
        raise client_error("bad-data", describe_error(error), 422) from error
    return json_response(describe_import(done))


@router.post("/api/next", dependencies=demand_role(LABELLER))
def find_next(request: Request, body: NextBody) -> Response:
    """Hand out the next photo that nobody else has and that is not done; ``null`` where there is none."""
    author = studio_state.get_author(request, body.session)
    after = body.after
    number = studio_state.get_studio(request).project.write(
        lambda connection: leases.take_next(connection, author.who, after)
    )
    return json_response({"photo": number})
