"""What an answer about one photo can do by itself: be drawn, kept in a file, become a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as Picture

from lince import fileio, images
from lince.errors import MissingExtraError, UsageError
from lince.i18n import _
from lince.inference import batch_runner
from lince.inference.sources import ImageInput
from lince.validation import require_choice

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".json", ".jpg", ".jpeg", ".png")


class PredictionResult(ABC):
    """The answer about one photo, which lies at ``path`` or is ``source``; several photos in no file are not kept."""

    path: str | None
    source: Any

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return this as a plain record for JSON."""

    @abstractmethod
    def draw(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the photo ``image`` (H, W, 3), uint8 RGB, with the answer on it or below it."""

    @abstractmethod
    def to_rows(self) -> list[dict[str, Any]]:
        """Return the answer as the rows of a table."""

    def plot(self, photo: ImageInput | None = None) -> Picture:
        """Return the photo with the answer on it, as a picture of Pillow.

        ``photo`` is needed where it lay in no file and was one of many. Raises ``UsageError`` when it is missing and
        ``ImageError`` when it cannot be read.
        """
        given = next((one for one in (photo, self.source, self.path) if one is not None), None)
        if given is None:
            raise UsageError(
                _("The photo of this answer lies in no file and was not kept."),
                _("Expected the photo:  answer.plot(photo)"),
            )
        return images.to_pillow(self.draw(batch_runner.read_pixels(given)))

    def save(self, path: str | Path, photo: ImageInput | None = None) -> Path:
        """Write the answer to ``path`` and return it: as JSON, or drawn as a JPEG or PNG, as its ending says.

        Raises ``UsageError`` for another ending, and what ``plot`` raises.
        """
        target = Path(path)
        ending = require_choice("ending", target.suffix.lower(), _SUFFIXES)
        if ending == ".json":
            fileio.write_json(target, self.to_dict())
        else:
            encode = images.encode_png if ending == ".png" else images.encode_jpeg
            fileio.write_bytes(target, encode(np.asarray(self.plot(photo))))
        return target

    def to_pandas(self) -> pd.DataFrame:
        """Return the answer as a table; raise ``MissingExtraError`` when pandas is not installed."""
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
        """The names of the columns of the table."""
