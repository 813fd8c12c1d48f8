"""The exceptions that lince raises for errors of the user, the data or the environment.

    LinceError                  exit code 1
    ├── UsageError              exit code 2: an invalid option, name or value
    │   └── AmbiguousError      two readings of the input are possible; lince does not guess
    ├── DataError               the dataset cannot be used
    │   └── ImageError          an image cannot be read
    ├── WeightsError            a weight file is missing, truncated, or fits another network
    ├── ModelError              a model folder or its card cannot be used
    ├── TrainingError           a run cannot start, continue, or be resumed
    │   └── DivergedError       the loss or the gradients are not finite
    ├── MissingExtraError       an optional dependency is not installed
    └── FileInUseError          another program holds a file that is to be written; also a ``PermissionError``

Each has up to three sentences: the problem, what was expected, and the remedy. Errors in the program itself, such as
arrays of the wrong shape, are ``ValueError`` and the like.
"""

from __future__ import annotations

from lince.option_phrases import reword_for_python


class LinceError(Exception):
    """Base class of the errors whose message is meant for the user.

    ``problem`` says what is wrong, with the name or value that caused it; ``expected``, what would have been right;
    ``remedy``, what to do next. The last two may be empty. They name options as the command line does; ``str``, which
    Python shows, names the keywords instead. ``exit_code`` is that of the command line when such an error ends it.
    """

    exit_code = 1

    def __init__(self, problem: str, expected: str = "", remedy: str = "") -> None:
        super().__init__(problem, expected, remedy)
        self.problem = problem
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        return reword_for_python("\n".join(part for part in (self.problem, self.expected, self.remedy) if part))


class UsageError(LinceError):
    """An option that cannot be used: an unknown name, a value out of range, options that contradict each other."""

    exit_code = 2


class AmbiguousError(UsageError):
    """An input that can be read in two ways; the message names both and the option that decides."""


class DataError(LinceError):
    """A dataset that cannot be used as it is."""


class ImageError(DataError):
    """An image that cannot be read: missing, truncated, too large, or not an image."""


class WeightsError(LinceError):
    """A weight file that is missing, truncated, or belongs to another network."""


class ModelError(LinceError):
    """A model folder, model card or network file that cannot be used."""


class TrainingError(LinceError):
    """A training run that cannot start, continue, or be resumed."""


class DivergedError(TrainingError):
    """A training run whose loss or gradients are NaN or infinite."""


class FileInUseError(LinceError, PermissionError):
    """A file that cannot be written because another program has it open; those who expect an ``OSError`` get one."""


class MissingExtraError(LinceError):
    """An optional dependency that is not installed; ``remedy`` is the command that installs it."""
