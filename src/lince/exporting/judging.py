"""Every export is judged again, on real photos, beside the run that it came from: alike, as good, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.card import ModelCard
from lince.data import keys
from lince.errors import ModelError
from lince.evaluation.found import FoundObjects
from lince.evaluation.predictions import Predictions
from lince.exporting import asking
from lince.exporting.asking import BATCH, Answers, Located, Model, Named, Photos
from lince.exporting.likeness import TOLERANCES, Likeness, Tolerance
from lince.messages import _
from lince.progress import SILENT, Progress

READING = ("task", "classes", "preprocess", "decoding", "keeping")  # what of the card says how a network is used
TRAINED = Tolerance(1e-2, 1e-2, 1.0, 0.05)  # of a run to its own record: photos may be decoded by another library
_LOOSE = Tolerance(1.0, 1.0, np.inf, 1.0)
Recorded = Predictions | FoundObjects


@dataclass(frozen=True)
class Judgement:
    """What came out: figures in pairs are those of the run and of the export.

    ``quality`` are accuracies or mAP50 by ``figure``, ``None`` where nobody labelled the photos; ``drop`` is what was
    lost in points (of a hundred), by the truth or else by the run's own answers. ``milliseconds`` are those of a call
    for one image, ``throughput`` images a second in batches of eight.
    """

    count: int
    where: str
    likeness: Likeness
    figure: str
    quality: tuple[float, float] | None
    drop: float
    size: tuple[int, int]
    milliseconds: tuple[float, float]
    throughput: tuple[float, float]
    more: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the figures for the card and for programs."""
        pairs = {
            "quality": self.quality,
            "bytes": self.size,
            "milliseconds": self.milliseconds,
            "images_per_second": self.throughput,
        }
        return {
            "checked": True,
            "count": self.count,
            "where": self.where,
            **self.likeness.record(),
            "figure": self.figure,
            "drop": self.drop,
            **{name: None if pair is None else {"run": pair[0], "export": pair[1]} for name, pair in pairs.items()},
            **self.more,
        }


@dataclass(frozen=True, eq=False)
class Judge:
    """Asks an export what was asked of its run.

    ``reference`` is the run's model, ``photos`` what both are asked about, ``recorded`` what the trained network said
    of photos of this run; ``max_drop`` is how many points of a hundred an export may lose.
    """

    reference: Model
    photos: Photos
    recorded: Recorded | None = None
    max_drop: float = 1.0
    progress: Progress = SILENT

    def judge(self, exported: Model, size: tuple[int, int]) -> Judgement:
        """Return how ``exported`` does; raise ``ModelError`` when it is unlike its run, or loses too much."""
        require_same_reading(self.reference.card, exported.card)
        before = asking.ask(self.reference, self.photos, progress=self.progress)
        self._require_trained(before)
        after = asking.ask(exported, self.photos, progress=self.progress)
        tolerance = TOLERANCES[exported.card.precision]
        alike = after.likeness(before, tolerance or _LOOSE)
        if tolerance is not None and not alike.within(tolerance):
            raise _unlike(alike, tolerance)
        quality = _pair(before.quality(self.photos), after.quality(self.photos))
        drop = 100 * (1 - alike.agreement if quality is None else quality[0] - quality[1])
        if not drop <= self.max_drop:
            raise _lost(drop, self.max_drop, quality, len(self.photos))
        one, many = (self._race(exported, count) for count in (1, BATCH))
        return Judgement(
            len(self.photos),
            self.photos.where,
            alike,
            "map50" if isinstance(before, Located) else "accuracy",
            quality,
            drop,
            size,
            one,
            (BATCH * 1000 / many[0], BATCH * 1000 / many[1]),
        )

    def _race(self, exported: Model, count: int) -> tuple[float, float]:
        fixed = self.reference.session.input_shape[0]
        batch = asking.inputs(self.reference, self.photos, fixed if isinstance(fixed, int) else count)
        before, after = asking.race((self.reference.session, exported.session), batch)
        return before * count / len(batch), after * count / len(batch)

    def _require_trained(self, answers: Answers) -> None:
        """Raise ``ModelError`` when the run's model no longer answers what was recorded when it was trained."""
        if self.recorded is None:
            return
        known = {key: row for row, key in enumerate(self.recorded.keys)}
        own = keys(self.photos.dataset)
        rows = [row for row, key in enumerate(own) if key in known]
        then = [known[own[row]] for row in rows]
        if not rows:
            return
        alike = _as_recorded(answers, rows, self.recorded, then)
        if alike is None or not alike.within(TRAINED):
            raise ModelError(
                _("The run's model no longer answers as it did when it was trained: {share:.0%} of it differs.").format(
                    share=1.0 if alike is None else alike.lone
                ),
                _("Expected the answers in its predictions.csv, on the same photos."),
                _("Its network or its card was changed since: copy the run again, or train again."),
            )


def require_same_reading(run: ModelCard, export: ModelCard) -> None:
    """Raise ``ModelError`` when the card of an export does not say the same of how the network is used."""
    other = [name for name in READING if getattr(run, name) != getattr(export, name)]
    if other:
        raise ModelError(
            _("The exported card says something else than the run's: {names}.").format(names=", ".join(other)),
            _("Expected {expected}, not {found}.").format(
                expected=getattr(run, other[0]), found=getattr(export, other[0])
            ),
            _("Please report this with the model's name; nothing was kept."),
        )


def _as_recorded(answers: Answers, rows: Sequence[int], recorded: Recorded, then: Sequence[int]) -> Likeness | None:
    """Return how alike the answers at ``rows`` and those recorded at ``then`` are; ``None`` if of other classes."""
    if not isinstance(answers, (Named, Located)) or recorded.classes != answers.classes:
        return None
    if isinstance(answers, Named) and isinstance(recorded, Predictions):
        theirs: NDArray[np.float32] = recorded.probabilities[then]
        return Named(answers.classes, answers.probabilities[rows]).likeness(Named(recorded.classes, theirs), TRAINED)
    if isinstance(answers, Located) and isinstance(recorded, FoundObjects):
        places = tuple(answers.places[row] for row in rows)
        ours = Located(answers.classes, tuple(answers.found[row] for row in rows), places)
        return ours.likeness(Located(recorded.classes, tuple(recorded.found[row] for row in then), places), TRAINED)
    return None


def _pair(before: float | None, after: float | None) -> tuple[float, float] | None:
    return None if before is None or after is None else (before, after)


def _unlike(alike: Likeness, tolerance: Tolerance) -> ModelError:
    found = ", ".join(f"{name} {value:.2g}" for name, value in alike.differences.items())
    return ModelError(
        _("The export does not answer as the run does: {share:.1%} of its answers differ (largest: {found}).").format(
            share=alike.lone, found=found
        ),
        _("Expected at most {limits} for all but {lone:.0%} of them.").format(
            limits=", ".join(f"{name} {getattr(tolerance, name):g}" for name in alike.differences), lone=tolerance.lone
        ),
        _("Nothing was kept. Please report this with the model's name and the target."),
    )


def _lost(drop: float, allowed: float, quality: tuple[float, float] | None, count: int) -> ModelError:
    figures = "" if quality is None else f" ({quality[0]:.3f}, {quality[1]:.3f})"
    return ModelError(
        _("The export loses {drop:.2f} points on {count} photos{figures}.").format(
            drop=drop, count=count, figures=figures
        ),
        _("Expected at most {allowed:g}.").format(allowed=allowed),
        _("Nothing was kept. Choose a higher precision, or allow more with --max-drop."),
    )
