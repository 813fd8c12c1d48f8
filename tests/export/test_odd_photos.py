"""Odd photos: the same result from file, bytes and pixels, for a classifier and a detector."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support import tiny_classifier, tiny_detector

import lince
from lince import images
from lince.errors import ImageError
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.classification.result import ClassificationResult
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.result import DetectionResult

Model = ClassificationPredictor | DetectionPredictor
Pixels = NDArray[np.uint8]
# A JPEG that is scaled while it is decoded is sampled otherwise than its pixels: by this much of a probability, a side.
SCALED_PROBABILITY, SCALED_SIDE = 0.02, 2.0


def scene(height: int, width: int) -> Pixels:
    """Return a grey image with one red square, fast to make at any size."""
    picture = np.full((height, width, 3), (110, 115, 110), np.uint8)
    picture[height // 4 : height // 4 + max(1, height // 8), width // 2 : width // 2 + max(1, width // 8)] = (250, 0, 0)
    return picture


def saved(picture: Image.Image, ending: str, **how: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, ending, **how)
    return stream.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(scene(90, 150)), "PNG", exif=exif)


def wide() -> bytes:
    ramp = np.linspace(0, 65535, 120 * 80).reshape(120, 80).astype(np.uint16)
    return saved(Image.fromarray(ramp), "PNG")


def clear() -> bytes:
    picture = np.dstack([scene(100, 80), np.full((100, 80), 255, np.uint8)])
    picture[50:, :, 3] = 0
    return saved(Image.fromarray(picture), "PNG")


def moving() -> bytes:
    frames = [Image.fromarray(scene(64, 64)[:, ::step]) for step in (1, -1)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


ODD: dict[str, Callable[[], bytes]] = {
    "1x1": lambda: images.encode_png(scene(1, 1)),
    "1x4000": lambda: images.encode_png(scene(1, 4000)),
    "4000x1": lambda: images.encode_png(scene(4000, 1)),
    "grey": lambda: saved(Image.fromarray(scene(100, 80)).convert("L"), "PNG"),
    "standard value range": lambda: saved(Image.fromarray(scene(100, 80)).convert("1"), "PNG"),
    "palette": lambda: saved(Image.fromarray(scene(100, 80)).convert("P"), "PNG"),
    "turned": turned,
    "cmyk": lambda: saved(Image.fromarray(scene(100, 80)).convert("CMYK"), "JPEG"),
    "16 bits": wide,
    "clear": clear,
    "moving": moving,
    "webp": lambda: saved(Image.fromarray(scene(100, 80)), "WEBP", lossless=True),
    "tiff": lambda: saved(Image.fromarray(scene(100, 80)), "TIFF"),
    "bmp": lambda: saved(Image.fromarray(scene(100, 80)), "BMP"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("modelos ñ")
    return {
        "classify": lince.load(tiny_classifier.model_folder(folder / "tiny")),
        "detect": lince.load(tiny_detector.model_folder(folder / "finder")),
    }


def require_alike(
    one: ClassificationResult | DetectionResult,
    other: ClassificationResult | DetectionResult,
    share: float = 1e-6,
    side: float = 1e-3,
) -> None:
    assert type(one) is type(other)
    if isinstance(one, ClassificationResult):
        np.testing.assert_allclose(one.label.probabilities, other.label.probabilities, atol=share)
        return
    assert one.size == other.size
    np.testing.assert_array_equal(one.detections.class_ids, other.detections.class_ids)
    np.testing.assert_allclose(one.detections.boxes, other.detections.boxes, atol=side)


@pytest.mark.parametrize("task", ["classify", "detect"])
@pytest.mark.parametrize("name", ODD)
def test_odd_photos_get_the_same_answer_wherever_they_come_from(
    models: dict[str, Model], awkward: Path, task: str, name: str
) -> None:
    model, data = models[task], ODD[name]()
    path = awkward / "foto ñ"
    path.write_bytes(data)
    expected = model.predict(path)
    pixels = images.decode_image(data)
    with Image.open(path) as picture:
        others = [model.predict(one) for one in (data, pixels, picture, io.BytesIO(data))]
    others += list(model.predict_many([data, pixels])) + list(model.predict_many(path))
    for other in others:
        require_alike(expected, other)
    assert expected.to_dict()
    if isinstance(expected, DetectionResult):
        assert expected.size == pixels.shape[:2]
        inside = np.tile(expected.size[::-1], 2)
        assert ((expected.detections.boxes >= 0) & (expected.detections.boxes <= inside)).all()
    if name in ("turned", "clear", "webp", "tiff", "bmp") and isinstance(expected, DetectionResult):
        assert len(expected.detections), "the red square is seen"


def test_a_rotated_photo_is_predicted_upright(models: dict[str, Model]) -> None:
    found = models["detect"].predict(turned())
    assert isinstance(found, DetectionResult)
    assert found.size == (150, 90)
    upright = np.ascontiguousarray(np.rot90(scene(90, 150), -1))
    require_alike(found, models["detect"].predict(upright))


@pytest.mark.parametrize("task", ["classify", "detect"])
def test_a_photo_of_48_megapixels(models: dict[str, Model], task: str) -> None:
    pixels = scene(6000, 8000)
    data = images.encode_jpeg(pixels)
    from_file, from_pixels = models[task].predict(data), models[task].predict(pixels)
    scale = 8000 / tiny_detector.SIZE if task == "detect" else 1.0
    require_alike(from_file, from_pixels, SCALED_PROBABILITY, SCALED_SIDE * scale)
    if isinstance(from_file, DetectionResult):
        assert from_file.size == (6000, 8000)
        assert len(from_file.detections)


@pytest.mark.parametrize("task", ["classify", "detect"])
def test_invalid_photos_are_refused(models: dict[str, Model], task: str) -> None:
    floating = saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    for data in (b"", b"text", floating, images.encode_png(scene(30, 30))[:100]):
        with pytest.raises(ImageError):
            models[task].predict(data)
