"""A comparison of runs in words and tables, for the terminal, as Markdown and as a page."""

from __future__ import annotations

from dataclasses import dataclass

from lince.evaluation.compare import ComparedRun, Comparison
from lince.evaluation.compare_found import ComparedDetector, FoundComparison
from lince.evaluation.figures import MISSING, count, decimal, percent
from lince.evaluation.interval import Interval
from lince.evaluation.report.markdown import escaped, table
from lince.evaluation.report.words import Table
from lince.messages import _

_MINUS, _PLUS = "−", "+"


@dataclass(frozen=True)
class SideBySide:
    """A comparison ready to be shown: a table of the runs, one of the classes with its title, and the verdicts.

    ``bars`` holds for each run the figure that is drawn beside it, which is called ``figure``.
    """

    runs: Table
    classes: Table
    classes_title: str
    verdicts: tuple[str, ...]
    figure: str
    bars: tuple[Interval, ...]


def side_by_side(comparison: Comparison | FoundComparison) -> SideBySide:
    """Return ``comparison`` in words and tables in the language in force."""
    if isinstance(comparison, FoundComparison):
        return SideBySide(
            compared_detectors(comparison),
            found_classes(comparison),
            _("AP50 of each class"),
            tuple(found_verdicts(comparison)),
            "mAP50-95",
            tuple(run.metrics.map50_95 for run in comparison.runs),
        )
    return SideBySide(
        compared_runs(comparison),
        compared_classes(comparison),
        _("Recall of each class"),
        tuple(verdicts(comparison)),
        _("accuracy"),
        tuple(run.metrics.accuracy for run in comparison.runs),
    )


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


def compared_detectors(comparison: FoundComparison) -> Table:
    """Return one row per detector: its average precision, and how it differs from the first one in points."""
    interval, difference = _("95 % interval"), _("difference")
    header = (_("run"), "mAP50", interval, difference, interval, "mAP50-95", interval, difference, interval)
    return Table(header, tuple(_detector_row(run) for run in comparison.runs))


def found_classes(comparison: FoundComparison) -> Table:
    """Return one row per class: its test boxes, its AP50 with each detector, and how it moved from the first one."""
    header = [_("class"), _("test boxes"), *(run.name for run in comparison.runs)]
    header += [_("difference: {name}").format(name=run.name) for run in comparison.runs[1:]]
    rows = []
    for i, name in enumerate(comparison.runs[0].metrics.classes.names):
        scores = [run.metrics.scores[i] for run in comparison.runs]
        values = [score.ap50.value if score.ap50 else None for score in scores]
        moved = [MISSING if value is None else points(value - (values[0] or 0.0)) for value in values[1:]]
        rows.append((name, count(scores[0].support), *map(percent, values), *moved))
    return Table(tuple(header), tuple(rows))


def found_verdicts(comparison: FoundComparison) -> list[str]:
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
            names = {"first": comparison.runs[0].name, "other": run.name, "points": points(found.value)}
            bounds = {"low": points(found.low), "high": points(found.high)}
            said.append(sentences[run.difference.verdict].format(**names, **bounds))
    return said


def render_comparison_markdown(comparison: Comparison | FoundComparison) -> str:
    """Return ``comparison`` as Markdown in the language in force."""
    shown = side_by_side(comparison)
    parts = [
        "# " + _("Runs side by side"),
        _("On the same {n} test images").format(n=count(comparison.count)) + ".",
        *map(escaped, shown.verdicts),
        table(shown.runs.header, shown.runs.rows),
        "## " + shown.classes_title,
        table(shown.classes.header, shown.classes.rows),
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


def _detector_row(run: ComparedDetector) -> tuple[str, ...]:
    found = run.difference
    row = [run.name]
    for figure, moved in (
        (run.metrics.map50, found and found.map50),
        (run.metrics.map50_95, found and found.map50_95),
    ):
        row += [percent(figure.value), _bounds(figure)]
        row += [points(moved.value), _points_range(moved)] if moved else [MISSING, MISSING]
    return tuple(row)


def _bounds(found: Interval) -> str:
    return f"{percent(found.low)} {MISSING} {percent(found.high)}"


def _points_range(found: Interval) -> str:
    return f"{points(found.low)} … {points(found.high)}"


def _p(value: float) -> str:
    return "< " + decimal(0.001) if value < 0.001 else decimal(value)


def _compared(value: float) -> str:
    said = _p(value)
    return said if said.startswith("<") else f"= {said}"
