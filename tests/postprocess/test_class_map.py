"""Class maps from probabilities: every pixel as by plain interpolation, in photos of any size and shape."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from lince.postprocess import class_map
from lince.preprocess import PreprocessSpec, compute_content_box, resize_to_input

_TIE = 1e-5  # values closer than this are equal in float32


def make_probabilities(channels: int, height: int, width: int, seed: int, sharpness: float = 4.0) -> class_map.Planes:
    rng = np.random.default_rng(seed)
    return class_map.compute_probabilities(rng.normal(0, sharpness, (1, channels, height, width)).astype(np.float32))[0]


def interpolate(probabilities: class_map.Planes, size: tuple[int, int], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return the probabilities (K, H, W) of a photo, pixel by pixel from the definition."""
    _channels, map_height, map_width = probabilities.shape
    top, left, bottom, right = compute_content_box(*size, spec)

    def locate(length: int, start: int, end: int, side: int, cells: int) -> list[tuple[int, int, float]]:
        centres = [(cell + 0.5) * side / cells for cell in range(cells)]
        used = [cell for cell, centre in enumerate(centres) if start <= centre <= end]
        used = used or [int((start + end) / 2 * cells / side)]
        places = []
        for pixel in range(length):
            place = (start + (pixel + 0.5) * (end - start) / length) * cells / side - 0.5
            place = min(max(place, used[0]), used[-1])
            lower = int(np.floor(place))
            places.append((lower, min(lower + 1, used[-1]), place - lower))
        return places

    rows = locate(size[0], top, bottom, spec.height, map_height)
    columns = locate(size[1], left, right, spec.width, map_width)
    result = np.empty((len(probabilities), *size))
    for y, (above, below, down) in enumerate(rows):
        for x, (left_cell, right_cell, across) in enumerate(columns):
            upper = probabilities[:, above, left_cell] * (1 - across) + probabilities[:, above, right_cell] * across
            lower = probabilities[:, below, left_cell] * (1 - across) + probabilities[:, below, right_cell] * across
            result[:, y, x] = upper * (1 - down) + lower * down
    return result


@pytest.mark.parametrize("resize", ["squash", "letterbox", "corner"])
@pytest.mark.parametrize(
    ("size", "map_size", "channels"),
    [
        ((40, 60), (8, 8), 3),
        ((61, 33), (8, 8), 5),
        ((5, 90), (8, 8), 4),
        ((100, 2), (16, 8), 2),
        ((7, 6), (16, 16), 4),  # smaller than the map
        ((32, 32), (8, 8), 3),
        ((1, 1), (8, 8), 3),
        ((50, 40), (1, 1), 3),
        ((50, 40), (1, 4), 3),
        ((64, 64), (16, 16), 40),
    ],
)
def test_every_pixel_is_as_by_plain_interpolation(
    resize: str, size: tuple[int, int], map_size: tuple[int, int], channels: int
) -> None:
    spec = PreprocessSpec(32, 32, resize)
    for seed in range(3):
        probabilities = make_probabilities(channels, *map_size, seed, sharpness=(0.2, 2.0, 9.0)[seed])
        expected = interpolate(probabilities, size, spec)
        found = class_map.compute_class_map(probabilities, size, spec)
        assert found.shape == size
        assert found.dtype == np.uint8
        ranked = np.sort(expected, axis=0)
        is_clear = ranked[-1] - ranked[-2] > _TIE
        assert is_clear.mean() > 0.9
        np.testing.assert_array_equal(found[is_clear], expected.argmax(axis=0)[is_clear])
        rows, columns = class_map.locate_pixels(map_size, size, spec)
        for channel in range(channels):
            plane = class_map.interpolate_plane(probabilities[channel], rows, columns)
            np.testing.assert_allclose(plane, expected[channel], atol=1e-6)


def test_of_equal_channels_the_lowest_is_chosen() -> None:
    probabilities = np.full((4, 6, 6), 0.25, np.float32)
    spec = PreprocessSpec(24, 24)
    assert not class_map.compute_class_map(probabilities, (50, 70), spec).any()
    probabilities[0] = 0.0
    assert (class_map.compute_class_map(probabilities, (50, 70), spec) == 1).all()


def test_padding_is_not_seen() -> None:
    spec = PreprocessSpec(32, 32, "letterbox")
    image = np.zeros((10, 40, 3), np.uint8)
    is_photo = (resize_to_input(image, spec) == 0).all(axis=2)
    top, left, bottom, right = compute_content_box(10, 40, spec)
    assert is_photo[top:bottom, left:right].all()
    assert is_photo.sum() == (bottom - top) * (right - left)
    cells = is_photo.reshape(8, 4, 8, 4).mean(axis=(1, 3))
    probabilities = np.stack([cells < 0.5, cells >= 0.5]).astype(np.float32)
    assert (class_map.compute_class_map(probabilities, (10, 40), spec) == 1).all()
    with pytest.raises(ValueError, match="cropped"):
        compute_content_box(10, 40, PreprocessSpec(32, 32, "crop"))


def test_a_photo_of_fifty_megapixels_needs_little_more_than_its_map() -> None:
    probabilities = make_probabilities(21, 14, 14, 1).repeat(4, axis=1).repeat(4, axis=2)
    tracemalloc.start()
    found = class_map.compute_class_map(probabilities, (6000, 8400), PreprocessSpec(224, 224))
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(np.unique(found)) == 21
    assert peak < found.nbytes + 60e6
