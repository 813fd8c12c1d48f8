"""Files of instance segmentation in Ultralytics' layout: read, and equal to a plain computation by its rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.foreign_masks import CELLS, MAPS, SAID, SIZE, make_outputs, write_network

import lince
from lince import images, rle
from lince.annotations import Detections, StringColumn
from lince.errors import ModelError
from lince.inference.detection.sliced_inference import SlicingPredictor, TileDetections, merge_tiles
from lince.inference.instances.predictor import InstancesPredictor
from lince.inference.instances.result import InstancesResult


def compute_plainly(
    rows: NDArray[np.float32], maps: NDArray[np.float32], column: int, box: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return the mask of one object by pixel: the sigmoid of the sum, interpolated, above one half, in the box."""
    summed = sum(float(rows[0, 6 + k, column]) * maps[0, k].astype(np.float64) for k in range(MAPS))
    share = 1 / (1 + np.exp(-summed))
    scale = min(SIZE / size[0], SIZE / size[1])
    # The photo is resized to whole pixels, and whole pixels are added around it.
    pad_x, pad_y = (round((SIZE - round(scale * side)) / 2 - 0.1) for side in size[::-1])
    mask = np.zeros(size, bool)
    for y in range(size[0]):
        for x in range(size[1]):
            if not (box[0] <= x + 0.5 < box[2] and box[1] <= y + 0.5 < box[3]):
                continue
            u = np.clip((scale * (x + 0.5) + pad_x) * CELLS / SIZE - 0.5, 0, CELLS - 1)
            v = np.clip((scale * (y + 0.5) + pad_y) * CELLS / SIZE - 0.5, 0, CELLS - 1)
            i, j = min(int(u), CELLS - 2), min(int(v), CELLS - 2)
            a, b = u - i, v - j
            top = (1 - a) * share[j, i] + a * share[j, i + 1]
            bottom = (1 - a) * share[j + 1, i] + a * share[j + 1, i + 1]
            mask[y, x] = (1 - b) * top + b * bottom > 0.5
    return mask


@pytest.mark.parametrize("size", [(64, 64), (48, 96), (150, 100)])
@pytest.mark.parametrize("seed", range(3))
def test_masks_of_a_foreign_file_equal_a_plain_computation(tmp_path: Path, seed: int, size: tuple[int, int]) -> None:
    rows, maps = make_outputs(seed)
    model = lince.load(write_network(tmp_path / "yolo-seg.onnx", rows, maps, SAID))
    assert isinstance(model, InstancesPredictor)
    assert model.card.decoder == "ultralytics-prototypes"
    (found,) = model.detect([np.zeros((*size, 3), np.uint8)])
    assert found.class_ids.tolist() == [0, 1, 0]  # the duplicate and the low score are left out
    for row, column in enumerate((0, 14, 21)):
        ours = rle.decode(found.masks[row], *size)
        plain = compute_plainly(rows, maps, column, found.boxes[row], size)
        assert plain.any()
        assert (ours != plain).mean() <= 1e-3


def test_results_of_a_foreign_file_are_drawn_and_saved(tmp_path: Path) -> None:
    path = write_network(tmp_path / "yolo-seg.onnx", *make_outputs(1), SAID)
    photo = tmp_path / "niño.png"
    photo.write_bytes(images.encode_png(np.full((64, 80, 3), 90, np.uint8)))
    result = lince.load(path).predict(photo)
    assert isinstance(result, InstancesResult)
    record = result.to_dict()["objects"][0]
    mask = rle.decode(record["mask"]["counts"], *record["mask"]["size"])
    assert record["area"] == mask.sum() > 0
    assert record["share"] == pytest.approx(mask.mean(), abs=1e-6)
    pixels = np.full((64, 80, 3), 90, np.uint8)
    inside = rle.decode(result.detections.masks[0], 64, 80)
    assert (result.draw(pixels)[inside] != 90).any(axis=1).mean() > 0.9
    folder = lince.save_answers([result], tmp_path / "answers")
    cutouts = sorted((folder / "cutouts" / "gato").glob("*.png"))
    assert len(cutouts) == 2


def test_the_number_of_names_must_fit_the_rows(tmp_path: Path) -> None:
    rows, maps = make_outputs(0)
    said = {**SAID, "names": "{0: 'a', 1: 'b', 2: 'c'}"}
    with pytest.raises(ModelError, match="output0 1x38x84, output1 1x32x16x16"):
        lince.load(write_network(tmp_path / "x.onnx", rows, maps, said))


def test_slicing_places_masks_of_tiles_and_joins_the_parts_of_one(tmp_path: Path) -> None:
    model = lince.load(write_network(tmp_path / "yolo-seg.onnx", *make_outputs(1), SAID))
    sliced = SlicingPredictor.from_predictor(model)
    assert isinstance(sliced, InstancesPredictor)
    result = sliced.predict(np.zeros((100, 140, 3), np.uint8))
    assert isinstance(result, InstancesResult)
    assert len(result.detections) > len(model.predict(np.zeros((64, 64, 3), np.uint8)).detections)
    for box, text in zip(result.detections.boxes, result.detections.masks, strict=True):
        left, top, right, bottom = rle.compute_bounding_box(rle.string_to_counts(text), 100)
        assert left >= box[0] - 1
        assert top >= box[1] - 1
        assert right <= box[2] + 1
        assert bottom <= box[3] + 1
    left_part, right_part = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    left_part[10:20, 10:34], right_part[12:22, 14:50] = True, True
    tiles = [
        TileDetections(
            Detections(
                np.array([box], np.float64),
                np.zeros(1, np.int32),
                np.array([score], np.float32),
                StringColumn.from_strings([rle.encode(mask)]),
            ),
            np.array(frame, np.float64),
        )
        for box, score, mask, frame in (
            ([10, 10, 34, 20], 0.9, left_part, [0, 0, 34, 40]),
            ([14, 12, 50, 22], 0.8, right_part, [14, 0, 60, 40]),
        )
    ]
    merged = merge_tiles(tiles, (40, 60))
    assert len(merged) == 1
    np.testing.assert_array_equal(rle.decode(merged.masks[0], 40, 60), left_part | right_part)
