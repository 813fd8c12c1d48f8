"""The result of a classifier for one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from lince.annotations import Classes, Label
from lince.i18n import _, localise_number
from lince.inference import drawing
from lince.inference.image_loading import Image
from lince.inference.result import PredictionResult
from lince.number_format import format_percent

_PLOT_SIDE = 360  # pixels of the longer side of a drawn image
_MAX_NAMED_CLASSES = 3  # most probable classes that are written below it


@dataclass(frozen=True, repr=False)
class ClassificationResult(PredictionResult):
    """The prediction for one image.

    Attributes:
        name: identifies the image.
        label: predicted class and probabilities.
        classes: of the model.
        truth: true class id, where it is known.
        path: file of the image, where it is in one.
        source: the image itself, where it is in no file.
        was_seen: whether the model has seen the image in training, where that was looked up.
    """

    task: ClassVar[str] = "classify"
    name: str
    label: Label
    classes: Classes
    truth: int | None = None
    path: str | None = None
    source: Any = field(default=None, repr=False, compare=False)
    was_seen: bool | None = None

    @property
    def class_name(self) -> str:
        """The name of the predicted class."""
        return self.classes.names[self.label.class_id]

    @property
    def truth_name(self) -> str | None:
        """The name of the true class; ``None`` where it is unknown."""
        return None if self.truth is None else self.classes.names[self.truth]

    @property
    def is_correct(self) -> bool | None:
        """Whether the prediction is correct; ``None`` where the true class is unknown."""
        return None if self.truth is None else self.truth == self.label.class_id

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the result as a JSON object, with the ``top`` most probable classes (all by default)."""
        ranked = self.label.top_k(top or len(self.classes))
        record: dict[str, Any] = {"file": self.name, "class": self.class_name, "probability": self.label.score}
        record["classes"] = [
            {"name": self.classes.names[class_id], "probability": probability} for class_id, probability in ranked
        ]
        if self.truth is not None:
            record |= {"truth": self.truth_name, "right": self.is_correct}
        if self.was_seen:
            record["seen"] = True
        return record

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``to_rows``."""
        return "file", "class", "probability"

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row per class, the most probable first."""
        ranked = self.label.top_k(len(self.classes))
        return [
            {"file": self.name, "class": self.classes.names[class_id], "probability": probability}
            for class_id, probability in ranked
        ]

    def describe(self) -> str:
        """Return the predicted class with its probability, and the true class where it is another."""
        text = f"{self.class_name} {format_percent(self.label.score)}"
        return f"{text} · {_('actual: {truth}').format(truth=self.truth_name)}" if self.is_correct is False else text

    def draw_small(self, image: Image, side: int) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), at ``side`` pixels on its longer side."""
        return drawing.draw_shapes(image, (), image.shape[:2], side)

    def list_scores(self, most: int) -> list[tuple[str, float]]:
        """Return the most probable classes."""
        return [(self.classes.names[class_id], score) for class_id, score in self.label.top_k(most)]

    def draw(self, image: Image) -> Image:
        """Return ``image``, uint8 RGB (H, W, 3), scaled to 360 pixels, above its most probable classes."""
        ranked = self.label.top_k(_MAX_NAMED_CLASSES)
        lines = tuple(
            f"{localise_number(f'{probability:.1%}')} {self.classes.names[class_id]}"
            for class_id, probability in ranked
        )
        return drawing.draw_contact_sheet([drawing.SheetCell(image, lines, self.is_correct)], side=_PLOT_SIDE)
