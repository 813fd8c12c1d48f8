"""A comparison of runs in words and tables, for the terminal, as Markdown and as a page."""

from __future__ import annotations

from lince.evaluation.compare import ComparedRun, Comparison
from lince.evaluation.figures import MISSING, count, decimal, percent
from lince.evaluation.interval import Interval
from lince.evaluation.report.markdown import escaped, table
from lince.evaluation.report.words import Table
from lince.messages import _

_MINUS, _PLUS = "−", "+"


def compared_runs(comparison: Comparison) -> Table:
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
    return Table(header, tuple(_row(run) for run in comparison.runs))


def compared_classes(comparison: Comparison) -> Table:
    """Return one row per class: its test images and its recall in each run."""
    header = (_("class"), _("test images"), *(run.name for run in comparison.runs))
    rows = []
    for i, name in enumerate(comparison.runs[0].metrics.classes.names):
        scores = [run.metrics.scores[i] for run in comparison.runs]
        recalls = [percent(score.recall.value if score.recall else None) for score in scores]
        rows.append((name, count(scores[0].support), *recalls))
    return Table(header, tuple(rows))


def verdicts(comparison: Comparison) -> list[str]:
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
            "points": points(found.accuracy.value),
            "p": _compared(found.p_value),
        }
        sentences = {
            "better": _("{other} is better than {first} by {points} points (p {p})."),
            "worse": _("{other} is worse than {first}: {points} points (p {p})."),
            "unclear": _("{other} and {first} cannot be told apart: {points} points may be luck (p {p})."),
        }
        said.append(sentences[found.verdict].format(**names))
    return said


def render_comparison_markdown(comparison: Comparison) -> str:
    """Return ``comparison`` as Markdown in the language in force."""
    runs, classes = compared_runs(comparison), compared_classes(comparison)
    parts = [
        "# " + _("Runs side by side"),
        _("On the same {n} test images").format(n=count(comparison.count)) + ".",
        *map(escaped, verdicts(comparison)),
        table(runs.header, runs.rows),
        "## " + _("Recall of each class"),
        table(classes.header, classes.rows),
    ]
    return "\n\n".join(parts) + "\n"


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return (_MINUS if difference < 0 else _PLUS) + decimal(abs(100 * difference), 1)


def _row(run: ComparedRun) -> tuple[str, ...]:
    accuracy, found = run.metrics.accuracy, run.difference
    own = (run.name, percent(accuracy.value), _bounds(accuracy))
    if found is None:
        return (*own, *[MISSING] * 5, percent(run.metrics.macro.f1))
    changed = (count(len(found.gained)), count(len(found.lost)))
    return (
        *own,
        points(found.accuracy.value),
        _points_range(found.accuracy),
        *changed,
        _p(found.p_value),
        percent(run.metrics.macro.f1),
    )


def _bounds(found: Interval) -> str:
    return f"{percent(found.low)} {MISSING} {percent(found.high)}"


def _points_range(found: Interval) -> str:
    return f"{points(found.low)} … {points(found.high)}"


def _p(value: float) -> str:
    return "< " + decimal(0.001) if value < 0.001 else decimal(value)


def _compared(value: float) -> str:
    said = _p(value)
    return said if said.startswith("<") else f"= {said}"
