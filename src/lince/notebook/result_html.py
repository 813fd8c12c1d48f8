"""Shows predictions in a notebook: one with its picture and scores, or the first of many."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from lince.annotations import RejectedItem
from lince.errors import LinceError
from lince.i18n import _, translate_plural
from lince.inference import image_loading
from lince.inference.result import MAX_SHOWN, PredictionResult, PredictionResults
from lince.inference.similarity import SimilarityResult
from lince.notebook.picture import PICTURE_SIDE, SINGLE_SIDE, Picture, choose_side, make_picture
from lince.notebook.shown_object import Bar, ShownObject
from lince.number_format import format_decimal, format_percent
from lince.option_phrases import reword_for_python
from lince.storage.url import is_web_url

_MAX_SCORES, _MAX_REJECTED = 8, 5


def render_result(result: PredictionResult) -> str:
    """Return the result for one image as HTML."""
    picture = _draw_result(result, SINGLE_SIDE)
    bars: list[Bar] = [(name, format_percent(score), score) for name, score in result.list_scores(_MAX_SCORES)]
    return ShownObject(
        kind=_("Prediction"),
        name=result.name,
        lines=[] if bars and result.scores_say_all else [result.describe()],
        bars=[("", bars)] if bars else (),
        lead=picture,
        footer=[] if picture else [_("The photo of this result is not in a file and was not kept.")],
    ).render()


def render_results(results: PredictionResults) -> str:
    """Return the results for many images as HTML, the first with their pictures."""
    predicted: list[Any] = [outcome for outcome in results if not isinstance(outcome, RejectedItem)]
    rejected = [outcome for outcome in results if isinstance(outcome, RejectedItem)]
    pictures = [picture for result in predicted[:MAX_SHOWN] if (picture := _draw_result(result, PICTURE_SIDE))]
    lines = [translate_plural("{count:,} photo", "{count:,} photos", len(predicted)).format(count=len(predicted))]
    if len(predicted) > len(pictures):
        lines = [_("{count:,} photos; the first {shown:,} are shown").format(count=len(predicted), shown=len(pictures))]
    skipped = [_("Skipped: {what}").format(what=reword_for_python(str(item))) for item in rejected[:_MAX_REJECTED]]
    if len(rejected) > _MAX_REJECTED:
        skipped.append(_("and {n} more").format(n=len(rejected) - _MAX_REJECTED))
    return ShownObject(kind=_("Predictions"), lines=lines, galleries=[("", pictures)], footer=skipped).render()


def render_similar(result: SimilarityResult) -> str:
    """Return the photos most similar to a given one as HTML, with that one first."""
    shown = [(result.query.source, _("as requested"), result.query.name)]
    shown += [(match.path, format_decimal(match.similarity), match.name) for match in result.matches[: MAX_SHOWN - 1]]
    pictures = []
    for source, caption, name in shown:
        with suppress(LinceError, OSError):
            if not (isinstance(source, str) and is_web_url(source)):
                pictures.append(make_picture(image_loading.read_pixels(source), caption, name))
    lines = [_("photos compared: {count:,}").format(count=result.searched_count)]
    return ShownObject(kind=_("Similar photos"), lines=lines, galleries=[("", pictures)]).render()


def _draw_result(result: PredictionResult, side: int) -> Picture | None:
    """Return the image of ``result`` with what was found on it; ``None`` where it was not kept or is gone.

    Nothing is fetched from the network.
    """
    source = result.path if result.source is None else result.source
    if source is None or (isinstance(source, str) and is_web_url(source)):
        return None
    try:
        photo = image_loading.read_pixels(source)
        image = result.draw_small(photo, choose_side(photo, side))
    except (LinceError, OSError):
        return None
    if side > PICTURE_SIDE:
        return make_picture(image, side=side)
    mark = {True: "right", False: "wrong", None: ""}[result.is_correct]
    return make_picture(image, result.describe(), result.name, mark, side)
