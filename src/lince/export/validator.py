"""Validates an export: compares its outputs, quality and speed with those of its run, on images."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from lince.datasets import compute_content_keys
from lince.errors import ModelError
from lince.export import model_outputs
from lince.export.agreement import TOLERANCES, OutputAgreement, OutputTolerance
from lince.export.model_outputs import BATCH, EvaluationImages, ModelOutputs
from lince.i18n import _, localise_number
from lince.inference.predictor import Predictor
from lince.model_card import ModelCard
from lince.number_format import format_decimal
from lince.progress import SILENT, Progress
from lince.tasks import get_task

# The fields of a model card that determine how the network is used.
CARD_FIELDS = ("task", "classes", "preprocess", "decoder", "detection_filter", "thresholds")
# Between a run's model and its recorded predictions: another version of a library may have decoded the images.
TRAINED_TOLERANCE = OutputTolerance(1e-2, 1e-2, 1.0, 0.05, 0.1)
_UNLIMITED_TOLERANCE = OutputTolerance(1.0, 1.0, np.inf, 1.0, 1.0)


@dataclass(frozen=True)
class ValidationReport:
    """The measurements of an export; pairs are (run, export).

    Attributes:
        count: number of images.
        split: which images of the data they are.
        output_agreement: how far the outputs of the two models are apart.
        metric_name: name of the headline metric.
        quality: headline metric in 0..1; ``None`` where the images are not labelled.
        drop: lost percentage points of the headline metric, or of the agreement where there are no labels.
        file_sizes: in bytes.
        milliseconds: latency for one image.
        throughput: images per second in batches of eight.
        extra: further records for the model card.
    """

    count: int
    split: str
    output_agreement: OutputAgreement
    metric_name: str
    quality: tuple[float, float] | None
    drop: float
    file_sizes: tuple[int, int]
    milliseconds: tuple[float, float]
    throughput: tuple[float, float]
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as a JSON object, for the model card and for programs."""
        pairs = {
            "quality": self.quality,
            "bytes": self.file_sizes,
            "milliseconds": self.milliseconds,
            "images_per_second": self.throughput,
        }
        return {
            "checked": True,
            "count": self.count,
            "where": self.split,
            **self.output_agreement.to_dict(),
            "figure": self.metric_name,
            "drop": self.drop,
            **{name: None if pair is None else {"run": pair[0], "export": pair[1]} for name, pair in pairs.items()},
            **self.extra,
        }


@dataclass(frozen=True, eq=False)
class ExportValidator:
    """Compares exports with the model of their run.

    Attributes:
        reference: the run's model.
        images: images on which both are compared.
        recorded_predictions: predictions that the run recorded after training; ``None`` where there are none.
        max_drop: percentage points that an export may lose.
        progress: receiver of progress reports.
    """

    reference: Predictor
    images: EvaluationImages
    recorded_predictions: Any = None
    max_drop: float = 1.0
    progress: Progress = SILENT

    def validate(self, exported: Predictor, size: tuple[int, int]) -> ValidationReport:
        """Return the measurements of ``exported``; ``size`` are the bytes of (run, export).

        Raises ``ModelError`` when the cards do not match, when the outputs differ by more than the tolerance of the
        precision, or when more than ``max_drop`` is lost.
        """
        require_same_card(self.reference.card, exported.card)
        collect = get_task(exported.card.task).load_part("outputs")
        reference_outputs = collect(self.reference, self.images, progress=self.progress)
        self._require_recorded_outputs(reference_outputs)
        exported_outputs = collect(exported, self.images, progress=self.progress)
        tolerance = TOLERANCES[exported.card.precision]
        if self.reference.card.precision == "int8":  # without its rounding, the outputs are others on purpose
            tolerance = TOLERANCES["int8"]
        agreement = exported_outputs.compare_with(reference_outputs, tolerance or _UNLIMITED_TOLERANCE)
        if tolerance is not None and not agreement.is_within(tolerance):
            raise _outputs_differ_error(agreement, tolerance)
        quality = _pair_or_none(
            reference_outputs.compute_headline_metric(self.images),
            exported_outputs.compute_headline_metric(self.images),
        )
        drop = 100 * (1 - agreement.agreement if quality is None else quality[0] - quality[1])
        if not drop <= self.max_drop:
            is_told = exported.card.precision == "int8"  # before its layers were chosen
            coarse = "" if is_told else describe_coarse_validation(len(self.images), self.max_drop)
            raise _quality_loss_error(drop, self.max_drop, quality, len(self.images), coarse)
        single_ms, batch_ms = (self._measure_latencies(exported, count) for count in (1, BATCH))
        return ValidationReport(
            len(self.images),
            self.images.split,
            agreement,
            reference_outputs.metric_name,
            quality,
            drop,
            size,
            single_ms,
            (BATCH * 1000 / batch_ms[0], BATCH * 1000 / batch_ms[1]),
        )

    def _measure_latencies(self, exported: Predictor, count: int) -> tuple[float, float]:
        """Return the milliseconds of (run, export) for ``count`` images.

        A network with a fixed batch size is measured with that one, and the result is scaled.
        """
        fixed_size = self.reference.backend.input_shape[0]
        batch = model_outputs.build_input_batch(
            self.reference, self.images, fixed_size if isinstance(fixed_size, int) else count
        )
        reference_ms, exported_ms = model_outputs.benchmark_backends((self.reference.backend, exported.backend), batch)
        return reference_ms * count / len(batch), exported_ms * count / len(batch)

    def _require_recorded_outputs(self, outputs: ModelOutputs) -> None:
        """Raise ``ModelError`` when the run's model no longer gives the predictions that were recorded after training.

        Images are matched by content; without common images there is nothing to compare.
        """
        if self.recorded_predictions is None:
            return
        recorded_row_by_key = {key: row for row, key in enumerate(self.recorded_predictions.keys)}
        keys = compute_content_keys(self.images.dataset)
        rows = [row for row, key in enumerate(keys) if key in recorded_row_by_key]
        recorded_rows = [recorded_row_by_key[keys[row]] for row in rows]
        if not rows:
            return
        agreement = outputs.compare_with_recorded(rows, self.recorded_predictions, recorded_rows, TRAINED_TOLERANCE)
        if agreement is None or not agreement.is_within(TRAINED_TOLERANCE):
            raise ModelError(
                _(
                    "The model of the run no longer gives the same predictions as after training: {share:.0%} "
                    "of them differ."
                ).format(share=1.0 if agreement is None else agreement.lone),
                _("Expected the predictions in its predictions.csv, on the same photos."),
                _("Its network or model card was changed since then: copy the run again, or train again."),
            )


def require_same_card(run: ModelCard, export: ModelCard) -> None:
    """Raise ``ModelError`` when the two cards differ in how the network is used."""
    different = [name for name in CARD_FIELDS if getattr(run, name) != getattr(export, name)]
    if different:
        raise ModelError(
            _("The exported model card differs from that of the run: {names}.").format(names=", ".join(different)),
            _("Expected {expected}, not {found}.").format(
                expected=getattr(run, different[0]), found=getattr(export, different[0])
            ),
            _("Please report this with the model's name; nothing was saved."),
        )


def _pair_or_none(before: float | None, after: float | None) -> tuple[float, float] | None:
    """Return both values, or ``None`` where one is missing."""
    return None if before is None or after is None else (before, after)


def describe_coarse_validation(count: int, max_drop: float) -> str:
    """Return the warning that on ``count`` photos a drop of ``max_drop`` percentage points cannot be seen.

    Empty where one photo is no more than that, or no drop is allowed.
    """
    if not max_drop or count * max_drop >= 100:
        return ""
    return _(
        "Warning: one of {count} photos is {points:.1f} percentage points, so a drop of {allowed:g} cannot be told "
        "there. Give at least {enough:,} labelled photos (--data)."
    ).format(count=count, points=100 / count, allowed=max_drop, enough=ceil(100 / max_drop))


def _outputs_differ_error(agreement: OutputAgreement, tolerance: OutputTolerance) -> ModelError:
    """Return the error for outputs beyond ``tolerance``."""
    differences = ", ".join(
        f"{name} {localise_number(f'{value:.2g}')}" for name, value in agreement.differences.items()
    )
    return ModelError(
        _("The export does not reproduce the run: {share:.1%} of its outputs differ (largest: {found}).").format(
            share=agreement.lone, found=differences
        ),
        _("Expected at most {limits} for all but {lone:.0%} of them.").format(
            limits=", ".join(f"{name} {getattr(tolerance, name):g}" for name in agreement.differences),
            lone=tolerance.max_unmatched,
        ),
        _("Nothing was saved. Please report this with the model's name and the target."),
    )


def _quality_loss_error(
    drop: float, allowed: float, quality: tuple[float, float] | None, count: int, coarse: str
) -> ModelError:
    """Return the error for a loss of ``drop`` percentage points where ``allowed`` are allowed.

    ``coarse`` is the warning that this cannot be told on so few images, empty for none.
    """
    figures = "" if quality is None else f" ({format_decimal(quality[0])}, {format_decimal(quality[1])})"
    return ModelError(
        _("The export loses {drop:.2f} percentage points on {count} photos{figures}.").format(
            drop=drop, count=count, figures=figures
        ),
        _("Expected at most {allowed:g}.").format(allowed=allowed),
        _("Nothing was saved. Choose a higher precision, or allow more with --max-drop.") + f" {coarse}".rstrip(),
    )
