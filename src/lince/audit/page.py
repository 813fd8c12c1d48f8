"""The check as one page with the pictures, which opens offline in any browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import files, images
from lince.audit import charts
from lince.audit.checkup import Checkup
from lince.audit.finding import Example, Finding
from lince.audit.sheet import drawn
from lince.errors import ImageError
from lince.evaluation.report.page import environment
from lince.messages import _
from lince.progress import SILENT, Progress

SHOWN, LISTED = 8, 200  # pictures of a finding, and examples in words
SIDE = 320  # pixels of a picture's longer side


@dataclass(frozen=True)
class Shown:
    """One example as the page shows it: its picture (JPEG), and that of the photo beside it if there is one."""

    example: Example
    image: bytes
    beside: bytes | None = None
    beside_name: str = ""


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
    for example in item.examples[: 4 * SHOWN]:
        if len(shown) == SHOWN:
            break
        try:
            shown.extend(_picture(checkup, example))
        except ImageError:
            continue
    return shown


def _picture(checkup: Checkup, example: Example) -> Sequence[Shown]:
    if example.row is None:
        return ()
    image = _jpeg(drawn(checkup.dataset, example.row, example.objects or None, SIDE))
    if example.other is None:
        return (Shown(example, image),)
    beside = _jpeg(drawn(checkup.dataset, example.other, None, SIDE))
    return (Shown(example, image, beside, checkup.dataset.images.name(example.other)),)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    return images.encode_jpeg(picture, 82)


def _cards(checkup: Checkup) -> list[tuple[str, int]]:
    """Return the few figures that stand at the top: (name, figure)."""
    figures = checkup.statistics
    cards = [(_("photos"), figures.images), (_("classes"), len(checkup.dataset.classes))]
    if figures.objects is not None:
        cards.append((_("objects"), figures.objects))
    return [*cards, (_("left out"), len(checkup.dataset.rejected))]
