"""Every way lince says no, in one tree.

    LinceError                  exit code 1
    ├── UsageError              exit code 2: a choice that cannot be (option, name, range)
    │   └── AmbiguousError      two readings fit; lince refuses to guess
    ├── DataError               the dataset is not fit for use
    │   └── ImageError          one image cannot be read
    ├── WeightsError            a weight file is missing, cut off, or fits another network
    ├── ModelError              a model folder or its card cannot be used
    ├── TrainingError           a run cannot start, go on, or be resumed
    │   └── DivergedError       the loss or the gradients are no longer numbers
    └── MissingExtraError       a part of lince that is not installed

Each carries three sentences: what was found, what was expected, what to do next.
"""

from __future__ import annotations


class LinceError(Exception):
    """An error meant for a person: what was ``found``, what was ``expected``, and the ``remedy``."""

    exit_code = 1

    def __init__(self, problem: str, expected: str = "", remedy: str = "") -> None:
        super().__init__(problem, expected, remedy)
        self.problem = problem
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        return "\n".join(part for part in (self.problem, self.expected, self.remedy) if part)


class UsageError(LinceError):
    """A choice that cannot be: an unknown name, a value out of its range, options that contradict."""

    exit_code = 2


class AmbiguousError(UsageError):
    """Two readings fit the same input; the message names both and the option that decides."""


class DataError(LinceError):
    """The dataset as a whole cannot be used as it stands."""


class ImageError(DataError):
    """One image cannot be read: missing, cut off, too large, or not an image."""


class WeightsError(LinceError):
    """A weight file is missing, cut off, or belongs to another network."""


class ModelError(LinceError):
    """A model folder, its card or its network file cannot be used."""


class TrainingError(LinceError):
    """A run cannot start, go on, or be resumed."""


class DivergedError(TrainingError):
    """The loss or the gradients are no longer numbers."""


class MissingExtraError(LinceError):
    """A part of lince that is not installed; the remedy is the line to type."""
