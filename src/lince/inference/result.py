"""Base class of prediction results: plot on the image, save as JSON or image, convert to a pandas table."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from lince import fileio, images, outputs
from lince.annotations import RejectedItem
from lince.display import NotebookDisplay
from lince.errors import DataError, MissingExtraError, UsageError
from lince.i18n import _
from lince.inference import drawing, image_loading
from lince.inference.image_loading import Image
from lince.inference.sources import ImageInput

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R")
MAX_SHOWN = 12  # images of a list of results that a notebook shows


class PredictionResult(NotebookDisplay, ABC):
    """The prediction for one image.

    ``path`` is the image's file, ``None`` where there is none. ``source`` is the image itself where a single one was
    predicted that is no file; of many images, those that are no files are not kept, to bound memory.
    """

    html_renderer = "lince.notebook.result_html:render_result"
    task: ClassVar[str]
    scores_say_all: ClassVar[bool] = True  # whether ``list_scores`` tells all that ``describe`` does
    name: str
    path: str | None
    source: Any

    @abstractmethod
    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the prediction as a dict that ``json`` can write; ``top`` limits the classes where they are ranked."""

    @abstractmethod
    def draw(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``image``, uint8 RGB (H, W, 3), with the prediction drawn on it or written below it."""

    def describe(self) -> str:
        """Return the prediction as a short line, such as "daisy 91.2%"."""
        return "  ".join(f"{key} {value}" for key, value in self.to_dict().items() if key != "file")

    def draw_small(self, image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        """Return ``image``, uint8 RGB (H, W, 3), at ``side`` pixels on its longer side, with what was found on it."""
        return drawing.resize_to_side(self.draw(image), side)

    def list_scores(self, most: int) -> list[tuple[str, float]]:
        """Return the classes or the objects with the highest scores, in 0..1, ``most`` at most; none by default."""
        del most
        return []

    @property
    def is_correct(self) -> bool | None:
        """Whether the prediction is correct; ``None`` where that is not known."""
        return None

    def __repr__(self) -> str:
        return f"<{self.name}: {self.describe()}>"

    @abstractmethod
    def to_rows(self) -> list[dict[str, Any]]:
        """Return the prediction as table rows: dicts with the keys of ``columns``."""

    def plot(self, image: ImageInput | None = None) -> PillowImage:
        """Return the image with the prediction drawn on it, as a Pillow image.

        ``image`` is needed only where the result does not keep it (see the class). Raises ``UsageError``
        when it is missing and ``ImageError`` when it cannot be read.
        """
        candidates = (image, self.source, self.path)
        source = next((candidate for candidate in candidates if candidate is not None), None)
        if source is None:
            raise UsageError(
                _("The photo of this result is not in a file and was not kept."),
                _("Expected the photo:  answer.plot(photo)"),
            )
        return images.to_pillow(self.draw(image_loading.read_pixels(source)))

    def save(self, path: str | os.PathLike[str], image: ImageInput | None = None, *, overwrite: bool = False) -> Path:
        """Write the prediction to ``path`` and return it: ``.json`` as a record, ``.jpg`` or ``.png`` drawn.

        Raises ``UsageError`` for another suffix and for a file that may not be replaced (``save_record_or_image``), and
        what ``plot`` raises.
        """
        return save_record_or_image(path, self.to_dict, lambda: np.asarray(self.plot(image)), overwrite)

    def to_pandas(self) -> pd.DataFrame:
        """Return ``to_rows`` as a DataFrame; raise ``MissingExtraError`` when pandas is not installed.

        Without rows it still has the columns.
        """
        try:
            import pandas as pd  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                _("This needs {module}, which is not installed.").format(module="pandas"),
                "",
                _("Type: {line}").format(line="pip install pandas"),
            ) from error
        return pd.DataFrame(self.to_rows(), columns=list(self.columns))

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The column names of the table."""


class PredictionResults(NotebookDisplay, list[Any]):
    """The results of several images, in order: a list, with a ``RejectedItem`` for an image that could not be read."""

    html_renderer = "lince.notebook.result_html:render_results"

    def __repr__(self) -> str:
        left_out = sum(isinstance(outcome, RejectedItem) for outcome in self)
        return "<" + _("results: {count:,}; images that could not be read: {left_out:,}").format(
            count=len(self) - left_out, left_out=left_out
        ) + ">"  # fmt: skip


def require_results(outcomes: Sequence[R | RejectedItem]) -> list[R]:
    """Return the results among ``outcomes``, in order; raise ``DataError`` when all of them are rejected images."""
    results = [outcome for outcome in outcomes if not isinstance(outcome, RejectedItem)]
    if not results:
        raise DataError(
            _("No readable image among the files given ({count}).").format(count=len(outcomes)),
            _("Expected at least one photo."),
        )
    return results


def require_same_size(image: NDArray[np.uint8], name: str, size: tuple[int, int]) -> None:
    """Raise ``DataError`` when ``image`` (H, W, 3) is not of ``size`` (height, width), that of a prediction."""
    if image.shape[:2] != size:
        raise DataError(
            _("{path} has changed since the prediction.").format(path=name),
            _("Expected {height} x {width} pixels.").format(height=size[0], width=size[1]),
            _("Predict again."),
        )


def save_record_or_image(
    path: str | os.PathLike[str],
    build_record: Callable[[], dict[str, Any]],
    draw_image: Callable[[], Image],
    overwrite: bool = False,
) -> Path:
    """Write a result to ``path`` by its suffix, atomically, and return the path.

    ``.json`` writes ``build_record()``, ``.jpg``, ``.jpeg`` and ``.png`` write ``draw_image()``; only the one that is
    needed is called. Raises ``UsageError`` for another suffix, and for a file that lince did not write so, before
    either is called; ``overwrite`` replaces a ``.json`` file that was changed since, but no picture.
    """
    target = outputs.require_output_file(path, outputs.RESULT, overwrite=overwrite)
    suffix = target.suffix.lower()
    if suffix == ".json":
        fileio.write_json(target, build_record())
    else:
        fileio.write_bytes(target, images.encode_by_suffix(draw_image(), suffix))
    outputs.record_output(target, outputs.RESULT)
    return target
