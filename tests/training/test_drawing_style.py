"""Drawing style: how training images were drawn is measured, and drawings that are made so again look like them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.plain_digits import HANDS, draw_digit

pytest.importorskip("torch")  # part of training, which needs it

from lince.annotations import Classes
from lince.datasets.builtin import load_digits_dataset
from lince.errors import ModelError
from lince.model_card import DrawingSpec, ModelCard
from lince.preprocess import PreprocessSpec
from lince.serving.digit_image import MNIST, render_digit
from lince.training.classification.drawing_style import measure_drawing_style, measure_drawings

SQUARE = replace(MNIST, width=24, height=32, box=(18.0, 24.0), stretch=True, centre="box", position=(12.0, 16.0))


def draw(spec: DrawingSpec) -> np.ndarray:
    """Return every digit in every hand (N, H, W), prepared by ``spec``."""
    drawings = (draw_digit(digit, hand) for hand in HANDS.values() for digit in range(10))
    return np.stack([render_digit([np.array(line) for line in lines], spec)[:, :, 0] for lines in drawings])


@pytest.mark.parametrize(
    "spec",
    [MNIST, replace(MNIST, pen=4.0, box=(16.0, 16.0)), replace(MNIST, paper=250, ink=20),
     replace(MNIST, width=40, position=(20.5, 14.5)),
     replace(MNIST, centre="box", position=(12.0, 15.0)), SQUARE, replace(SQUARE, ink_area=90.0)],
)  # fmt: skip
def test_the_way_in_which_images_were_drawn_is_found(spec: DrawingSpec) -> None:
    found = measure_drawing_style(draw(spec))
    assert found is not None
    for name in ("width", "height", "paper", "ink", "stretch", "centre"):
        assert getattr(found, name) == getattr(spec, name), name
    assert found.box == pytest.approx(spec.box, abs=1.1)
    assert found.position == pytest.approx(spec.position, abs=0.6)
    assert (found.ink_area is None) is (spec.ink_area is None)
    if spec.ink_area is None:
        assert found.pen == pytest.approx(spec.pen, rel=0.1)
    else:
        assert found.ink_area == pytest.approx(spec.ink_area, rel=0.05)


def test_the_built_in_digits_fill_their_square_with_as_much_ink_each() -> None:
    data = load_digits_dataset()
    found = measure_drawings(data, np.arange(len(data)), PreprocessSpec(16, 16, "squash", "grey", (0.0,), (255.0,)))
    assert found is not None
    assert (found.width, found.height, found.paper, found.ink) == (8, 8, 0, 255)
    assert found.box[1] == 8.0  # all of them touch both edges
    assert found.stretch
    pixels = np.stack([data.images.read_image(row)[:, :, 0] for row in range(len(data))])
    assert found.ink_area == pytest.approx(pixels.sum(axis=(1, 2)).mean() / 255, rel=0.05)


def test_colour_large_inputs_and_photos_have_no_way_of_drawing() -> None:
    data = load_digits_dataset()
    rows = np.arange(50)
    grey = {"channels": "grey", "mean": (0.0,), "std": (255.0,)}
    assert measure_drawings(data, rows, PreprocessSpec(16, 16)) is None
    assert measure_drawings(data, rows, PreprocessSpec(96, 96, **grey)) is None
    assert measure_drawings(data, rows[:0], PreprocessSpec(16, 16, **grey)) is None
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    assert measure_drawing_style(noise) is None
    assert measure_drawing_style(np.full((40, 28, 28), 90, np.uint8)) is None


def test_a_card_keeps_it_and_refuses_what_cannot_be_drawn(tmp_path: Path) -> None:
    spec = PreprocessSpec(28, 28, "squash", "grey", (0.0,), (255.0,))
    card = ModelCard("classify", Classes(("0", "1")), spec, "m", "none", "none")
    card.save(tmp_path)
    assert "drawing" not in card.to_dict()  # as cards of an earlier lince
    assert ModelCard.load(tmp_path) == card
    drawn = replace(card, drawing=replace(SQUARE, ink_area=90.0, slant=(0.1, 0.2)))
    drawn.save(tmp_path)
    assert ModelCard.load(tmp_path) == drawn
    path = tmp_path / "card.json"
    sound = path.read_text("utf-8")
    for old, new in (('"width": 24', '"width": 100000'), ('"centre": "box"', '"centre": "top"'),
                     ('"pen": 2.6', '"pen": NaN'), ('"paper": 0', '"paper": -1'),
                     ('"stretch": true,', "")):  # fmt: skip
        assert old in sound
        path.write_text(sound.replace(old, new), "utf-8")
        with pytest.raises(ModelError, match="is not a model card"):
            ModelCard.load(tmp_path)
