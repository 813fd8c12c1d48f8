"""Exports: a preview of what is left out and lost, a folder on the studio's machine, or a zip archive to download."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from lince.i18n import _
from lince.studio import label_export, studio_state
from lince.studio.label_export import ExportOptions
from lince.studio.request_bodies import ArchiveBody, ExportBody
from lince.studio.roles import LABELLER, OWNER, READER, demand_role
from lince.studio.routes.answers import run_or_refuse
from lince.web.http_errors import client_error
from lince.web.json_response import json_response

router = APIRouter()


@router.get("/api/export", dependencies=demand_role(READER))
def preview_export(request: Request, format: str, photos: bool = True) -> Response:  # noqa: A002
    """Return what an export to a format would hold and lose, and the command that does the same."""
    project = studio_state.get_studio(request).project
    options = ExportOptions(format, photos)
    return json_response(run_or_refuse("no-export", lambda: label_export.preview_export(project, options)))


@router.post("/api/export", dependencies=demand_role(OWNER))
def export_labels(request: Request, body: ExportBody) -> Response:
    """Write all labelled photos to a new folder on the studio's machine."""
    studio_state.require_local(request)
    project, folder = studio_state.get_studio(request).project, Path(body.folder).expanduser()
    options = ExportOptions(body.format, body.with_photos, body.lossy)
    done = run_or_refuse("no-export", lambda: label_export.export_to_folder(project, folder, options))
    return json_response({"folder": str(folder), "photos": done.images, "objects": done.objects})


@router.post("/api/export/zip", dependencies=demand_role(LABELLER))
def export_zip(request: Request, body: ArchiveBody) -> Response:
    """Write the same to a zip archive, and return where it can be downloaded."""
    project = studio_state.get_studio(request).project
    options = ExportOptions(body.format, body.with_photos, body.lossy)
    number = run_or_refuse("no-export", lambda: label_export.export_to_zip(project, options))
    return json_response({"address": f"api/export/zip/{number}"})


@router.get("/api/export/zip/{number}", dependencies=demand_role(LABELLER))
def download_zip(request: Request, number: str) -> Response:
    """Return a zip archive that was written."""
    project = studio_state.get_studio(request).project
    path = label_export.find_archive(project, number)
    if path is None:
        raise client_error("not-found", _("This archive is gone. Export again."), 404)
    return FileResponse(path, media_type="application/zip", filename=f"{project.folder.name}.zip")
