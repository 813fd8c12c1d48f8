"""The report as Markdown: the same answer, figures and advice, for a terminal, a repository or a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lince import fileio
from lince.evaluation.report.classification import texts as classification_texts
from lince.evaluation.report.classification.report import ClassificationReport
from lince.evaluation.report.detection import texts as told
from lince.evaluation.report.detection.report import DetectionReport
from lince.i18n import _
from lince.number_format import format_count, format_percent

_SPECIAL_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MAX_MATRIX_CLASSES = 20  # classes; a wider table is not readable as text
_MAX_MISTAKES = 20
_MAX_REJECTED = 50


def render_markdown(report: ClassificationReport | DetectionReport) -> str:
    """Return ``report`` as Markdown in the language in force."""
    if isinstance(report, DetectionReport):
        texts = [
            _detection_header(report),
            *(part(report) for part in (_diagnosis_section, _recipe_section, _history_section)),
        ]
        texts += [
            part(report)
            for part in (_detection_tables, _worst_image_section, _data_section, _usage_section, _model_section)
        ]
    else:
        parts = (
            _classification_header,
            _mistake_section,
            _diagnosis_section,
            _recipe_section,
            _history_section,
            _class_section,
            _confusion_section,
            _data_section,
            _model_section,
        )
        texts = [part(report) for part in parts]
    return "\n\n".join(filter(None, texts)) + "\n"


def write_markdown(report: ClassificationReport | DetectionReport, path: Path) -> None:
    """Write ``report`` to ``path`` as Markdown, whole or not at all."""
    fileio.write_text(Path(path), render_markdown(report))


def escape_markdown(text: object) -> str:
    """Return ``text`` so that Markdown shows it as it is, on one line."""
    return _SPECIAL_CHARACTERS.sub(r"\\\1", " ".join(str(text).splitlines()))


def render_table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Return a Markdown table whose first ``left`` columns stand to the left, the others to the right."""
    rule = [":--" if i < left else "--:" for i in range(len(header))]
    lines = [
        [escape_markdown(cell) for cell in header],
        rule,
        *([escape_markdown(cell) for cell in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _classification_header(report: ClassificationReport) -> str:
    title = f"# {escape_markdown(report.title)}"
    said = f"**{format_percent(report.metrics.accuracy.value)}** · {classification_texts.summarise_result(report)} {classification_texts.describe_expected_range(report)}"
    notes = [escape_markdown(note) for note in report.notes]
    return "\n\n".join(
        [title, said, render_table((_("figure"), _("value")), classification_texts.list_key_figures(report)), *notes]
    )


def _detection_header(report: DetectionReport) -> str:
    title = f"# {escape_markdown(report.title)}"
    said = f"**mAP50 {format_percent(report.metrics.map50.value)}** · {told.summarise_result(report)} {told.describe_expected_range(report)}"
    notes = [escape_markdown(note) for note in report.notes]
    return "\n\n".join([title, said, render_table((_("figure"), _("value")), told.list_key_figures(report)), *notes])


def _detection_tables(report: DetectionReport) -> str:
    parts = []
    for title, shown in (
        (_("Class by class"), told.build_class_table(report)),
        (_("By size"), told.build_size_table(report)),
        (_("What it gets wrong"), told.build_error_table(report)),
        (_("Confusion matrix"), told.build_confusion_table(report)),
    ):
        parts.append("## " + title + "\n\n" + render_table(shown.header, shown.rows))
    return "\n\n".join(parts)


def _worst_image_section(report: DetectionReport) -> str:
    shown = told.build_worst_image_table(report)
    return (
        "## " + _("The images with most errors") + "\n\n" + render_table(shown.header, shown.rows, 2)
        if shown.rows
        else ""
    )


def _usage_section(report: DetectionReport) -> str:
    rows = "\n".join(
        f"- {escape_markdown(purpose)}: `{command}`" for purpose, command in told.list_next_commands(report)
    )
    return "## " + _("How to use it") + "\n\n" + rows


def _mistake_section(report: ClassificationReport) -> str:
    lines = ["## " + _("What it gets wrong"), escape_markdown(classification_texts.describe_mistakes(report))]
    if report.images.worst:
        header = (_("wrong, and sure of it"), _("true class"), _("answer"), _("probability"))
        rows = [(p.caption, p.truth, p.predicted, format_percent(p.probability)) for p in report.images.worst]
        lines.append(render_table(header, rows, left=3))
    return "\n\n".join(lines)


def _diagnosis_section(report: ClassificationReport | DetectionReport) -> str:
    lines = ["## " + _("Diagnosis")]
    for finding in report.findings:
        lines.append(f"**{escape_markdown(finding.title)}.** {escape_markdown(finding.text)}")
        if finding.advice:
            lines.append("\n".join(f"- {escape_markdown(advice)}" for advice in finding.advice))
    return "\n\n".join(lines)


def _recipe_section(report: ClassificationReport | DetectionReport) -> str:
    if not report.recipes:
        return ""
    shown = classification_texts.build_recipe_table(report.recipes)
    return "## " + _("Recipes side by side") + "\n\n" + render_table(shown.header, shown.rows)


def _history_section(report: ClassificationReport | DetectionReport) -> str:
    epochs = classification_texts.build_epoch_table(report.history)
    if len(epochs.rows) < 2:
        return ""
    return "## " + _("Learning curves") + "\n\n" + render_table(epochs.header, epochs.rows, left=0)


def _class_section(report: ClassificationReport) -> str:
    header = (_("class"), _("test images"), _("precision"), _("recall"), "F1")
    rows = []
    for score in report.metrics.scores:
        figures = [format_percent(item.value if item else None) for item in (score.precision, score.recall, score.f1)]
        rows.append((score.name, format_count(score.support), *figures))
    overall = render_table((_("figure"), _("value")), classification_texts.list_overall_figures(report))
    return "\n\n".join(["## " + _("Class by class"), render_table(header, rows), overall])


def _confusion_section(report: ClassificationReport) -> str:
    metrics = report.metrics
    title = "## " + _("Confusion matrix")
    if len(metrics.classes) > _MAX_MATRIX_CLASSES:
        header = (_("true class"), _("answer"), _("images"), _("of the class"))
        pairs = classification_texts.list_worst_confusions(report, _MAX_MISTAKES)
        return (
            title
            + "\n\n"
            + render_table(header, [(p.truth, p.predicted, p.count, format_percent(p.rate)) for p in pairs], left=2)
        )
    names = metrics.classes.names
    rows = [(name, *counts) for name, counts in zip(names, metrics.confusion.tolist(), strict=True)]
    said = _("Rows: the true class. Columns: the answer.") + " " + _("Figures: number of images.")
    return "\n\n".join([title, said, render_table((_("true class"), *names), rows)])


def _data_section(report: ClassificationReport | DetectionReport) -> str:
    facts = classification_texts.list_data_facts(report.data, len(report.metrics.classes))
    lines = ["## " + _("Data"), render_table((_("fact"), _("value")), facts, left=2)]
    rejected = report.data.rejected
    if rejected:
        lines.append(_("Images left out: {n}").format(n=format_count(len(rejected))))
        lines.append("\n".join(f"- {escape_markdown(item)}" for item in rejected[:_MAX_REJECTED]))
    if len(rejected) > _MAX_REJECTED:
        lines.append(_("{n} more stand in report.json.").format(n=format_count(len(rejected) - _MAX_REJECTED)))
    return "\n\n".join(lines)


def _model_section(report: ClassificationReport | DetectionReport) -> str:
    lines = [
        "## " + _("How it was made"),
        render_table((_("fact"), _("value")), classification_texts.list_model_facts(report.model), left=2),
    ]
    if report.timings:
        lines.append(render_table((_("stage"), _("time")), classification_texts.list_timings(report.timings)))
    if report.config:
        lines.append(
            render_table((_("choice"), _("value")), classification_texts.flatten_settings(report.config), left=2)
        )
    if report.environment:
        lines.append(
            render_table(
                (_("machine and versions"), _("value")),
                classification_texts.flatten_settings(report.environment),
                left=2,
            )
        )
    return "\n\n".join(lines)
