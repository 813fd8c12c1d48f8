"""Base class of the results of models that judge whole images: ranked classes, tables, pictures and captions."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.i18n import NARROW_SPACE, localise_number
from lince.inference import drawing
from lince.inference.image_loading import Image
from lince.inference.result import PredictionResult

_PLOT_SIDE = 360  # pixels of the longer side of a drawn image
_MAX_NAMED_CLASSES = 3  # most probable classes that are written below it, or on a frame of a video


class WholeImageResult(PredictionResult):
    """The probability of each class for one image, and what follows from them.

    Attributes:
        table_columns: the columns of a table of images that hold the prediction; ``table_cells`` are theirs.
        classes: of the model.
        probabilities: of each class, float (C,).
        was_seen: whether the model has seen the image in training, where that was looked up.
    """

    table_columns: ClassVar[tuple[str, ...]]
    if TYPE_CHECKING:  # a field of some results, and a property of others

        @property
        def probabilities(self) -> NDArray[Any]:
            """The probability of each class, float (C,)."""

    classes: Classes
    was_seen: bool | None

    @property
    @abstractmethod
    def predicted_class_ids(self) -> list[int]:
        """The ids of the classes that the image is said to have, the most probable first."""

    @property
    @abstractmethod
    def table_cells(self) -> list[str]:
        """The values of ``table_columns``."""

    @property
    @abstractmethod
    def truth_cell(self) -> str:
        """What is true of the image, for a table; empty where it is unknown."""

    @abstractmethod
    def list_said_lines(self) -> list[str]:
        """Return the prediction in short lines; what matters most comes first, since a long line is cut at its end."""

    @abstractmethod
    def list_true_lines(self) -> list[str]:
        """Return what is true instead of the prediction in short lines; none where that is unknown or the same."""

    def rank_classes(self, most: int | None = None) -> list[tuple[int, float]]:
        """Return the ``most`` most probable classes (all by default) as (class id, probability), best first."""
        order = np.argsort(-self.probabilities, kind="stable")[:most]
        return [(int(class_id), float(self.probabilities[class_id])) for class_id in order]

    def list_scores(self, most: int) -> list[tuple[str, float]]:
        """Return the most probable classes."""
        return [(self.classes.names[class_id], score) for class_id, score in self.rank_classes(most)]

    def draw_small(self, image: Image, side: int) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), at ``side`` pixels on its longer side."""
        return drawing.draw_shapes(image, (), image.shape[:2], side)

    def draw(self, image: Image) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), scaled to 360 pixels, above its most probable classes."""
        lines = self.list_written_lines(1)
        return drawing.draw_contact_sheet([drawing.SheetCell(image, lines, self.is_correct)], side=_PLOT_SIDE)

    def draw_caption(self, image: Image) -> Image:
        """Return a copy of ``image``, uint8 RGB (H, W, 3), with its most probable classes in the corner."""
        return drawing.draw_caption(image, self.list_written_lines(0))

    def make_sheet_cell(self, image: Image) -> drawing.SheetCell:
        """Return the cell of a contact sheet: ``image``, the prediction, and the truth where it differs."""
        below = self.list_true_lines() or [PurePosixPath(self.name).name]
        return drawing.SheetCell(image, (*self.list_said_lines(), *below), self.is_correct)

    def list_written_lines(self, decimals: int) -> tuple[str, ...]:
        """Return the lines that are written on a picture: probability, with ``decimals``, and name of classes."""
        return tuple(
            f"{localise_number(f'{probability:.{decimals}%}').replace(NARROW_SPACE, ' ')} {name}"
            for name, probability in self.list_scores(_MAX_NAMED_CLASSES)
        )


def format_probability(value: float) -> str:
    """Return ``value`` with six significant digits, for a table."""
    return f"{value:.6g}"
