"""Draws a contact sheet of training images as the network gets them, for the report of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.augmentation.mosaic import LabelledImage
from lince.i18n import _
from lince.inference import drawing
from lince.training.augmented_loader import AugmentedLoader

TRAINING_IMAGES, TILE_SIDE = 8, 320


def render_training_sheet(
    loader: AugmentedLoader[Any, Any], draw: Callable[[LabelledImage], NDArray[np.uint8]]
) -> bytes:
    """Return a JPEG of the first images of ``loader``, augmented and mixed; ``draw`` returns one with its labels."""
    examples = (loader.load_example(number) for number in range(TRAINING_IMAGES))
    cells = [drawing.SheetCell(draw(one), (_("training sample"),)) for one in examples if one is not None]
    return images.encode_jpeg(drawing.draw_contact_sheet(cells, 4, TILE_SIDE))
