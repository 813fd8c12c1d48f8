"""Drawing: accents are written, marks differ in shape as well as colour, image sizes are kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lince import images
from lince.annotations import Classes, Detections
from lince.inference import drawing
from lince.inference.drawing import SheetCell


def photo(height: int = 60, width: int = 90) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(60, 90), (1, 400), (500, 3), (30, 30)])
def test_a_thumbnail_keeps_the_shape_and_never_grows(height, width):
    small = images.decode_image(drawing.encode_thumbnail(photo(height, width), 50))
    assert max(small.shape[:2]) == min(50, max(height, width))


def test_heat_colours_what_is_hot_and_leaves_the_rest():
    grey = np.full((40, 40, 3), 128, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[:2] = 1.0
    out = drawing.draw_heatmap(grey, heat).astype(int)
    assert np.abs(out[2:8] - 128).max() > 60
    assert np.abs(out[34:] - 128).max() < 12


def test_right_and_wrong_differ_in_shape():
    sheets = [
        drawing.draw_contact_sheet([SheetCell(photo(), ("rosa 98 %",), right)]).min(axis=2) < 160
        for right in (True, False)
    ]
    below = [sheet[195:212, 8:28] for sheet in sheets]
    assert (below[0] != below[1]).mean() > 0.05


def written(text: str) -> np.ndarray:
    picture = np.full((30, 60, 3), 255, np.uint8)
    drawing.draw_text(picture, text, 5, 20)
    return picture


def test_every_accent_has_a_glyph_of_its_own():
    pictures = {letter: written(letter).tobytes() for letter in "?aáeéiíoóuúnñcçãõü¿…"}
    assert len(set(pictures.values())) == len(pictures)
    assert min(written("a").min(), written("ç").min()) < 120


def test_long_names_are_cut_and_the_sheet_has_room_for_all():
    cells = [SheetCell(photo(), ("x" * 200, "y"), None)] * 7
    sheet = drawing.draw_contact_sheet(cells, columns=3)
    assert sheet.shape[1] == 3 * 190 + 10
    assert sheet.shape[0] > 3 * 190


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        drawing.draw_contact_sheet([])


def test_letters_written_by_many_threads_are_those_of_one():
    def one(number: int) -> bytes:
        picture = np.full((20 + number % 40, 200, 3), 90, np.uint8)
        drawing.draw_text(picture, f"clase ñ {number % 40} 9{number % 10}%", 2, 18)
        found = Detections(np.array([[5.0, 5, 150, 18]]), np.zeros(1, np.int32), np.ones(1, np.float32))
        return drawing.draw_detections(picture, found, Classes(("casco",))).tobytes()

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(one, range(1200)))
    alone = [one(number) for number in range(40)]
    assert [number for number, picture in enumerate(together) if picture != alone[number % 40]] == []
