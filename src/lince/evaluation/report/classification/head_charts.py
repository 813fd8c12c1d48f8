"""Curves of a head that was fitted on frozen features: by the size of the training set, and by its penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log10
from typing import Any

from markupsafe import Markup

from lince.evaluation.report import charts, svg
from lince.evaluation.report.charts import ChartSeries
from lince.i18n import _, localise_number
from lince.number_format import format_count, format_decimal, format_percent

_LEFT, _RIGHT = 52, charts.WIDTH - 12


@dataclass(frozen=True)
class HeadSizePoint:
    """A head fitted on ``images`` of the training images, with its figures in 0..1 on these and on validation."""

    images: int
    train: float
    val: float


@dataclass(frozen=True)
class HeadCurves:
    """How a head on frozen features was fitted.

    Attributes:
        sizes: heads fitted on growing parts of the training images, the last on all of them; empty where there are no
            validation images.
        val_count: number of validation images.
        penalty_losses: by L2 penalty, the log loss in nats on held-out training images, the mean over ``folds`` folds;
            empty where no penalty was searched.
        penalty: the penalty of the lowest loss; ``None`` where each class has its own.
        folds: number of folds.
        figure: what the sizes measure, ``accuracy`` or ``map`` (mean average precision).
    """

    sizes: tuple[HeadSizePoint, ...] = ()
    val_count: int = 0
    penalty_losses: Mapping[float, float] = field(default_factory=dict)
    penalty: float | None = None
    folds: int = 0
    figure: str = "accuracy"

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as a JSON object."""
        return {
            "figure": self.figure,
            "sizes": [
                {"images": point.images, f"train_{self.figure}": point.train, f"val_{self.figure}": point.val}
                for point in self.sizes
            ],
            "val_images": self.val_count,
            "penalties": [{"penalty": key, "log_loss": loss} for key, loss in self.penalty_losses.items()],
            "penalty": self.penalty,
            "folds": self.folds,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> HeadCurves:
        """Return the curves of a JSON object that ``to_dict`` made."""
        figure = record.get("figure", "accuracy")
        return cls(
            tuple(
                HeadSizePoint(point["images"], point[f"train_{figure}"], point[f"val_{figure}"])
                for point in record["sizes"]
            ),
            record["val_images"],
            {row["penalty"]: row["log_loss"] for row in record["penalties"]},
            record["penalty"],
            record["folds"],
            figure,
        )


def draw_head_charts(head: HeadCurves | None) -> list[tuple[Markup, str]]:
    """Return the charts of ``head``, each with the sentence that explains it; none where there is nothing to draw."""
    if head is None:
        return []
    drawn = []
    if len(head.sizes) > 1:
        text = _(
            "Heads fitted on parts of the training images with the same penalty, all measured on the same {n} "
            "validation images. Where the validation curve still rises at its right end, more photos should help."
        ).format(n=format_count(head.val_count))
        drawn.append((_draw_sizes(head), text))
    if len(head.penalty_losses) > 1:
        text = _(
            "How the strength of the L2 penalty was chosen: each was fitted {folds} times, and measured on the part of "
            "the training images that was held out. The lowest loss was taken."
        )
        if head.penalty is None:
            text = _(
                "How the strength of the L2 penalties was chosen: each was fitted {folds} times, and measured on the "
                "part of the training images that was held out. Drawn is the mean of the classes; each class took "
                "its own."
            )
        text = text.format(folds=format_count(head.folds))
        drawn.append((_draw_penalties(head), text))
    return drawn


def get_figure_title(figure: str) -> str:
    """Return the name of a ``figure`` of a head for an axis."""
    return _("Mean average precision") if figure == "map" else _("Accuracy")


def _draw_sizes(head: HeadCurves) -> Markup:
    """Return the figures on training and validation by the number of training images."""
    series = [
        ChartSeries(_("training"), "train", tuple((point.images, point.train) for point in head.sizes)),
        ChartSeries(_("validation"), "val", tuple((point.images, point.val) for point in head.sizes)),
    ]
    x_axis = svg.make_axis([0, *(point.images for point in head.sizes)], _LEFT, _RIGHT, count=5)
    names = (_("Training images"), get_figure_title(head.figure))
    return charts.draw_lines(series, x_axis, names, (lambda value: format_count(round(value)), format_percent))


def _draw_penalties(head: HeadCurves) -> Markup:
    """Return the held-out loss by the penalty, on a logarithmic axis, with the chosen one marked."""
    points = tuple((log10(penalty), loss) for penalty, loss in sorted(head.penalty_losses.items()))
    exponents = [x for x, _loss in points]
    x_axis = svg.ChartAxis(exponents[0] - 0.15, exponents[-1] + 0.15, _LEFT, _RIGHT, tuple(exponents))
    mark = None if head.penalty is None else (log10(head.penalty), _("chosen"))
    series = [ChartSeries(_("held-out training images"), "val", points)]
    names = (_("L2 penalty (logarithmic)"), _("Log loss (nats)"))
    return charts.draw_lines(series, x_axis, names, (_format_penalty, format_decimal), mark)


def _format_penalty(exponent: float) -> str:
    """Return a penalty given by its decimal logarithm, such as "3.2e-05"."""
    return localise_number(f"{10**exponent:.2g}")
