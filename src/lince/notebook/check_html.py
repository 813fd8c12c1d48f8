"""Shows the result of a check in a notebook: its findings, with what to do and some pictures."""

from __future__ import annotations

from contextlib import suppress

from lince.checks import CheckFinding, CheckResult
from lince.checks.contact_sheet import draw_annotated_image
from lince.errors import ImageError
from lince.i18n import _
from lince.notebook.picture import MAX_PICTURES, PICTURE_SIDE, Picture, make_picture
from lince.notebook.shown_object import ShownObject
from lince.number_format import format_count

_MAX_FINDINGS, _PER_FINDING = 12, 4  # pictures of one finding; of two photos to compare, both count


def render_check(result: CheckResult) -> str:
    """Return ``result`` as HTML in the current language."""
    findings = result.findings[:_MAX_FINDINGS]
    pictures: list[list[Picture]] = []
    for finding in findings:
        left = MAX_PICTURES - sum(map(len, pictures))
        pictures.append(_draw_examples(result, finding, min(_PER_FINDING, left)))
    more = len(result.findings) - len(findings)
    facts = [
        (_("photos"), format_count(result.statistics.images)),
        (_("classes"), format_count(len(result.dataset.classes))),
    ]
    if result.statistics.objects is not None:
        facts.append((_("objects"), format_count(result.statistics.objects)))
    return ShownObject(
        kind=_("Check of {name}").format(name=result.dataset.root.name),
        lines=[result.summarise()],
        facts=facts,
        findings=findings,
        finding_pictures=pictures,
        footer=[_("and {n} more").format(n=format_count(more))] if more else (),
    ).render()


def _draw_examples(result: CheckResult, finding: CheckFinding, most: int) -> list[Picture]:
    """Return the pictures of the first examples of ``finding``, ``most`` at most; two side by side for pairs."""
    pictures: list[Picture] = []
    seen: set[int] = set()
    for example in finding.examples:
        if example.row is None or example.row in seen:
            continue
        if len(pictures) + (1 if example.other_row is None else 2) > most:
            break
        seen.add(example.row)
        with suppress(ImageError):
            image = draw_annotated_image(result.dataset, example.row, example.objects or None, PICTURE_SIDE)
            group = [make_picture(image, example.text, example.place)]
            if example.other_row is not None:
                other = draw_annotated_image(result.dataset, example.other_row, None, PICTURE_SIDE)
                group.append(make_picture(other, "", example.other_place))
            pictures += group
    return pictures
