"""Imports a labelled data set into a project: photos, classes by name, labels and splits, as one act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from lince.annotations import RejectedItem, get_class_colour
from lince.datasets import Dataset
from lince.errors import ImageError
from lince.fileio import compute_digest
from lince.formats.lince_project import CLASSIFICATION, DETECTION
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLITS
from lince.storage.scan import looks_like_image
from lince.studio import photo_intake
from lince.studio.photo_intake import PhotoCopies
from lince.studio.store.edits import Act, Edit, Outcome, apply_edit
from lince.studio.store.project import Project
from lince.studio.store.schema import classes, photos
from lince.studio.store.states import NEW_PHOTO, State, Target, read_state

_SPLIT_NAMES = {number: name for name, number in SPLITS.items()}


@dataclass(frozen=True)
class LabelImport:
    """What an import brought: photos, classes and labels that are new, and what could not be used and why.

    ``kept`` counts photos that had labels in the project; theirs were left as they are.
    """

    photos: int
    classes: int
    labels: int
    kept: int
    rejected: tuple[RejectedItem, ...]


def import_dataset(project: Project, dataset: Dataset, act: Act, progress: Progress = SILENT) -> LabelImport:
    """Add the photos of ``dataset`` and their labels; a photo that has labels in the project keeps its own.

    Photos are linked where they lie; those in an archive, and others without files of their own, are copied to the
    project.
    """
    rows: list[dict[str, Any] | None] = []
    rejected, copies = list(dataset.rejected), PhotoCopies(project)
    with progress.open_stage(_("Adding the photos"), len(dataset)) as stage, copies:
        for row in range(len(dataset)):
            found = _read_photo(dataset, row, copies)
            if isinstance(found, RejectedItem):
                rejected.append(RejectedItem(dataset.images.get_name(row), found.reason, found.remedy))
            rows.append(found if isinstance(found, dict) else None)
            stage.advance()
        return project.write(lambda connection: _Importer(connection, dataset, act).run(rows, tuple(rejected)))


def _read_photo(dataset: Dataset, row: int, copies: PhotoCopies) -> dict[str, Any] | RejectedItem:
    """Return the columns of a photo, which is copied where it has no file of its own, or why it cannot be used."""
    path = dataset.images.get_path(row)
    if path is not None:
        resolved = path.resolve()
        return photo_intake.read_photo(resolved, str(resolved.parent), resolved.name)
    name = dataset.images.get_name(row)
    try:
        shown = name if looks_like_image(name) else f"{name}.png"  # what has no file of its own is given as PNG
        return copies.add(shown, dataset.images.read_bytes(row))
    except ImageError as error:
        return RejectedItem(name, error.problem.rstrip("."), error.remedy.rstrip("."))


class _Importer:
    """Adds one data set within one transaction."""

    def __init__(self, connection: sa.Connection, dataset: Dataset, act: Act) -> None:
        self._connection = connection
        self._dataset = dataset
        self._act = act
        self._number = 0
        self._label_count = 0

    def run(self, rows: list[dict[str, Any] | None], rejected: tuple[RejectedItem, ...]) -> LabelImport:
        """Add photos, classes and labels."""
        class_ids, new_classes = self._add_classes()
        new_photos, kept = 0, 0
        for row, columns in enumerate(rows):
            if columns is None:
                continue
            new = [] if "id" in columns else photo_intake.insert_photos(self._connection, [columns])
            new_photos += len(new)
            photo_id = new[0] if new else self._find_photo(columns)
            if self._has_labels(photo_id):
                kept += 1
            else:
                self._add_labels(row, photo_id, class_ids)
        return LabelImport(new_photos, new_classes, self._label_count, kept, rejected)

    def _add_classes(self) -> tuple[list[int], int]:
        """Return the project's ids of the data set's classes, and how many of them are new."""
        living = sa.select(classes.c.name, classes.c.id).where(classes.c.alive)
        known = {row.name: row.id for row in self._connection.execute(living)}
        position = self._connection.execute(sa.select(sa.func.max(classes.c.position))).scalar_one()
        next_position = 0 if position is None else position + 1
        ids, new = [], 0
        for name in self._dataset.classes.names:
            if name not in known:
                place = next_position + new
                colour = "#{:02x}{:02x}{:02x}".format(*get_class_colour(place))
                state = {"name": name, "colour": colour, "position": place, "key": str(place + 1) if place < 9 else ""}
                known[name] = int(self._make(Target("class", ""), None, state).target_id)
                new += 1
            ids.append(known[name])
        return ids, new

    def _find_photo(self, columns: dict[str, Any]) -> int:
        if "id" in columns:
            return int(columns["id"])
        place = (photos.c.root == columns["root"]) & (photos.c.path == columns["path"])
        return int(self._connection.execute(sa.select(photos.c.id).where(place)).scalar_one())

    def _has_labels(self, photo_id: int) -> bool:
        state = read_state(self._connection, Target("photo", str(photo_id)))
        shapes = self._connection.execute(sa.select(photos.c.shapes).where(photos.c.id == photo_id)).scalar_one()
        return bool(shapes) or state != NEW_PHOTO

    def _add_labels(self, row: int, photo_id: int, class_ids: list[int]) -> None:
        names = self._dataset.classes.names
        chosen = [class_ids[names.index(name)] for name in self._dataset.list_class_names(row)]
        state: State = {
            **NEW_PHOTO,
            "classes": chosen,
            "split": _SPLIT_NAMES.get(int(self._dataset.splits[row]), ""),
            "state": "done",
        }
        self._make(Target("photo", str(photo_id)), NEW_PHOTO, state)
        self._label_count += len(chosen)
        for place, shape in enumerate(self._list_shapes(row, photo_id, class_ids)):
            self._make(Target("shape", self._make_id(photo_id, place)), None, {**shape, "z": place})
            self._label_count += 1

    def _list_shapes(self, row: int, photo_id: int, class_ids: list[int]) -> list[State]:
        objects = self._dataset.objects
        if objects is None:
            return []
        size = self._connection.execute(sa.select(photos.c.width, photos.c.height).where(photos.c.id == photo_id)).one()
        shapes = []
        for index in range(int(objects.starts[row]), int(objects.starts[row + 1])):
            rings = [
                objects.points[objects.point_starts[ring] : objects.point_starts[ring + 1]].tolist()
                for ring in range(int(objects.ring_starts[index]), int(objects.ring_starts[index + 1]))
            ]
            mask = objects.masks[index]
            limits = (size.width, size.height, size.width, size.height)
            box = [float(np.clip(side, 0, most)) for side, most in zip(objects.boxes[index], limits, strict=True)]
            shapes.append(
                {
                    "box": box,
                    "class": class_ids[int(objects.class_ids[index])],
                    "flags": int(objects.flags[index]),
                    "kind": "mask" if mask else "polygon" if rings else "box",
                    "mask": mask,
                    "photo": photo_id,
                    "rings": [
                        [[float(np.clip(x, 0, size.width)), float(np.clip(y, 0, size.height))] for x, y in ring]
                        for ring in rings
                    ],
                    "source": "import",
                }
            )
        return shapes

    def _make(self, target: Target, before: State | None, after: State) -> Outcome:
        key = self._act.key if self._number == 0 else f"{self._act.key}:{self._number}"
        self._number += 1
        return apply_edit(self._connection, Edit(key, target, before, after), self._act)

    def _make_id(self, photo_id: int, place: int) -> str:
        """Return the same id for the same import, so that one that is sent twice is made once."""
        digits = compute_digest(f"{self._act.key} {photo_id} {place}".encode())
        return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def get_task(dataset: Dataset) -> str:
    """Return which task the labels of ``dataset`` are for."""
    return CLASSIFICATION if dataset.objects is None else DETECTION
