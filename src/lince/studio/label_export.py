"""Exports the labels of a project: what an export would hold and lose, and the export to a folder or a zip archive."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lince.datasets import Dataset, open_dataset
from lince.datasets.conversion import ConvertOptions, ConvertResult, convert_dataset, list_writable_formats
from lince.datasets.conversion_loss import adapt_to_format
from lince.errors import DataError, LinceError
from lince.fileio import get_cache_folder, quote_path
from lince.formats import FORMATS, Capability
from lince.formats.lince_project import CLASSIFICATION, NAME
from lince.i18n import _
from lince.storage.scan import walk_files
from lince.studio.store.label_snapshot import open_label_folder
from lince.studio.store.project import Project
from lince.studio.store.schema import photo_classes, photos
from lince.validation import require_choice

_FIRST_IDS = {"yolo": 0, "coco": 1, "masks": 1, "tfrecord": 1}  # of the formats that write ids
_MAX_LISTED = 100
_STORED_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")  # compressed already


@dataclass(frozen=True)
class ExportOptions:
    """What is exported how: the format, whether with photos, and whether what the format cannot hold may be lost."""

    format: str
    with_photos: bool = True
    lossy: bool = False


def preview_export(project: Project, options: ExportOptions) -> dict[str, Any]:
    """Return what an export would hold, leave out and lose, its classes with their ids, and the command that does it.

    Raise ``LinceError`` where nothing can be exported.
    """
    record = FORMATS[require_choice("format", options.format, list_writable_formats())]
    with open_label_folder(project) as place:
        dataset = _open_labels(project, place)
        adapted, losses = adapt_to_format(dataset, record)
    can_refer = Capability.EXTERNAL_PATHS in record.capabilities
    folder = suggest_folder(project, options.format)
    first = _FIRST_IDS.get(options.format)
    words = ["lince convert", quote_path(project.folder), quote_path(folder), "--to", options.format]
    words += ["--reference"] * (can_refer and not options.with_photos) + ["--lossy"] * bool(losses)
    words += ["--allow-unusable"] * bool(dataset.rejected)
    counts = adapted.count_per_class()
    return {
        "photos": len(adapted),
        "objects": 0 if adapted.objects is None else len(adapted.objects),
        "left_out": [str(item) for item in dataset.rejected[:_MAX_LISTED]],
        "left_out_count": len(dataset.rejected),
        "losses": [str(loss) for loss in losses],
        "classes": [
            {"id": None if first is None else first + place, "name": name, "count": counts[name]}
            for place, name in enumerate(adapted.classes.names)
        ],
        "can_refer": can_refer,
        "folder": str(folder),
        "command": " ".join(words) if project.file else "",  # no command reads a database
    }


def export_to_folder(project: Project, folder: Path, options: ExportOptions) -> ConvertResult:
    """Write all labelled photos to the new ``folder``. Raise ``LinceError``; nothing is written then."""
    # Photos without a label stay behind in any number; the page has shown how many.
    images = "copy" if options.with_photos else "reference"
    allowed = ConvertOptions(images, options.lossy, allow_unusable=True)
    with open_label_folder(project) as place:
        return convert_dataset(_open_labels(project, place), folder, options.format, allowed)


def export_to_zip(project: Project, options: ExportOptions) -> str:
    """Write the same to a zip archive in the cache, and return its number; earlier archives are deleted."""
    number = secrets.token_hex(16)
    place = _get_archive_folder(project)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    folder = place / "data"
    try:
        export_to_folder(project, folder, options)
        with _open_archive(place / f"{number}.zip") as archive:
            for name in walk_files(folder):
                is_small_already = name.lower().endswith(_STORED_SUFFIXES)
                method = zipfile.ZIP_STORED if is_small_already else zipfile.ZIP_DEFLATED
                archive.write(folder / name, name, method)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return number


def find_archive(project: Project, number: str) -> Path | None:
    """Return the path of an archive that was written, ``None`` where there is none of that number."""
    return next((path for path in _get_archive_folder(project).glob("*.zip") if path.stem == number), None)


def suggest_folder(project: Project, format_name: str) -> Path:
    """Return a folder beside the project that does not exist yet."""
    first = project.folder.parent / f"{project.folder.name}-{format_name}"
    names = (first.with_name(f"{first.name}-{number}") for number in range(2, 1000))
    return next((path for path in (first, *names) if not path.exists()), first)


def _open_labels(project: Project, folder: Path) -> Dataset:
    """Return the labelled photos. Raise ``DataError`` that says in plain words why there are none."""
    try:
        return open_dataset(folder, format=NAME)
    except LinceError as error:
        problem = _find_obstacle(project)
        if problem is None:
            raise
        raise problem from error


def _find_obstacle(project: Project) -> DataError | None:
    with project.read() as connection:
        here = sa.select(photos.c.root, photos.c.path).where(~photos.c.removed)
        has_class = sa.exists().where(photo_classes.c.photo_id == photos.c.id)
        is_classified = project.read_meta().get("task") == CLASSIFICATION
        labelled = connection.execute(here.where(has_class if is_classified else photos.c.shapes > 0)).all()
        count = len(connection.execute(here).all())
    if not count:
        return DataError(_("The project has no photos."), remedy=_("Add some first."))
    if not labelled:
        return DataError(
            _("None of the {count} photos has a label yet.").format(count=count),
            _("Expected at least one with a class.") if is_classified else _("Expected at least one with a shape."),
            _("Label some first."),
        )
    paths = [Path(row.root or project.photo_folder, row.path) for row in labelled]
    if any(path.is_file() for path in paths):
        return None
    return DataError(
        _("The files of all {count} labelled photos are gone, such as {path}.").format(count=len(paths), path=paths[0]),
        _("Expected them where they were when they were added."),
        _("Put them back there; the labels are still in the project."),
    )


def _get_archive_folder(project: Project) -> Path:
    # Not in the project's folder: nothing may be converted into its own source.
    return get_cache_folder() / "studio-exports" / project.read_meta()["project"]


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(path.with_suffix(".part"), "w", allowZip64=True) as archive:
        yield archive
    path.with_suffix(".part").replace(path)
