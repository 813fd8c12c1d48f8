"""Sliced prediction: tiles cover the photo, their detections are merged, and small objects are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.tiny_detector import model_folder

import lince
from lince import images, preprocess
from lince.annotations import Detections, RejectedItem
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.result import DetectionResult
from lince.inference.detection.sliced_inference import SlicingPredictor, TileDetections, merge_tiles
from lince.inference.tiles import compute_tiles
from lince.preprocess import PreprocessSpec

sides = st.integers(1, 900)


@given(sides, sides, st.integers(8, 300), st.integers(8, 300), st.floats(0, 0.6))
def test_tiles_cover_every_pixel_and_overlap_as_asked(
    height: int, width: int, down: int, across: int, overlap: float
) -> None:
    frames = compute_tiles(height, width, (down, across), overlap).astype(int)
    if height <= down and width <= across:
        assert not len(frames)
        return
    seen = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in frames:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert (bottom - top, right - left) == (min(down, height), min(across, width))
        seen[top:bottom, left:right] = True
    assert seen.all()
    lefts = np.unique(frames[:, 0])
    assert (np.diff(lefts) <= across * (1 - overlap) + 1).all()


def _view(frame: list[float], *rows: tuple[list[float], int, float]) -> TileDetections:
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    ids, scores = np.array([row[1] for row in rows], np.int32), np.array([row[2] for row in rows], np.float32)
    return TileDetections(Detections(boxes, ids, scores), np.array(frame, np.float64))


SIZE = (100, 180)  # two adjacent tiles of 100 that share 20 columns
LEFT, RIGHT, WHOLE = [0.0, 0, 100, 100], [80.0, 0, 180, 100], [0.0, 0, 180, 100]
HALF, REST, OBJECT = [70.0, 10, 100, 30], [80.0, 10, 110, 30], [70.0, 10, 110, 30]


def _merged(*views: TileDetections) -> list[list[float]]:
    found: list[list[float]] = merge_tiles(views, SIZE).boxes.tolist()
    return found


def test_an_object_in_two_views_is_one_and_the_whole_one_stands_for_its_pieces() -> None:
    assert _merged(_view(LEFT, (HALF, 0, 0.9)), _view(RIGHT, (REST, 0, 0.8)), _view(WHOLE, (OBJECT, 0, 0.4))) == [
        OBJECT
    ]
    same = [85.0, 40, 95, 50]
    assert _merged(_view(LEFT, (same, 0, 0.5)), _view(RIGHT, (same, 0, 0.9))) == [same]


def test_pieces_that_no_view_shows_whole_are_put_together() -> None:
    assert _merged(_view(LEFT, (HALF, 0, 0.9)), _view(RIGHT, (REST, 0, 0.8))) == [OBJECT]


def test_other_classes_and_neighbours_in_one_view_stay_apart() -> None:
    near, inside = [10.0, 10, 30, 30], [12.0, 10, 32, 30]
    assert len(_merged(_view(LEFT, (near, 0, 0.9)), _view(RIGHT), _view(WHOLE, (near, 1, 0.8)))) == 2
    assert len(_merged(_view(LEFT, (near, 0, 0.9), (inside, 0, 0.8)))) == 2
    assert _merged(_view(LEFT), _view(RIGHT)) == []


def test_an_edge_of_the_photo_cuts_nothing() -> None:
    at_edge = [0.0, 0, 20, 20]
    found = merge_tiles([_view(LEFT, (at_edge, 0, 0.9)), _view(WHOLE, ([0.0, 0, 22, 22], 0, 0.5))], SIZE)
    assert found.boxes.tolist() == [at_edge]


def test_a_photo_no_larger_than_a_tile_is_answered_as_without(awkward: Path) -> None:
    model = lince.load(model_folder(awkward / "finder"))
    assert isinstance(model, DetectionPredictor)
    photo = np.full((48, 64, 3), 128, np.uint8)
    photo[8:16, 16:24] = (255, 0, 0)
    plain, sliced = model.detect([photo])[0], SlicingPredictor.from_predictor(model).detect([photo])[0]
    assert len(plain)
    np.testing.assert_array_equal(plain.boxes, sliced.boxes)
    np.testing.assert_array_equal(plain.scores, sliced.scores)


def test_every_prediction_method_uses_the_tiles(awkward: Path) -> None:
    plain = lince.load(model_folder(awkward / "finder"))
    assert isinstance(plain, DetectionPredictor)
    model = SlicingPredictor.from_predictor(plain)
    photo = np.full((300, 420, 3), 128, np.uint8)
    photo[200:208, 300:308] = (255, 0, 0)
    paths = [awkward / f"foto {number}.png" for number in range(12)]
    for path in paths:
        path.write_bytes(images.encode_png(photo))
    (found,) = model.detect([photo])
    assert len(found) != len(plain.detect([photo])[0])
    answers = [
        model.predict(paths[0]),
        *model.predict_prepared([model.prepare(paths[0])]),
        *model.predict_many(paths),
        *model.with_threads().predict_many(paths[0]),
    ]
    assert len(answers) == 15
    for answer in answers:
        assert isinstance(answer, DetectionResult)
        np.testing.assert_array_equal(answer.detections.boxes, found.boxes)
        assert answer.size == (300, 420)
    broken = awkward / "rota.png"
    broken.write_bytes(b"nothing")
    assert [isinstance(one, RejectedItem) for one in model.predict_many([paths[0], broken])] == [False, True]


def _canvas(model: DetectionPredictor, folder: Path) -> tuple[NDArray[np.uint8], Detections]:
    """Return a grey image of 4000 x 3000 with 24 small photos of one detected object each, and those objects."""
    canvas = np.full((3000, 4000, 3), 114, np.uint8)
    boxes: list[NDArray[np.float64]] = []
    class_ids: list[int] = []
    places = [(x, y) for y in range(130, 2800, 700) for x in range(90, 3700, 620)]
    for path in sorted(folder.rglob("*.jpg")):
        if len(boxes) == len(places):
            break
        photo = preprocess.resize_to_input(images.read_image(path), PreprocessSpec(208, 208, "letterbox"))
        (found,) = model.detect([photo])
        sure = found.scores > 0.6
        if len(found) == 1 and sure.all():
            x, y = places[len(boxes)]
            canvas[y : y + 208, x : x + 208] = photo
            boxes.append(found.boxes[0] + [x, y, x, y])
            class_ids.append(int(found.class_ids[0]))
    return canvas, Detections(np.array(boxes), np.array(class_ids, np.int32), np.ones(len(boxes), np.float32))


def _recalled(found: Detections, truth: Detections) -> tuple[float, int]:
    """Return the recall on ``truth``, and the largest number of detections of its class on one object."""
    low = np.maximum(found.boxes[:, None, :2], truth.boxes[None, :, :2])
    high = np.minimum(found.boxes[:, None, 2:], truth.boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(one.boxes[:, 2:] - one.boxes[:, :2], axis=1) for one in (found, truth)]
    same = found.class_ids[:, None] == truth.class_ids
    hits = same & (shared / (areas[0][:, None] + areas[1] - shared) >= 0.5)
    return float(hits.any(axis=0).mean()), int(hits.sum(axis=0).max(initial=0))


@pytest.mark.slow
def test_small_objects_of_a_large_photo_are_found_once(shared: Path) -> None:
    names = [f"class {number}" for number in range(80)]
    model = lince.load(shared / "weights" / "yolox_nano.onnx", names=names)
    assert isinstance(model, DetectionPredictor)
    canvas, truth = _canvas(model, shared / "data" / "pets" / "images")
    assert len(truth) == 24
    plain, _most = _recalled(model.detect([canvas])[0], truth)
    sliced, most = _recalled(SlicingPredictor.from_predictor(model).detect([canvas])[0], truth)
    assert sliced >= 0.8
    assert sliced >= plain + 0.3
    assert most == 1
