"""The report as one page that opens offline in any browser: no script, no address to fetch anything from."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from lince import fileio, images, number_format
from lince.errors import DataError
from lince.evaluation.classification.comparison import ClassifierComparison
from lince.evaluation.classification.metrics import ClassificationMetrics, ClassScore
from lince.evaluation.detection.comparison import DetectorComparison
from lince.evaluation.report import build_comparison_view
from lince.evaluation.report import charts as report_charts
from lince.evaluation.report.classification import texts as classification_texts
from lince.evaluation.report.classification.report import ClassificationReport, DataSummary
from lince.evaluation.report.detection import charts as detection_charts
from lince.evaluation.report.detection import texts as detection_texts
from lince.evaluation.report.detection.report import DetectionReport
from lince.i18n import _, get_language

MAX_DETAILED_MATRIX_CLASSES = 12  # counts and rates fit into the cells of one matrix
MAX_OPEN_MATRIX_CLASSES = 40  # beyond it the matrix is folded away and the worst mistakes stand for it
MAX_TABLE_ROWS = 20  # classes shown before the rest is folded away
_MAX_EDGE_CLASSES = 12  # the smallest and the largest classes shown when there are too many for a chart
_MAX_PIXELATED_SIDE = 64  # pixels; smaller pictures are shown with their pixels, not blurred


def render_html(report: ClassificationReport | DetectionReport) -> str:
    """Return ``report`` as one HTML page in the language in force."""
    return _render_detection(report) if isinstance(report, DetectionReport) else _render_classification(report)


def _render_detection(report: DetectionReport) -> str:
    metrics, counts = report.metrics, report.data.counts
    drawn = (report_charts.draw_loss_curves(report.history), detection_charts.draw_map_curves(report.history))
    return (
        get_jinja_environment()
        .get_template("detection.html.j2")
        .render(
            report=report,
            metrics=metrics,
            told=detection_texts,
            recipes=classification_texts.build_recipe_table(report.recipes),
            curves=[chart for chart in drawn if chart],
            epochs=classification_texts.build_epoch_table(report.history),
            recall=detection_charts.draw_precision_recall(metrics.scores),
            counts=report_charts.draw_class_counts(
                metrics.classes.names[: 2 * _MAX_EDGE_CLASSES], counts, _("Boxes of each class")
            ),
        )
    )


def _render_classification(report: ClassificationReport) -> str:
    metrics = report.metrics
    name, share = metrics.majority_class
    curves = (report_charts.draw_loss_curves(report.history), report_charts.draw_accuracy_curves(report.history))
    template = get_jinja_environment().get_template("report.html.j2")
    return template.render(
        report=report,
        metrics=metrics,
        headline=report_charts.draw_accuracy_bar(metrics.accuracy, share, _("always “{name}”").format(name=name)),
        curves=[chart for chart in curves if chart],
        epochs=classification_texts.build_epoch_table(report.history),
        recipes_from=_round_down(row.test.low for row in report.recipes if row.test),
        scores=sorted(metrics.scores, key=_weakest_first_key),
        track_from=_track_start(metrics),
        shown_rows=MAX_TABLE_ROWS,
        reliability=report_charts.draw_reliability_diagram(metrics.calibration),
        matrix=_build_matrix(metrics),
        counts=report_charts.draw_class_counts(_chart_class_names(report.data, metrics), report.data.counts),
        uncounted=max(len(metrics.classes) - 2 * _MAX_EDGE_CLASSES, 0)
        if len(metrics.classes) > MAX_OPEN_MATRIX_CLASSES
        else 0,
    )


def write_html(report: ClassificationReport | DetectionReport, path: Path) -> None:
    """Write ``report`` to ``path`` as one HTML page, whole or not at all."""
    fileio.write_text(Path(path), render_html(report))


def render_comparison_html(comparison: ClassifierComparison | DetectorComparison) -> str:
    """Return ``comparison`` as one HTML page in the language in force."""
    template = get_jinja_environment().get_template("comparison.html.j2")
    shown = build_comparison_view(comparison)
    return template.render(
        comparison=comparison,
        shown=shown,
        changed=comparison.runs[1:] if isinstance(comparison, ClassifierComparison) else (),
        track_from=_round_down(bar.low for bar in shown.intervals),
    )


@cache
def get_jinja_environment(*rooms: str) -> Environment:
    """Return what fills the templates of ``rooms`` (dotted names), and after them those that every page shares."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(room) for room in (*rooms, "lince.evaluation.report")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals.update(
        {
            "_": _,
            "language": get_language,
            "words": classification_texts,
            "encode_data_uri": encode_data_uri,
            "get_display_size": get_display_size,
        }
    )
    formatters = (
        number_format.format_count,
        number_format.format_decimal,
        number_format.format_duration,
        number_format.format_percent,
        report_charts.draw_interval_bar,
    )
    made.globals.update({function.__name__: function for function in formatters})
    return made


def encode_data_uri(image: bytes) -> str:
    """Return a JPEG or PNG as an address that holds the picture itself; raise ``DataError`` on anything else."""
    kind = images.detect_format(image)
    if kind not in ("jpeg", "png"):
        raise DataError(_("A picture of the report is neither JPEG nor PNG."))
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def get_display_size(image: bytes) -> dict[str, Any]:
    """Return ``width``, ``height`` in pixels, and whether the picture is so small that it is shown with its pixels."""
    height, width = images.read_size(image)
    return {"width": width, "height": height, "tiny": max(width, height) <= _MAX_PIXELATED_SIDE}


def _weakest_first_key(score: ClassScore) -> tuple[bool, float, str]:
    return (score.f1 is None, score.f1.value if score.f1 else 0.0, score.name)


def _track_start(metrics: ClassificationMetrics) -> float:
    return _round_down([score.f1.low for score in metrics.scores if score.f1] + [metrics.accuracy.low])


def _round_down(shares: Iterable[float]) -> float:
    """Begin a little scale at a round figure below everything drawn on it, so that differences show."""
    return max(0, floor(min(shares, default=0.0) * 10)) / 10


def _build_matrix(metrics: ClassificationMetrics) -> dict[str, Any]:
    """Return the confusion as rows of (count, rate, strength of its colour from 0 to 1) for the template."""
    rates = metrics.confusion_rates
    rows = [
        [(int(n), float(rate), _cell_opacity(float(rate))) for n, rate in zip(counts, shares, strict=True)]
        for counts, shares in zip(metrics.confusion, rates, strict=True)
    ]
    size = len(metrics.classes)
    return {
        "rows": rows,
        "names": metrics.classes.names,
        "support": [score.support for score in metrics.scores],
        "roomy": size <= MAX_DETAILED_MATRIX_CLASSES,
        "folded": size > MAX_OPEN_MATRIX_CLASSES,
    }


def _cell_opacity(rate: float) -> float:
    return round(0.0 if rate == 0 else 0.08 + 0.82 * rate**0.7, 2)  # small rates must still be seen


def _chart_class_names(data: DataSummary, metrics: ClassificationMetrics) -> list[str]:
    """Return the classes for the chart of counts, the largest first; when there are many, the two ends."""
    names = list(metrics.classes.names)
    names.sort(key=lambda name: -sum(counts.get(name, 0) for counts in data.counts.values()))
    return names if len(names) <= MAX_OPEN_MATRIX_CLASSES else names[:_MAX_EDGE_CLASSES] + names[-_MAX_EDGE_CLASSES:]
