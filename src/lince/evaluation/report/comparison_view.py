"""A comparison of runs in words and tables, for the terminal, as Markdown and as a page."""

from __future__ import annotations

from dataclasses import dataclass

from lince.evaluation.classification.comparison import ClassifierComparison, ComparedClassifier
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.comparison import ComparedDetector, DetectorComparison
from lince.evaluation.report.classification.texts import TextTable
from lince.evaluation.report.markdown import escape_markdown, render_table
from lince.i18n import _
from lince.number_format import MISSING_VALUE, format_count, format_decimal, format_percent

_MINUS, _PLUS = "−", "+"


@dataclass(frozen=True)
class ComparisonView:
    """A comparison ready to be shown: a table of the runs, one of the classes with its title, and the verdicts.

    ``bars`` holds for each run the figure that is drawn beside it, which is called ``figure``.
    """

    runs: TextTable
    classes: TextTable
    classes_title: str
    outcomes: tuple[str, ...]
    metric_name: str
    intervals: tuple[ConfidenceInterval, ...]


def build_comparison_view(comparison: ClassifierComparison | DetectorComparison) -> ComparisonView:
    """Return ``comparison`` in words and tables in the language in force."""
    if isinstance(comparison, DetectorComparison):
        return ComparisonView(
            build_detector_table(comparison),
            build_detector_class_table(comparison),
            _("AP50 of each class"),
            tuple(describe_detector_outcomes(comparison)),
            "mAP50-95",
            tuple(run.metrics.map50_95 for run in comparison.runs),
        )
    return ComparisonView(
        build_classifier_table(comparison),
        build_recall_table(comparison),
        _("Recall of each class"),
        tuple(describe_outcomes(comparison)),
        _("accuracy"),
        tuple(run.metrics.accuracy for run in comparison.runs),
    )


def build_classifier_table(comparison: ClassifierComparison) -> TextTable:
    """Return one row per run: its accuracy, and how it differs from the first run."""
    header = (
        _("run"),
        _("accuracy"),
        _("95 % interval"),
        _("difference"),
        _("95 % interval"),
        _("now right"),
        _("no longer right"),
        _("p (McNemar)"),
        _("macro F1"),
    )
    return TextTable(header, tuple(_classifier_row(run) for run in comparison.runs))


def build_recall_table(comparison: ClassifierComparison) -> TextTable:
    """Return one row per class: its test images and its recall in each run."""
    header = (_("class"), _("test images"), *(run.name for run in comparison.runs))
    rows = []
    for i, name in enumerate(comparison.runs[0].metrics.classes.names):
        scores = [run.metrics.scores[i] for run in comparison.runs]
        recalls = [format_percent(score.recall.value if score.recall else None) for score in scores]
        rows.append((name, format_count(scores[0].support), *recalls))
    return TextTable(header, tuple(rows))


def describe_outcomes(comparison: ClassifierComparison) -> list[str]:
    """Return one sentence per run that says whether it is better than the first, or whether luck may explain it."""
    first = comparison.runs[0]
    said = []
    for run in comparison.runs[1:]:
        if run.difference is None:
            continue
        found = run.difference
        names = {
            "first": first.name,
            "other": run.name,
            "points": format_points(found.accuracy.value),
            "p": _format_p_comparison(found.p_value),
        }
        sentences = {
            "better": _("{other} is better than {first} by {points} points (p {p})."),
            "worse": _("{other} is worse than {first}: {points} points (p {p})."),
            "unclear": _("{other} and {first} cannot be told apart: {points} points may be luck (p {p})."),
        }
        said.append(sentences[found.outcome].format(**names))
    return said


def build_detector_table(comparison: DetectorComparison) -> TextTable:
    """Return one row per detector: its average precision, and how it differs from the first one in points."""
    interval, difference = _("95 % interval"), _("difference")
    header = (_("run"), "mAP50", interval, difference, interval, "mAP50-95", interval, difference, interval)
    return TextTable(header, tuple(_detector_row(run) for run in comparison.runs))


def build_detector_class_table(comparison: DetectorComparison) -> TextTable:
    """Return one row per class: its test boxes, its AP50 with each detector, and how it moved from the first one."""
    header = [_("class"), _("test boxes"), *(run.name for run in comparison.runs)]
    header += [_("difference: {name}").format(name=run.name) for run in comparison.runs[1:]]
    rows = []
    for i, name in enumerate(comparison.runs[0].metrics.classes.names):
        scores = [run.metrics.scores[i] for run in comparison.runs]
        values = [score.ap50.value if score.ap50 else None for score in scores]
        moved = [MISSING_VALUE if value is None else format_points(value - (values[0] or 0.0)) for value in values[1:]]
        rows.append((name, format_count(scores[0].support), *map(format_percent, values), *moved))
    return TextTable(tuple(header), tuple(rows))


def describe_detector_outcomes(comparison: DetectorComparison) -> list[str]:
    """Return one sentence per detector: does it find more than the first, less, or may luck explain it?"""
    sentences = {
        "better": _("{other} finds more than {first}: {points} points of mAP50-95 (from {low} to {high})."),
        "worse": _("{other} finds less than {first}: {points} points of mAP50-95 (from {low} to {high})."),
        "unclear": _(
            "No difference between {other} and {first} can be told from luck: {points} points of mAP50-95 "
            "(from {low} to {high})."
        ),
    }
    said = []
    for run in comparison.runs[1:]:
        if run.difference is not None:
            found = run.difference.map50_95
            names = {"first": comparison.runs[0].name, "other": run.name, "points": format_points(found.value)}
            bounds = {"low": format_points(found.low), "high": format_points(found.high)}
            said.append(sentences[run.difference.outcome].format(**names, **bounds))
    return said


def render_comparison_markdown(comparison: ClassifierComparison | DetectorComparison) -> str:
    """Return ``comparison`` as Markdown in the language in force."""
    shown = build_comparison_view(comparison)
    parts = [
        "# " + _("Runs side by side"),
        _("On the same {n} test images").format(n=format_count(comparison.count)) + ".",
        *map(escape_markdown, shown.outcomes),
        render_table(shown.runs.header, shown.runs.rows),
        "## " + shown.classes_title,
        render_table(shown.classes.header, shown.classes.rows),
    ]
    return "\n\n".join(parts) + "\n"


def format_points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return (_MINUS if difference < 0 else _PLUS) + format_decimal(abs(100 * difference), 1)


def _classifier_row(run: ComparedClassifier) -> tuple[str, ...]:
    accuracy, found = run.metrics.accuracy, run.difference
    own = (run.name, format_percent(accuracy.value), _format_bounds(accuracy))
    if found is None:
        return (*own, *[MISSING_VALUE] * 5, format_percent(run.metrics.macro.f1))
    changed = (format_count(len(found.newly_correct)), format_count(len(found.newly_wrong)))
    return (
        *own,
        format_points(found.accuracy.value),
        _format_points_range(found.accuracy),
        *changed,
        _format_p_value(found.p_value),
        format_percent(run.metrics.macro.f1),
    )


def _detector_row(run: ComparedDetector) -> tuple[str, ...]:
    found = run.difference
    row = [run.name]
    for figure, moved in (
        (run.metrics.map50, found and found.map50),
        (run.metrics.map50_95, found and found.map50_95),
    ):
        row += [format_percent(figure.value), _format_bounds(figure)]
        row += [format_points(moved.value), _format_points_range(moved)] if moved else [MISSING_VALUE, MISSING_VALUE]
    return tuple(row)


def _format_bounds(found: ConfidenceInterval) -> str:
    return f"{format_percent(found.low)} {MISSING_VALUE} {format_percent(found.high)}"


def _format_points_range(found: ConfidenceInterval) -> str:
    return f"{format_points(found.low)} … {format_points(found.high)}"


def _format_p_value(value: float) -> str:
    return "< " + format_decimal(0.001) if value < 0.001 else format_decimal(value)


def _format_p_comparison(value: float) -> str:
    said = _format_p_value(value)
    return said if said.startswith("<") else f"= {said}"
