"""The check as one page with the pictures, which opens offline in any browser."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio, images
from lince.checks import histograms
from lince.checks.check_run import CheckResult
from lince.checks.contact_sheet import draw_annotated_image
from lince.checks.finding import Example, Finding
from lince.checks.label_errors import WRONG_LABEL_CODE
from lince.errors import ImageError
from lince.evaluation.report.html import get_jinja_environment
from lince.i18n import _
from lince.progress import SILENT, Progress

MAX_IMAGES, MAX_LISTED = 8, 200  # pictures of a finding, and examples in words
MAX_LABEL_ERROR_IMAGES = 32  # pictures of labels in doubt: a person must look at each
IMAGE_SIDE = 320  # pixels of a picture's longer side


@dataclass(frozen=True)
class ReportExample:
    """One example as the page shows it: its picture (JPEG), and that of the photo beside it if there is one."""

    example: Example
    image: bytes
    other_image: bytes | None = None


def render_html(checkup: CheckResult, progress: Progress = SILENT) -> str:
    """Return ``checkup`` as one HTML page in the language in force."""
    with progress.open_stage(_("Drawing the pictures"), len(checkup.findings)) as stage:
        pictures = []
        for item in checkup.findings:
            pictures.append(_make_report_examples(checkup, item))
            stage.advance()
    return (
        get_jinja_environment("lince.checks")
        .get_template("check.html.j2")
        .render(
            checkup=checkup,
            dataset=checkup.dataset,
            findings=list(zip(checkup.findings, pictures, strict=True)),
            cards=_list_key_figures(checkup),
            charts=histograms.draw_charts(checkup.statistics),
            listed=MAX_LISTED,
            uncounted=max(len(checkup.dataset.classes) - histograms.MAX_CLASSES, 0),
            made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        )
    )


def write_html(checkup: CheckResult, path: Path, progress: Progress = SILENT) -> None:
    """Write ``checkup`` to ``path`` as one HTML page, whole or not at all."""
    fileio.write_text(path, render_html(checkup, progress))


def _make_report_examples(checkup: CheckResult, item: Finding) -> list[ReportExample]:
    """Return the pictures of the first examples that have one and open."""
    shown: list[ReportExample] = []
    for example in _merge_by_image(item.examples[:MAX_LISTED]):
        if len(shown) == (MAX_LABEL_ERROR_IMAGES if item.code == WRONG_LABEL_CODE else MAX_IMAGES):
            break
        with suppress(ImageError):
            shown.append(_make_report_example(checkup, example))
    return shown


def _merge_by_image(examples: Sequence[Example]) -> list[Example]:
    """Return one example for each photo, with all the objects that are meant on it."""
    found: dict[tuple[int, int | None], Example] = {}
    for example in examples:
        if example.row is not None:
            first = found.setdefault((example.row, example.other_row), example)
            objects = tuple(dict.fromkeys(first.objects + example.objects))
            found[example.row, example.other_row] = replace(first, objects=objects)
    return list(found.values())


def _make_report_example(checkup: CheckResult, example: Example) -> ReportExample:
    image = _encode_jpeg(draw_annotated_image(checkup.dataset, example.row or 0, example.objects or None, IMAGE_SIDE))
    if example.other_row is None:
        return ReportExample(example, image)
    beside = _encode_jpeg(draw_annotated_image(checkup.dataset, example.other_row, None, IMAGE_SIDE))
    return ReportExample(example, image, beside)


def _encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    return images.encode_jpeg(picture, 82)


def _list_key_figures(checkup: CheckResult) -> list[tuple[str, int]]:
    """Return the few figures that stand at the top: (name, figure)."""
    figures = checkup.statistics
    cards = [(_("photos"), figures.images), (_("classes"), len(checkup.dataset.classes))]
    if figures.objects is not None:
        cards.append((_("objects"), figures.objects))
    return [*cards, (_("left out"), len(checkup.dataset.rejected))]
