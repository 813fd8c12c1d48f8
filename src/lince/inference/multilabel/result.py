"""The result of a multilabel model for one image: all classes at or above their thresholds, or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.i18n import NARROW_SPACE, _
from lince.inference.whole_image_result import WholeImageResult
from lince.number_format import format_count, format_percent
from lince.postprocess import decide_classes

_MAX_WRITTEN_CLASSES = 5  # on a picture
_SEPARATOR = "|"  # between the classes in a cell of a table


@dataclass(frozen=True, repr=False)
class MultilabelResult(WholeImageResult):
    """The prediction for one image.

    Attributes:
        name: identifies the image.
        probabilities: of each class by itself, float32 (C,); they need not sum to 1.
        thresholds: the probability from which on an image is said to have a class, one for each.
        classes: of the model.
        truth: ids of the classes that the image has, ascending, where they are known; it may be none.
        path: file of the image, where it is in one.
        source: the image itself, where it is in no file.
        was_seen: whether the model has seen the image in training, where that was looked up.
    """

    task: ClassVar[str] = "multilabel"
    scores_say_all: ClassVar[bool] = False
    table_columns: ClassVar[tuple[str, ...]] = ("classes",)
    name: str
    probabilities: NDArray[np.float32]
    thresholds: tuple[float, ...]
    classes: Classes
    truth: tuple[int, ...] | None = None
    path: str | None = None
    source: Any = field(default=None, repr=False, compare=False)
    was_seen: bool | None = None

    @property
    def is_said(self) -> NDArray[np.bool_]:
        """Whether the image is said to have each class, bool (C,)."""
        return decide_classes(self.probabilities, self.thresholds)

    @property
    def predicted_class_ids(self) -> list[int]:
        """The ids of the classes that the image is said to have, the most probable first."""
        is_said = self.is_said
        return [class_id for class_id, _probability in self.rank_classes() if is_said[class_id]]

    @property
    def class_names(self) -> list[str]:
        """The names of the classes that the image is said to have, the most probable first."""
        return [self.classes.names[class_id] for class_id in self.predicted_class_ids]

    @property
    def truth_names(self) -> list[str] | None:
        """The names of the classes that the image has; ``None`` where they are unknown."""
        return None if self.truth is None else [self.classes.names[class_id] for class_id in self.truth]

    @property
    def is_correct(self) -> bool | None:
        """Whether exactly the true classes are said; ``None`` where they are unknown."""
        return None if self.truth is None else set(self.truth) == set(self.predicted_class_ids)

    @property
    def table_cells(self) -> list[str]:
        """The said classes in one cell, as ``cat|dog``."""
        return [join_class_names(self.class_names)]

    @property
    def truth_cell(self) -> str:
        """The true classes as ``cat|dog``; empty where they are unknown, and where there are none."""
        return join_class_names(self.truth_names or ())

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the result as a JSON object, with the ``top`` most probable classes (all by default)."""
        is_said = self.is_said
        record: dict[str, Any] = {"file": self.name, "said": self.class_names}
        record["classes"] = [
            {
                "name": self.classes.names[class_id],
                "probability": probability,
                "threshold": self.thresholds[class_id],
                "said": bool(is_said[class_id]),
            }
            for class_id, probability in self.rank_classes(top)
        ]
        if self.truth is not None:
            record |= {"truth": self.truth_names, "right": self.is_correct}
        if self.was_seen:
            record["seen"] = True
        return record

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``to_rows``."""
        return "file", "class", "probability", "threshold", "said"

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row per class, the most probable first."""
        rows = self.to_dict()["classes"]
        return [{"file": self.name, "class": row.pop("name"), **row} for row in rows]

    def describe(self) -> str:
        """Return the said classes with their probabilities, and the true ones where those are others."""
        text = describe_names(f"{name} {format_percent(probability)}" for name, probability in self._list_said())
        if self.is_correct is not False:
            return text
        return f"{text} · " + _("actual: {name}").format(name=describe_names(self.truth_names or ()))

    def list_said_lines(self) -> list[str]:
        """Return the said classes, each after its probability."""
        return list(self.list_written_lines(0))

    def list_true_lines(self) -> list[str]:
        """Return the true classes where they are others than the said ones, one in each line."""
        if self.is_correct is not False:
            return []
        first, *others = self.truth_names or [_("no class")]
        return [_("actual: {name}").format(name=first), *(f"+ {name}" for name in others)]

    def list_scores(self, most: int) -> list[tuple[str, float]]:
        """Return the most probable classes; a check mark is before those that the image is said to have."""
        is_said = self.is_said
        return [
            (f"✓ {self.classes.names[class_id]}" if is_said[class_id] else self.classes.names[class_id], probability)
            for class_id, probability in self.rank_classes(most)
        ]

    def list_written_lines(self, decimals: int) -> tuple[str, ...]:
        """Return a line for each of the said classes; the last one has the number of further ones, if there are any."""
        said = [  # the font of pictures has no narrow space
            f"{format_percent(probability, decimals).replace(NARROW_SPACE, ' ')} {name}"
            for name, probability in self._list_said()
        ]
        if len(said) > _MAX_WRITTEN_CLASSES:
            more = _("and {n} more").format(n=format_count(len(said) - _MAX_WRITTEN_CLASSES + 1))
            said = [*said[: _MAX_WRITTEN_CLASSES - 1], more]
        return tuple(said) or (_("no class"),)

    def _list_said(self) -> list[tuple[str, float]]:
        """Return name and probability of each said class, the most probable first."""
        return [(self.classes.names[row], float(self.probabilities[row])) for row in self.predicted_class_ids]


def describe_names(names: Iterable[str]) -> str:
    """Return ``names`` as a list for a person: "cat, dog", or that there is no class."""
    return ", ".join(names) or _("no class")


def join_class_names(names: Iterable[str]) -> str:
    r"""Return ``names`` in one cell, as ``cat|dog``; a bar or a backslash in a name follows a backslash."""
    return _SEPARATOR.join(name.replace("\\", "\\\\").replace(_SEPARATOR, f"\\{_SEPARATOR}") for name in names)
