"""Segmentation: the class of each pixel in every form of a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_segmenter

import lince
from lince import images
from lince.errors import DataError, ModelError
from lince.i18n import use_language
from lince.inference.segmentation.predictor import SegmentationPredictor
from lince.inference.segmentation.sliced_inference import SlicingSegmenter

RED, BLUE = ("red", 8, 16, 48, 48), ("blue", 64, 32, 96, 64)


@pytest.fixture
def model(awkward: Path) -> SegmentationPredictor:
    loaded = lince.load(tiny_segmenter.model_folder(awkward / "model"))
    assert isinstance(loaded, SegmentationPredictor)
    return loaded


def test_a_photo_has_the_classes_of_its_pixels(model: SegmentationPredictor) -> None:
    image = tiny_segmenter.photo(RED, BLUE, height=96, width=128)
    found = model.predict(image)
    assert found.class_map.shape == (96, 128)
    assert found.class_map[32, 28] == 1 + model.classes.index("red")
    assert found.class_map[48, 80] == 1 + model.classes.index("blue")
    assert found.class_map[5, 100] == 0
    counted = np.bincount(found.class_map.ravel(), minlength=4)
    assert list(found.areas.values()) == counted[1:].tolist()
    assert sum(found.shares.values()) + found.background_share == pytest.approx(1.0)
    red, blue = found.list_regions()
    assert (red.name, blue.name) == ("red", "blue")
    assert red.pixels == found.areas["red"]
    assert red.centre == pytest.approx((28, 32), abs=2)
    assert red.box == pytest.approx((8, 16, 48, 48), abs=4)
    assert 0.5 < red.confidence <= 1.0
    record = found.to_dict()
    assert [one["class"] for one in record["classes"]] == ["red", "blue"]
    assert len(found.to_dict(1)["classes"]) == 1
    assert list(found.to_rows()[0]) == list(found.columns)
    assert found.describe().startswith("red ")


def test_a_batch_of_photos_of_several_sizes_is_as_each_alone(model: SegmentationPredictor) -> None:
    photos = [
        tiny_segmenter.photo(RED, height=height, width=width, seed=height) for height, width in ((64, 96), (50, 70))
    ]
    both = model.predict_prepared([model.prepare(photo) for photo in photos], ["a", "b"])
    assert [one.name for one in both] == ["a", "b"]
    for photo, found in zip(photos, both, strict=True):
        np.testing.assert_array_equal(found.class_map, model.predict(photo).class_map)


def test_padding_is_no_part_of_a_photo(awkward: Path) -> None:
    model = lince.load(tiny_segmenter.model_folder(awkward / "model", resize="letterbox"))
    found = model.predict(tiny_segmenter.photo(("green", 0, 0, 160, 20), height=20, width=160))
    assert found.shares["green"] == 1.0
    assert found.list_regions()[0].confidence > 0.9


def test_the_picture_shows_areas_and_their_shares(model: SegmentationPredictor) -> None:
    image = tiny_segmenter.photo(RED, height=96, width=128)
    drawn = model.predict(image).draw(image)
    assert drawn.shape == image.shape
    assert not np.array_equal(drawn[32, 28], image[32, 28])
    np.testing.assert_array_equal(drawn[90, 120], image[90, 120])
    with pytest.raises(DataError, match="changed since"):
        model.predict(image).draw(image[:-1])


@pytest.mark.parametrize(("language", "words"), [("en", "background only"), ("es", "solo fondo"), ("pt", "só o fundo")])
def test_a_photo_without_any_class_is_told_so(model: SegmentationPredictor, language: str, words: str) -> None:
    found = model.predict(tiny_segmenter.photo())
    with use_language(language):
        assert found.describe() == words
    assert found.list_regions() == []
    assert [row["pixels"] for row in found.to_rows()] == [0, 0, 0]


def test_cards_that_do_not_fit_are_refused(awkward: Path) -> None:
    folder = tiny_segmenter.model_folder(awkward / "model")
    tiny_segmenter.card(("a", "b")).save(folder)
    with pytest.raises(ModelError, match="does not match"):
        lince.load(folder)
    tiny_segmenter.card(resize="crop").save(folder)
    with pytest.raises(ModelError, match="middle of a photo"):
        lince.load(folder)


def test_files_are_predicted_by_name(model: SegmentationPredictor, awkward: Path) -> None:
    folder = awkward / "fotos ñ"
    folder.mkdir()
    for name, box in (("a.png", RED), ("b.png", BLUE)):
        (folder / name).write_bytes(images.encode_png(tiny_segmenter.photo(box)))
    found = {one.name: one.describe() for one in model.predict_many(folder)}
    assert set(found) == {"a.png", "b.png"}
    assert found["a.png"].startswith("red")


def test_tiles_show_what_is_too_fine_for_the_whole_photo(model: SegmentationPredictor) -> None:
    sliced = SlicingSegmenter.from_predictor(model)
    image = tiny_segmenter.photo(("red", 300, 100, 312, 300), height=400, width=600)
    truth = image[:, :, 0] > 100
    is_red = 1 + model.classes.index("red")
    found, coarse = (one.predict(image).class_map == is_red for one in (sliced, model))
    ious = [(truth & mask).sum() / (truth | mask).sum() for mask in (found, coarse)]
    assert ious[0] > 0.6
    assert ious[0] > ious[1] + 0.1
    small = tiny_segmenter.photo(RED, height=48, width=64)
    np.testing.assert_array_equal(sliced.predict(small).class_map, model.predict(small).class_map)


@pytest.mark.parametrize("resize", ["squash", "letterbox", "corner"])
@pytest.mark.parametrize("size", [(400, 600), (30, 500), (70, 65), (500, 60)])
def test_seams_of_tiles_do_not_show(resize: str, size: tuple[int, int], awkward: Path) -> None:
    model = lince.load(tiny_segmenter.model_folder(awkward / "model", resize=resize))
    height, width = size
    image = tiny_segmenter.photo(("green", 0, 0, width // 2, height), height=height, width=width)
    found = SlicingSegmenter.from_predictor(model).predict(image)
    green = 1 + model.classes.index("green")
    margin = 12
    assert (found.class_map[:, : width // 2 - margin] == green).all()
    assert not found.class_map[:, width // 2 + margin :].any()
    assert found.list_regions()[0].confidence > 0.7
    many = list(SlicingSegmenter.from_predictor(model).predict_many([image] * 3))
    np.testing.assert_array_equal(many[2].class_map, found.class_map)
