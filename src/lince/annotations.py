"""The nouns that every room speaks: frozen, shape-checked, the same for truth and for prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.choices import one_of
from lince.errors import DataError
from lince.messages import _

UNLABELLED = -1


@dataclass(frozen=True)
class Classes:
    """Class names in the order of their ids, which never change within a dataset, a run or a model."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        doubled = sorted({name for name in self.names if self.names.count(name) > 1})
        if doubled:
            raise DataError(
                _("Class names stand twice: {names}.").format(names=", ".join(doubled)),
                _("Every class needs a name of its own."),
            )

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Return the id of the class called ``name``; raise ``UsageError`` with the known names otherwise."""
        return self.names.index(one_of("class", name, self.names))


@dataclass(frozen=True)
class Label:
    """One class for one image; ``probabilities`` (C,) float in [0, 1] is there on predictions only."""

    class_id: int
    probabilities: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if self.probabilities is not None and self.probabilities.ndim != 1:
            raise ValueError(f"probabilities must be (C,), not {self.probabilities.shape}")

    @classmethod
    def of(cls, probabilities: NDArray[Any]) -> Label:
        """Return the label of the most probable class of ``probabilities`` (C,)."""
        return cls(int(np.argmax(probabilities)), probabilities)

    @property
    def score(self) -> float:
        """The probability of the class; 1 for a label that a person gave."""
        return 1.0 if self.probabilities is None else float(self.probabilities[self.class_id])

    def top(self, count: int) -> list[tuple[int, float]]:
        """Return the ``count`` most probable (class id, probability), best first."""
        if self.probabilities is None:
            return [(self.class_id, 1.0)]
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(i), float(self.probabilities[i])) for i in order]


@dataclass(frozen=True)
class Rejected:
    """One image or label row that is not used: where it stands, why, and what to do about it."""

    path: str
    reason: str
    remedy: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.reason}" + (f" ({self.remedy})" if self.remedy else "")
