"""Shows a learning rate test in a notebook: what follows from it, and what was measured."""

from __future__ import annotations

from lince.evaluation.rate_test import RateSearch
from lince.evaluation.report.rate_page import describe_basis, describe_rate_test, list_rate_facts
from lince.evaluation.report.texts import TextTable, translate_recipe
from lince.i18n import _
from lince.notebook.shown_object import ShownObject


def render_rate_search(search: RateSearch) -> str:
    """Return ``search`` as HTML in the current language."""
    lines = []
    tables = []
    for test in search.tests:
        title = _("Recipe: {recipe}").format(recipe=translate_recipe(test.recipe))
        lines += [title, *describe_rate_test(test), describe_basis(test)]
        tables.append((title, TextTable((_("figure"), _("value")), tuple(list_rate_facts(test)))))
    return ShownObject(kind=_("Learning rate test"), name=search.source, lines=lines, tables=tables).render()
