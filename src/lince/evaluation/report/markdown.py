"""Writes ``report.md`` and renders the sections that all tasks share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lince import fileio
from lince.evaluation.report import texts
from lince.evaluation.report.texts import NamedTexts
from lince.i18n import _
from lince.number_format import format_count

if TYPE_CHECKING:
    from lince.evaluation.report.report import Report

_SPECIAL_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MAX_REJECTED = 50  # rejected items that are listed


def render_markdown(report: Report) -> str:
    """Return ``report`` as Markdown in the current language."""
    return "\n\n".join(filter(None, report.list_markdown_sections())) + "\n"


def write_markdown(report: Report, path: Path) -> None:
    """Write ``report`` to ``path`` as Markdown, atomically."""
    fileio.write_text(Path(path), render_markdown(report))


def escape_markdown(text: object) -> str:
    """Return ``text`` on one line, with the characters escaped that have a meaning in Markdown."""
    return _SPECIAL_CHARACTERS.sub(r"\\\1", " ".join(str(text).splitlines()))


def render_table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Return a Markdown table; the first ``left`` columns are left-aligned, the others right-aligned."""
    rule = [":--" if i < left else "--:" for i in range(len(header))]
    lines = [
        [escape_markdown(cell) for cell in header],
        rule,
        *([escape_markdown(cell) for cell in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def render_header(report: Report, headline: str, sentences: str, figures: NamedTexts) -> str:
    """Return the top of the report: title, headline metric with ``sentences``, table of key figures, and notes.

    ``figures`` are (name, value).
    """
    title = f"# {escape_markdown(report.title)}"
    notes = [escape_markdown(note) for note in report.notes]
    table = render_table((_("metric"), _("value")), figures)
    return "\n\n".join([title, f"**{headline}** · {sentences}", table, *notes])


def list_common_sections(report: Report) -> list[str]:
    """Return the sections of a report whose task has none of its own: all metrics, and the shared sections."""
    title = f"# {escape_markdown(report.title)}"
    figures = [(name, str(value)) for name, value in report.metrics.to_dict().items()]
    sections = (render_diagnosis, render_recipes, render_history, render_data, render_model)
    return [title, render_table((_("metric"), _("value")), figures), *(section(report) for section in sections)]


def render_diagnosis(report: Report) -> str:
    """Return the section of the findings with their advice."""
    if not report.findings:
        return ""
    lines = ["## " + _("Diagnosis")]
    for finding in report.findings:
        lines.append(f"**{escape_markdown(finding.title)}.** {escape_markdown(finding.text)}")
        if finding.advice:
            lines.append("\n".join(f"- {escape_markdown(advice)}" for advice in finding.advice))
    return "\n\n".join(lines)


def render_recipes(report: Report) -> str:
    """Return the section that compares recipes; empty where only one was trained."""
    if not report.recipes:
        return ""
    table = texts.build_recipe_table(report.recipes)
    return "## " + _("Comparison of recipes") + "\n\n" + render_table(table.header, table.rows)


def render_history(report: Report) -> str:
    """Return the section with one table row per epoch; empty for fewer than two epochs."""
    table = texts.build_epoch_table(report.history)
    if len(table.rows) < 2:
        return ""
    return "## " + _("Learning curves") + "\n\n" + render_table(table.header, table.rows, left=0)


def render_data(report: Report) -> str:
    """Return the section of the data, with the images and labels that were left out.

    Up to ``_MAX_REJECTED`` of them are listed with their reasons.
    """
    facts = texts.list_data_facts(report.data, report.data.class_count)
    lines = ["## " + _("Data"), render_table((_("property"), _("value")), facts, left=2)]
    rejected = report.data.rejected
    if rejected:
        lines.append(_("Images skipped: {n}").format(n=format_count(len(rejected))))
        lines.append("\n".join(f"- {escape_markdown(item)}" for item in rejected[:_MAX_REJECTED]))
    if len(rejected) > _MAX_REJECTED:
        lines.append(_("{n} more are in report.json.").format(n=format_count(len(rejected) - _MAX_REJECTED)))
    return "\n\n".join(lines)


def render_usage(report: Report, prediction: str) -> str:
    """Return the section of the commands to use the model; ``prediction`` is what ``lince predict`` does."""
    rows = texts.list_next_commands(report.run, prediction)
    lines = (f"- {escape_markdown(purpose)}: `{command}`" for purpose, command in rows)
    return "## " + _("How to use it") + "\n\n" + "\n".join(lines)


def render_model(report: Report) -> str:
    """Return the section of the network, the timings, the options and the environment."""
    lines = [
        "## " + _("Training details"),
        render_table((_("property"), _("value")), texts.list_model_facts(report.model), left=2),
    ]
    if report.timings:
        lines.append(render_table((_("stage"), _("time")), texts.list_timings(report.timings)))
    if report.config:
        lines.append(render_table((_("setting"), _("value")), texts.flatten_settings(report.config), left=2))
    if report.environment:
        lines.append(
            render_table(
                (_("machine and versions"), _("value")),
                texts.flatten_settings(report.environment),
                left=2,
            )
        )
    return "\n\n".join(lines)
