"""The table of the classes of a model of whole images, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lince.evaluation.report.texts import TextTable
from lince.i18n import _
from lince.number_format import format_count, format_percent


def make_class_table(test: Mapping[str, Any], figures: Mapping[str, str], first: str) -> TextTable:
    """Return one row per class with its images and ``figures``, translated names by their keys in ``report.json``.

    The class with the lowest figure ``first`` comes first, those without it last.
    """
    scores = sorted(test["classes"], key=lambda score: 2.0 if score[first] is None else score[first])
    rows = [
        (score["name"], format_count(score["support"]), *(format_percent(score[key]) for key in figures))
        for score in scores
    ]
    return TextTable((_("class"), _("images"), *figures.values()), tuple(rows))
