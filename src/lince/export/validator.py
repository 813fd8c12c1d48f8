"""Every export is judged again, on real photos, beside the run that it came from: alike, as good, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.datasets import compute_content_keys
from lince.errors import ModelError
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.export import model_outputs
from lince.export.agreement import TOLERANCES, OutputAgreement, OutputTolerance
from lince.export.model_outputs import (
    BATCH,
    ClassificationOutputs,
    DetectionOutputs,
    EvaluationImages,
    Model,
    ModelOutputs,
)
from lince.i18n import _
from lince.model_card import ModelCard
from lince.progress import SILENT, Progress

CARD_FIELDS = (
    "task",
    "classes",
    "preprocess",
    "decoder",
    "detection_filter",
)  # what of the card says how a network is used
TRAINED_TOLERANCE = OutputTolerance(
    1e-2, 1e-2, 1.0, 0.05
)  # of a run to its own record: photos may be decoded by another library
_UNLIMITED_TOLERANCE = OutputTolerance(1.0, 1.0, np.inf, 1.0)
RecordedOutputs = ClassificationPredictions | DetectionPredictions


@dataclass(frozen=True)
class ValidationReport:
    """What came out: figures in pairs are those of the run and of the export.

    ``quality`` are accuracies or mAP50 by ``figure``, ``None`` where nobody labelled the photos; ``drop`` is what was
    lost in points (of a hundred), by the truth or else by the run's own answers. ``milliseconds`` are those of a call
    for one image, ``throughput`` images a second in batches of eight.
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
        """Return the figures for the card and for programs."""
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
    """Asks an export what was asked of its run.

    ``reference`` is the run's model, ``photos`` what both are asked about, ``recorded`` what the trained network said
    of photos of this run; ``max_drop`` is how many points of a hundred an export may lose.
    """

    reference: Model
    images: EvaluationImages
    recorded_outputs: RecordedOutputs | None = None
    max_drop: float = 1.0
    progress: Progress = SILENT

    def validate(self, exported: Model, size: tuple[int, int]) -> ValidationReport:
        """Return how ``exported`` does; raise ``ModelError`` when it is unlike its run, or loses too much."""
        require_same_card(self.reference.card, exported.card)
        before = model_outputs.collect_outputs(self.reference, self.images, progress=self.progress)
        self._require_recorded_outputs(before)
        after = model_outputs.collect_outputs(exported, self.images, progress=self.progress)
        tolerance = TOLERANCES[exported.card.precision]
        alike = after.compare_with(before, tolerance or _UNLIMITED_TOLERANCE)
        if tolerance is not None and not alike.is_within(tolerance):
            raise _outputs_differ_error(alike, tolerance)
        quality = _pair_or_none(before.compute_headline_metric(self.images), after.compute_headline_metric(self.images))
        drop = 100 * (1 - alike.agreement if quality is None else quality[0] - quality[1])
        if not drop <= self.max_drop:
            raise _quality_loss_error(drop, self.max_drop, quality, len(self.images))
        one, many = (self._measure_latencies(exported, count) for count in (1, BATCH))
        return ValidationReport(
            len(self.images),
            self.images.split,
            alike,
            "map50" if isinstance(before, DetectionOutputs) else "accuracy",
            quality,
            drop,
            size,
            one,
            (BATCH * 1000 / many[0], BATCH * 1000 / many[1]),
        )

    def _measure_latencies(self, exported: Model, count: int) -> tuple[float, float]:
        fixed = self.reference.backend.input_shape[0]
        batch = model_outputs.build_input_batch(self.reference, self.images, fixed if isinstance(fixed, int) else count)
        before, after = model_outputs.benchmark_backends((self.reference.backend, exported.backend), batch)
        return before * count / len(batch), after * count / len(batch)

    def _require_recorded_outputs(self, answers: ModelOutputs) -> None:
        """Raise ``ModelError`` when the run's model no longer answers what was recorded when it was trained."""
        if self.recorded_outputs is None:
            return
        known = {key: row for row, key in enumerate(self.recorded_outputs.keys)}
        own = compute_content_keys(self.images.dataset)
        rows = [row for row, key in enumerate(own) if key in known]
        then = [known[own[row]] for row in rows]
        if not rows:
            return
        alike = _compare_with_recorded(answers, rows, self.recorded_outputs, then)
        if alike is None or not alike.is_within(TRAINED_TOLERANCE):
            raise ModelError(
                _("The run's model no longer answers as it did when it was trained: {share:.0%} of it differs.").format(
                    share=1.0 if alike is None else alike.lone
                ),
                _("Expected the answers in its predictions.csv, on the same photos."),
                _("Its network or its card was changed since: copy the run again, or train again."),
            )


def require_same_card(run: ModelCard, export: ModelCard) -> None:
    """Raise ``ModelError`` when the card of an export does not say the same of how the network is used."""
    other = [name for name in CARD_FIELDS if getattr(run, name) != getattr(export, name)]
    if other:
        raise ModelError(
            _("The exported card says something else than the run's: {names}.").format(names=", ".join(other)),
            _("Expected {expected}, not {found}.").format(
                expected=getattr(run, other[0]), found=getattr(export, other[0])
            ),
            _("Please report this with the model's name; nothing was kept."),
        )


def _compare_with_recorded(
    answers: ModelOutputs, rows: Sequence[int], recorded: RecordedOutputs, then: Sequence[int]
) -> OutputAgreement | None:
    """Return how alike the answers at ``rows`` and those recorded at ``then`` are; ``None`` if of other classes."""
    if not isinstance(answers, (ClassificationOutputs, DetectionOutputs)) or recorded.classes != answers.classes:
        return None
    if isinstance(answers, ClassificationOutputs) and isinstance(recorded, ClassificationPredictions):
        theirs: NDArray[np.float32] = recorded.probabilities[then]
        return ClassificationOutputs(answers.classes, answers.probabilities[rows]).compare_with(
            ClassificationOutputs(recorded.classes, theirs), TRAINED_TOLERANCE
        )
    if isinstance(answers, DetectionOutputs) and isinstance(recorded, DetectionPredictions):
        places = tuple(answers.image_scales[row] for row in rows)
        ours = DetectionOutputs(answers.classes, tuple(answers.detections[row] for row in rows), places)
        return ours.compare_with(
            DetectionOutputs(recorded.classes, tuple(recorded.detections[row] for row in then), places),
            TRAINED_TOLERANCE,
        )
    return None


def _pair_or_none(before: float | None, after: float | None) -> tuple[float, float] | None:
    return None if before is None or after is None else (before, after)


def _outputs_differ_error(alike: OutputAgreement, tolerance: OutputTolerance) -> ModelError:
    found = ", ".join(f"{name} {value:.2g}" for name, value in alike.differences.items())
    return ModelError(
        _("The export does not answer as the run does: {share:.1%} of its answers differ (largest: {found}).").format(
            share=alike.lone, found=found
        ),
        _("Expected at most {limits} for all but {lone:.0%} of them.").format(
            limits=", ".join(f"{name} {getattr(tolerance, name):g}" for name in alike.differences),
            lone=tolerance.max_unmatched,
        ),
        _("Nothing was kept. Please report this with the model's name and the target."),
    )


def _quality_loss_error(drop: float, allowed: float, quality: tuple[float, float] | None, count: int) -> ModelError:
    figures = "" if quality is None else f" ({quality[0]:.3f}, {quality[1]:.3f})"
    return ModelError(
        _("The export loses {drop:.2f} points on {count} photos{figures}.").format(
            drop=drop, count=count, figures=figures
        ),
        _("Expected at most {allowed:g}.").format(allowed=allowed),
        _("Nothing was kept. Choose a higher precision, or allow more with --max-drop."),
    )
