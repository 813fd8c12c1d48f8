"""The result of a classifier for one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, Label
from lince.i18n import NARROW_SPACE, _
from lince.inference.whole_image_result import WholeImageResult, format_probability
from lince.number_format import format_percent


@dataclass(frozen=True, repr=False)
class ClassificationResult(WholeImageResult):
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
    table_columns: ClassVar[tuple[str, ...]] = ("class", "probability")
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

    @property
    def probabilities(self) -> NDArray[Any]:
        """The probability of each class, float (C,)."""
        return np.empty(0, np.float32) if self.label.probabilities is None else self.label.probabilities

    @property
    def predicted_class_ids(self) -> list[int]:
        """The id of the predicted class."""
        return [self.label.class_id]

    @property
    def table_cells(self) -> list[str]:
        """The predicted class and its probability."""
        return [self.class_name, format_probability(self.label.score)]

    @property
    def truth_cell(self) -> str:
        """The true class; empty where it is unknown."""
        return self.truth_name or ""

    def list_said_lines(self) -> list[str]:
        """Return the predicted class after its probability."""
        return [f"{format_percent(self.label.score, 0).replace(NARROW_SPACE, ' ')} {self.class_name}"]

    def list_true_lines(self) -> list[str]:
        """Return the true class where it is another."""
        return [_("actual: {name}").format(name=self.truth_name)] if self.is_correct is False else []

    def describe(self) -> str:
        """Return the predicted class with its probability, and the true class where it is another."""
        text = f"{self.class_name} {format_percent(self.label.score)}"
        return " · ".join([text, *self.list_true_lines()])
