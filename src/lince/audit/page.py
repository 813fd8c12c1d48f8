"""The check as one page with the pictures, which opens offline in any browser."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import files, images
from lince.audit import charts
from lince.audit.checkup import Checkup
from lince.audit.finding import Example, Finding
from lince.audit.sheet import drawn
from lince.audit.suspects import WRONG_LABEL
from lince.errors import ImageError
from lince.evaluation.report.page import environment
from lince.messages import _
from lince.progress import SILENT, Progress

SHOWN, LISTED = 8, 200  # pictures of a finding, and examples in words
SUSPECTS = 32  # pictures of labels in doubt: a person must look at each
SIDE = 320  # pixels of a picture's longer side


@dataclass(frozen=True)
class Shown:
    """One example as the page shows it: its picture (JPEG), and that of the photo beside it if there is one."""

    example: Example
    image: bytes
    beside: bytes | None = None


def render(checkup: Checkup, progress: Progress = SILENT) -> str:
    """Return ``checkup`` as one HTML page in the language in force."""
    with progress.stage(_("Drawing the pictures"), len(checkup.findings)) as stage:
        pictures = []
        for item in checkup.findings:
            pictures.append(_pictures(checkup, item))
            stage.advance()
    return (
        environment("lince.audit")
        .get_template("check.html.j2")
        .render(
            checkup=checkup,
            dataset=checkup.dataset,
            findings=list(zip(checkup.findings, pictures, strict=True)),
            cards=_cards(checkup),
            charts=charts.drawn(checkup.statistics),
            listed=LISTED,
            uncounted=max(len(checkup.dataset.classes) - charts.MOST_CLASSES, 0),
            made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        )
    )


def write(checkup: Checkup, path: Path, progress: Progress = SILENT) -> None:
    """Write ``checkup`` to ``path`` as one HTML page, whole or not at all."""
    files.write_text(path, render(checkup, progress))


def _pictures(checkup: Checkup, item: Finding) -> list[Shown]:
    """Return the pictures of the first examples that have one and open."""
    shown: list[Shown] = []
    for example in _by_photo(item.examples[:LISTED]):
        if len(shown) == (SUSPECTS if item.code == WRONG_LABEL else SHOWN):
            break
        with suppress(ImageError):
            shown.append(_picture(checkup, example))
    return shown


def _by_photo(examples: Sequence[Example]) -> list[Example]:
    """Return one example for each photo, with all the objects that are meant on it."""
    found: dict[tuple[int, int | None], Example] = {}
    for example in examples:
        if example.row is not None:
            first = found.setdefault((example.row, example.other), example)
            objects = tuple(dict.fromkeys(first.objects + example.objects))
            found[example.row, example.other] = replace(first, objects=objects)
    return list(found.values())


def _picture(checkup: Checkup, example: Example) -> Shown:
    image = _jpeg(drawn(checkup.dataset, example.row or 0, example.objects or None, SIDE))
    if example.other is None:
        return Shown(example, image)
    beside = _jpeg(drawn(checkup.dataset, example.other, None, SIDE))
    return Shown(example, image, beside)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    return images.encode_jpeg(picture, 82)


def _cards(checkup: Checkup) -> list[tuple[str, int]]:
    """Return the few figures that stand at the top: (name, figure)."""
    figures = checkup.statistics
    cards = [(_("photos"), figures.images), (_("classes"), len(checkup.dataset.classes))]
    if figures.objects is not None:
        cards.append((_("objects"), figures.objects))
    return [*cards, (_("left out"), len(checkup.dataset.rejected))]
