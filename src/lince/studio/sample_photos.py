"""Photos to try the studio with: handwritten digits to give a class, and drawn fruit to put boxes around."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import RejectedItem, get_class_colour
from lince.datasets.builtin import load_digits_dataset
from lince.formats.lince_project import CLASSIFICATION, DETECTION
from lince.i18n import _
from lince.studio import photo_intake
from lince.studio.photo_intake import Intake
from lince.studio.store.edits import Act, Edit
from lince.studio.store.project import Project
from lince.studio.store.states import Target

_DIGIT_COUNT, _DIGIT_SIDE = 40, 160
_SCENE_COUNT, _SCENE_SIZE = 12, (360, 480)
_Image = NDArray[np.uint8]


class _Sample(NamedTuple):
    task: str
    class_names: tuple[str, ...]
    pictures: tuple[tuple[str, _Image], ...]


def add_sample(project: Project, task: str, act: Act) -> Intake:
    """Add unlabelled photos for ``task`` and the classes that they need; what is there already is not added again."""
    sample = _make_digits() if task == CLASSIFICATION else _make_shapes()
    with project.read() as connection:
        is_empty = not connection.exec_driver_sql("SELECT 1 FROM classes WHERE alive").first()
    added, known = 0, 0
    rejected: list[RejectedItem] = []
    for name, picture in sample.pictures:
        found = photo_intake.add_upload(project, name, images.encode_png(picture))
        added, known = added + found.added, known + found.known
        rejected += found.rejected
    if is_empty:
        project.apply_act(_make_classes(sample.class_names, act), act)
    if "task" not in project.read_meta():
        project.set_task(sample.task)
    return Intake(added, known, tuple(rejected))


def _make_classes(names: tuple[str, ...], act: Act) -> list[Edit]:
    edits = []
    for place, name in enumerate(names):
        colour = "#{:02x}{:02x}{:02x}".format(*get_class_colour(place))
        key = name if name in tuple("123456789") else str(place + 1) if not name.isdigit() else ""
        state = {"name": name, "colour": colour, "position": place, "key": key}
        edits.append(Edit(f"{act.key}:{place}" if place else act.key, Target("class", ""), None, state))
    return edits


def _make_digits() -> _Sample:
    dataset = load_digits_dataset()
    pictures = []
    for row in range(_DIGIT_COUNT):
        large = cv2.resize(dataset.images.read_image(row), (_DIGIT_SIDE, _DIGIT_SIDE), interpolation=cv2.INTER_CUBIC)
        pictures.append((f"{dataset.images.get_name(row)}.png", np.asarray(large, np.uint8)))
    return _Sample(CLASSIFICATION, tuple(map(str, range(10))), tuple(pictures))


def _make_shapes() -> _Sample:
    rng = np.random.default_rng(0)
    pictures = tuple((f"shapes-{number:02d}.png", _draw_scene(rng)) for number in range(1, _SCENE_COUNT + 1))
    return _Sample(DETECTION, (_("circle"), _("square"), _("triangle")), pictures)


def _draw_scene(rng: np.random.Generator) -> _Image:
    """Return a scene with three to six shapes that do not touch, one in each cell of a grid."""
    height, width = _SCENE_SIZE
    scene = np.full((height, width, 3), rng.integers(200, 245, 3), np.uint8)
    cells = rng.permutation([(column, row) for column in range(4) for row in range(3)])[: rng.integers(3, 7)]
    for column, row in cells:
        centre = np.array([column * 120 + 60, row * 120 + 60]) + rng.integers(-15, 16, 2)
        radius = int(rng.integers(20, 42))
        colour = tuple(int(value) for value in rng.integers(20, 170, 3))
        _draw_shape(scene, int(rng.integers(3)), centre, radius, colour)
    noise = rng.normal(0, 6, scene.shape)
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


def _draw_shape(scene: _Image, kind: int, centre: NDArray[np.int64], radius: int, colour: tuple[int, ...]) -> None:
    if kind == 0:
        cv2.circle(scene, (int(centre[0]), int(centre[1])), radius, colour, -1, cv2.LINE_AA)
        return
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1)) if kind == 1 else ((0, -1), (1, 1), (-1, 1))
    points = (centre + radius * np.array(corners)).astype(np.int32)
    cv2.fillPoly(scene, [points], colour, cv2.LINE_AA)
