"""Writes the result of a dataset check as one HTML page that works offline.

The template is ``templates/check.html.j2``; it extends the base template of the evaluation reports.
"""

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
from lince.checks.check_context import CheckFinding, FindingExample
from lince.checks.check_run import CheckResult
from lince.checks.contact_sheet import draw_annotated_image
from lince.checks.label_errors import WRONG_LABEL_CODE
from lince.checks.tag_errors import EXTRA_CLASS_CODE, MISSING_CLASS_CODE
from lince.errors import ImageError
from lince.evaluation.report.html import get_jinja_environment, make_numbering
from lince.i18n import _
from lince.progress import SILENT, Progress

MAX_IMAGES, MAX_LISTED = 8, 200  # examples of a finding that are drawn, and that are listed by name
_LABEL_ERROR_CODES = (WRONG_LABEL_CODE, MISSING_CLASS_CODE, EXTRA_CLASS_CODE)
MAX_LABEL_ERROR_IMAGES = 32  # drawn examples of suspected label errors; a person has to look at each
IMAGE_SIDE = 320  # pixels of the longer side of a drawn image


_JPEG_QUALITY = 82


@dataclass(frozen=True)
class ReportExample:
    """An example with its drawing as JPEG, and that of the image to compare with if there is one."""

    example: FindingExample
    image: bytes
    other_image: bytes | None = None


def render_html(result: CheckResult, progress: Progress = SILENT) -> str:
    """Return ``result`` as one HTML page, with all images inside it, in the current language.

    Each finding shows up to ``MAX_IMAGES`` of its images with their labels (``MAX_LABEL_ERROR_IMAGES`` for suspected
    label errors) and lists up to ``MAX_LISTED`` examples.
    """
    with progress.open_stage(_("Drawing the pictures"), len(result.findings)) as stage:
        report_examples = []
        for finding in result.findings:
            report_examples.append(_make_report_examples(result, finding))
            stage.advance()
    return (
        get_jinja_environment("lince.checks")
        .get_template("check.html.j2")
        .render(
            number=make_numbering(),
            checkup=result,
            dataset=result.dataset,
            findings=list(zip(result.findings, report_examples, strict=True)),
            cards=_list_key_figures(result),
            charts=histograms.draw_charts(result.statistics),
            listed=MAX_LISTED,
            # How many classes the chart leaves out.
            uncounted=max(len(result.dataset.classes) - histograms.MAX_CLASSES, 0),
            made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        )
    )


def write_html(result: CheckResult, path: Path, progress: Progress = SILENT) -> None:
    """Write the page of ``result`` to ``path``; an existing file is replaced only when the page is complete."""
    fileio.write_text(path, render_html(result, progress))


def _make_report_examples(result: CheckResult, finding: CheckFinding) -> list[ReportExample]:
    """Return the drawings of the first examples of a finding; those without a readable image are skipped."""
    report_examples: list[ReportExample] = []
    for example in _merge_by_image(finding.examples[:MAX_LISTED]):
        if len(report_examples) == (MAX_LABEL_ERROR_IMAGES if finding.code in _LABEL_ERROR_CODES else MAX_IMAGES):
            break
        with suppress(ImageError):
            report_examples.append(_make_report_example(result, example))
    return report_examples


def _merge_by_image(examples: Sequence[FindingExample]) -> list[FindingExample]:
    """Return one example for each image (or pair of images), with the objects of all its examples.

    The text is that of the first one; where no objects are concerned, those of all. Examples without a row are left
    out.
    """
    by_image: dict[tuple[int, int | None], FindingExample] = {}
    for example in examples:
        if example.row is not None:
            first = by_image.setdefault((example.row, example.other_row), example)
            objects = tuple(dict.fromkeys(first.objects + example.objects))
            texts = [first.text] if objects or example is first else [first.text, example.text]
            by_image[example.row, example.other_row] = replace(first, objects=objects, text="; ".join(texts))
    return list(by_image.values())


def _make_report_example(result: CheckResult, example: FindingExample) -> ReportExample:
    """Draw one example; its objects are highlighted. Raise ``ImageError`` when an image does not open."""
    image = _encode_jpeg(draw_annotated_image(result.dataset, example.row or 0, example.objects or None, IMAGE_SIDE))
    if example.other_row is None:
        return ReportExample(example, image)
    other_image = _encode_jpeg(draw_annotated_image(result.dataset, example.other_row, None, IMAGE_SIDE))
    return ReportExample(example, image, other_image)


def _encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    return images.encode_jpeg(image, _JPEG_QUALITY)


def _list_key_figures(result: CheckResult) -> list[tuple[str, int]]:
    """Return the counts at the top of the page as (label, count): images, classes, objects, rejected items."""
    figures = result.statistics
    cards = [(_("photos"), figures.images), (_("classes"), len(result.dataset.classes))]
    if figures.objects is not None:
        cards.append((_("objects"), figures.objects))
    return [*cards, (_("rejected"), len(result.usable.rejected))]
