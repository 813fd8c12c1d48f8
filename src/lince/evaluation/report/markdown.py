"""The report as Markdown: the same answer, figures and advice, for a terminal, a repository or a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lince import files
from lince.evaluation.figures import count, percent
from lince.evaluation.report import detected_words as told
from lince.evaluation.report import words
from lince.evaluation.report.detected import DetectionReport
from lince.evaluation.report.record import Report
from lince.messages import _

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MATRIX_MOST = 20  # classes; a wider table is not readable as text
_MISTAKES = 20
_LEFT_OUT = 50


def render_markdown(report: Report | DetectionReport) -> str:
    """Return ``report`` as Markdown in the language in force."""
    if isinstance(report, DetectionReport):
        texts = [_found(report), *(part(report) for part in (_diagnosis, _recipes, _history))]
        texts += [part(report) for part in (_tables, _worst, _data, _usage, _made)]
    else:
        parts = (_answer, _mistakes, _diagnosis, _recipes, _history, _classes, _confusion, _data, _made)
        texts = [part(report) for part in parts]
    return "\n\n".join(filter(None, texts)) + "\n"


def write_markdown(report: Report | DetectionReport, path: Path) -> None:
    """Write ``report`` to ``path`` as Markdown, whole or not at all."""
    files.write_text(Path(path), render_markdown(report))


def escaped(text: object) -> str:
    """Return ``text`` so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).splitlines()))


def table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Return a Markdown table whose first ``left`` columns stand to the left, the others to the right."""
    rule = [":--" if i < left else "--:" for i in range(len(header))]
    lines = [[escaped(cell) for cell in header], rule, *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _answer(report: Report) -> str:
    title = f"# {escaped(report.title)}"
    said = f"**{percent(report.metrics.accuracy.value)}** · {words.answer(report)} {words.promise(report)}"
    notes = [escaped(note) for note in report.notes]
    return "\n\n".join([title, said, table((_("figure"), _("value")), words.cards(report)), *notes])


def _found(report: DetectionReport) -> str:
    title = f"# {escaped(report.title)}"
    said = f"**mAP50 {percent(report.metrics.map50.value)}** · {told.answer(report)} {told.promise(report)}"
    notes = [escaped(note) for note in report.notes]
    return "\n\n".join([title, said, table((_("figure"), _("value")), told.cards(report)), *notes])


def _tables(report: DetectionReport) -> str:
    parts = []
    for title, shown in (
        (_("Class by class"), told.classes(report)),
        (_("By size"), told.sizes(report)),
        (_("What it gets wrong"), told.errors(report)),
        (_("Confusion matrix"), told.confusion(report)),
    ):
        parts.append("## " + title + "\n\n" + table(shown.header, shown.rows))
    return "\n\n".join(parts)


def _worst(report: DetectionReport) -> str:
    shown = told.worst(report)
    return "## " + _("The images with most errors") + "\n\n" + table(shown.header, shown.rows, 2) if shown.rows else ""


def _usage(report: DetectionReport) -> str:
    rows = "\n".join(f"- {escaped(purpose)}: `{command}`" for purpose, command in told.usage(report))
    return "## " + _("How to use it") + "\n\n" + rows


def _mistakes(report: Report) -> str:
    lines = ["## " + _("What it gets wrong"), escaped(words.mistakes(report))]
    if report.pictures.worst:
        header = (_("wrong, and sure of it"), _("true class"), _("answer"), _("probability"))
        rows = [(p.caption, p.truth, p.predicted, percent(p.probability)) for p in report.pictures.worst]
        lines.append(table(header, rows, left=3))
    return "\n\n".join(lines)


def _diagnosis(report: Report | DetectionReport) -> str:
    lines = ["## " + _("Diagnosis")]
    for finding in report.findings:
        lines.append(f"**{escaped(finding.title)}.** {escaped(finding.text)}")
        if finding.advice:
            lines.append("\n".join(f"- {escaped(advice)}" for advice in finding.advice))
    return "\n\n".join(lines)


def _recipes(report: Report | DetectionReport) -> str:
    if not report.recipes:
        return ""
    shown = words.recipes(report.recipes)
    return "## " + _("Recipes side by side") + "\n\n" + table(shown.header, shown.rows)


def _history(report: Report | DetectionReport) -> str:
    epochs = words.epochs(report.history)
    if len(epochs.rows) < 2:
        return ""
    return "## " + _("Learning curves") + "\n\n" + table(epochs.header, epochs.rows, left=0)


def _classes(report: Report) -> str:
    header = (_("class"), _("test images"), _("precision"), _("recall"), "F1")
    rows = []
    for score in report.metrics.scores:
        figures = [percent(item.value if item else None) for item in (score.precision, score.recall, score.f1)]
        rows.append((score.name, count(score.support), *figures))
    overall = table((_("figure"), _("value")), words.overall(report))
    return "\n\n".join(["## " + _("Class by class"), table(header, rows), overall])


def _confusion(report: Report) -> str:
    metrics = report.metrics
    title = "## " + _("Confusion matrix")
    if len(metrics.classes) > _MATRIX_MOST:
        header = (_("true class"), _("answer"), _("images"), _("of the class"))
        pairs = words.worst_pairs(report, _MISTAKES)
        return title + "\n\n" + table(header, [(p.truth, p.predicted, p.count, percent(p.rate)) for p in pairs], left=2)
    names = metrics.classes.names
    rows = [(name, *counts) for name, counts in zip(names, metrics.confusion.tolist(), strict=True)]
    said = _("Rows: the true class. Columns: the answer.") + " " + _("Figures: number of images.")
    return "\n\n".join([title, said, table((_("true class"), *names), rows)])


def _data(report: Report | DetectionReport) -> str:
    facts = words.data_facts(report.data, len(report.metrics.classes))
    lines = ["## " + _("Data"), table((_("fact"), _("value")), facts, left=2)]
    rejected = report.data.rejected
    if rejected:
        lines.append(_("Images left out: {n}").format(n=count(len(rejected))))
        lines.append("\n".join(f"- {escaped(item)}" for item in rejected[:_LEFT_OUT]))
    if len(rejected) > _LEFT_OUT:
        lines.append(_("{n} more stand in report.json.").format(n=count(len(rejected) - _LEFT_OUT)))
    return "\n\n".join(lines)


def _made(report: Report | DetectionReport) -> str:
    lines = ["## " + _("How it was made"), table((_("fact"), _("value")), words.model_facts(report.model), left=2)]
    if report.timings:
        lines.append(table((_("stage"), _("time")), words.timings(report.timings)))
    if report.config:
        lines.append(table((_("choice"), _("value")), words.plain(report.config), left=2))
    if report.environment:
        lines.append(table((_("machine and versions"), _("value")), words.plain(report.environment), left=2))
    return "\n\n".join(lines)
