"""The report as one page that opens offline in any browser: no script, no address to fetch anything from."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from lince import files, images
from lince.errors import DataError
from lince.evaluation import figures
from lince.evaluation.classification import ClassificationMetrics, ClassScore
from lince.evaluation.compare import Comparison
from lince.evaluation.compare_found import FoundComparison
from lince.evaluation.report import charts, detected_charts, detected_words, side_by_side, words
from lince.evaluation.report.detected import DetectionReport
from lince.evaluation.report.record import DataFacts, Report
from lince.messages import _, language

FEW_CLASSES = 12  # counts and rates fit into the cells of one matrix
MANY_CLASSES = 40  # beyond it the matrix is folded away and the worst mistakes stand for it
TABLE_ROWS = 20  # classes shown before the rest is folded away
_EDGE = 12  # the smallest and the largest classes shown when there are too many for a chart
_PIXEL_ART = 64  # pixels; smaller pictures are shown with their pixels, not blurred


def render_html(report: Report | DetectionReport) -> str:
    """Return ``report`` as one HTML page in the language in force."""
    return _detection(report) if isinstance(report, DetectionReport) else _classification(report)


def _detection(report: DetectionReport) -> str:
    metrics, counts = report.metrics, report.data.counts
    drawn = (charts.loss_curves(report.history), detected_charts.map_curves(report.history))
    return (
        environment()
        .get_template("detection.html.j2")
        .render(
            report=report,
            metrics=metrics,
            told=detected_words,
            recipes=words.recipes(report.recipes),
            curves=[chart for chart in drawn if chart],
            epochs=words.epochs(report.history),
            recall=detected_charts.precision_recall(metrics.scores),
            counts=charts.class_counts(metrics.classes.names[: 2 * _EDGE], counts, _("Boxes of each class")),
        )
    )


def _classification(report: Report) -> str:
    metrics = report.metrics
    name, share = metrics.commonest
    curves = (charts.loss_curves(report.history), charts.accuracy_curves(report.history))
    template = environment().get_template("report.html.j2")
    return template.render(
        report=report,
        metrics=metrics,
        headline=charts.headline(metrics.accuracy, share, _("always “{name}”").format(name=name)),
        curves=[chart for chart in curves if chart],
        epochs=words.epochs(report.history),
        recipes_from=_round_below(row.test.low for row in report.recipes if row.test),
        scores=sorted(metrics.scores, key=_weakest_first),
        track_from=_track_from(metrics),
        shown_rows=TABLE_ROWS,
        reliability=charts.reliability(metrics.calibration),
        matrix=_matrix(metrics),
        counts=charts.class_counts(_counted(report.data, metrics), report.data.counts),
        uncounted=max(len(metrics.classes) - 2 * _EDGE, 0) if len(metrics.classes) > MANY_CLASSES else 0,
    )


def write_html(report: Report | DetectionReport, path: Path) -> None:
    """Write ``report`` to ``path`` as one HTML page, whole or not at all."""
    files.write_text(Path(path), render_html(report))


def render_comparison(comparison: Comparison | FoundComparison) -> str:
    """Return ``comparison`` as one HTML page in the language in force."""
    template = environment().get_template("comparison.html.j2")
    shown = side_by_side.side_by_side(comparison)
    return template.render(
        comparison=comparison,
        shown=shown,
        changed=comparison.runs[1:] if isinstance(comparison, Comparison) else (),
        track_from=_round_below(bar.low for bar in shown.bars),
    )


@cache
def environment(*rooms: str) -> Environment:
    """Return what fills the templates of ``rooms`` (dotted names), and after them those that every page shares."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(room) for room in (*rooms, "lince.evaluation.report")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals.update(
        {"_": _, "language": language, "words": words, "embedded": embedded, "picture_size": picture_size}
    )
    made.globals.update({name: getattr(figures, name) for name in ("count", "decimal", "duration", "percent")})
    made.globals.update(percent_range=figures.percent_range, interval_bar=charts.interval_bar)
    return made


def embedded(image: bytes) -> str:
    """Return a JPEG or PNG as an address that holds the picture itself; raise ``DataError`` on anything else."""
    kind = images.kind(image)
    if kind not in ("jpeg", "png"):
        raise DataError(_("A picture of the report is neither JPEG nor PNG."))
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def picture_size(image: bytes) -> dict[str, Any]:
    """Return ``width``, ``height`` in pixels, and whether the picture is so small that it is shown with its pixels."""
    height, width = images.size(image)
    return {"width": width, "height": height, "tiny": max(width, height) <= _PIXEL_ART}


def _weakest_first(score: ClassScore) -> tuple[bool, float, str]:
    return (score.f1 is None, score.f1.value if score.f1 else 0.0, score.name)


def _track_from(metrics: ClassificationMetrics) -> float:
    return _round_below([score.f1.low for score in metrics.scores if score.f1] + [metrics.accuracy.low])


def _round_below(shares: Iterable[float]) -> float:
    """Begin a little scale at a round figure below everything drawn on it, so that differences show."""
    return max(0, floor(min(shares, default=0.0) * 10)) / 10


def _matrix(metrics: ClassificationMetrics) -> dict[str, Any]:
    """Return the confusion as rows of (count, rate, strength of its colour from 0 to 1) for the template."""
    rates = metrics.rates
    rows = [
        [(int(n), float(rate), _strength(float(rate))) for n, rate in zip(counts, shares, strict=True)]
        for counts, shares in zip(metrics.confusion, rates, strict=True)
    ]
    size = len(metrics.classes)
    return {
        "rows": rows,
        "names": metrics.classes.names,
        "support": [score.support for score in metrics.scores],
        "roomy": size <= FEW_CLASSES,
        "folded": size > MANY_CLASSES,
    }


def _strength(rate: float) -> float:
    return round(0.0 if rate == 0 else 0.08 + 0.82 * rate**0.7, 2)  # small rates must still be seen


def _counted(data: DataFacts, metrics: ClassificationMetrics) -> list[str]:
    """Return the classes for the chart of counts, the largest first; when there are many, the two ends."""
    names = list(metrics.classes.names)
    names.sort(key=lambda name: -sum(counts.get(name, 0) for counts in data.counts.values()))
    return names if len(names) <= MANY_CLASSES else names[:_EDGE] + names[-_EDGE:]
