"""Finds classes that are probably missing, or wrongly given, where an image may have several.

Confident learning (Northcutt, Jiang and Chuang 2021), class by class, as Thyagarajan, Snorrason, Northcutt and Mueller
(2022, "Identifying Incorrect Annotations in Multi-Label Classification Data", arXiv:2211.13895) extend it: each class
is a question of its own, has it or has it not. The probability of a class comes from heads that were not fitted on the
image. Where the answer that the labels do not give is confident, at least as probable as it is on average where the
labels give it, the answer is a suspect. Suspects of the first round are left out when the heads are fitted for
the second, whose clear suspects are reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.checks.check_context import CheckContext, CheckFinding, FeatureModel, FindingText, make_findings
from lince.datasets import Dataset
from lince.errors import UsageError
from lince.findings import Severity
from lince.i18n import _
from lince.label_sets import LabelSets
from lince.number_format import format_percent
from lince.progress import SILENT, Progress

MISSING_CLASS_CODE, EXTRA_CLASS_CODE = "missing-class", "wrong-class"
NUM_FOLDS = 5
MIN_CLASS_IMAGES = 10  # with the class, and without it; of fewer no answer is judged
MIN_PROBABILITY = 0.9  # of the answer that the labels do not give
FloatArray = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TagErrors:
    """K suspected answers, the most certain first.

    ``rows`` int64 (K,) are rows of the dataset, ``class_ids`` int64 (K,) the classes in question; ``is_missing`` (K,)
    says that the image probably has the class that its labels lack, otherwise it lacks one that they give;
    ``probabilities`` float64 (K,) are those of the class.
    """

    rows: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    is_missing: Booleans
    probabilities: FloatArray


def check_tag_errors(context: CheckContext, feature_model: FeatureModel, sets: LabelSets) -> list[CheckFinding]:
    """Return the findings ``missing-class`` and ``wrong-class`` on images with the classes ``sets``.

    Raise ``UsageError`` when no class has enough images (see ``find_tag_errors``).
    """
    errors = find_tag_errors(context.dataset, sets, feature_model, context.progress, context.groups.related_ids)
    advice = _("Review each one. Correct the wrong labels; keep the ones that are correct but difficult.")
    texts = {
        MISSING_CLASS_CODE: FindingText(
            Severity.WARNING,
            _("Classes that are probably missing"),
            _("A model that was not trained on these photos finds a class on them that their labels do not name."),
            advice,
        ),
        EXTRA_CLASS_CODE: FindingText(
            Severity.WARNING,
            _("Classes that are probably wrong"),
            _("A model that was not trained on these photos does not find a class on them that their labels name."),
            advice,
        ),
    }
    sentences = {
        MISSING_CLASS_CODE: _("probably has {name} ({probability}), which its labels lack"),
        EXTRA_CLASS_CODE: _("labelled {name}, which it probably lacks ({probability})"),
    }
    names = context.dataset.classes.names
    findings = []
    for code, is_missing in ((MISSING_CLASS_CODE, True), (EXTRA_CLASS_CODE, False)):
        found = np.flatnonzero(errors.is_missing == is_missing).tolist()
        examples = (
            context.make_example(
                int(errors.rows[i]),
                sentences[code].format(
                    name=names[int(errors.class_ids[i])], probability=format_percent(float(errors.probabilities[i]), 0)
                ),
            )
            for i in found
        )
        findings += make_findings(code, texts[code], examples, len(found))
    return findings


def find_tag_errors(
    dataset: Dataset,
    sets: LabelSets,
    feature_model: FeatureModel,
    progress: Progress = SILENT,
    groups: NDArray[np.int64] | None = None,
) -> TagErrors:
    """Return the suspected answers about the images of ``dataset`` whose classes are known.

    ``sets`` are the classes of its N images. Classes that fewer than ``MIN_CLASS_IMAGES`` images have, or lack, and
    images that cannot be opened are left out. Images with the same number in ``groups`` (N,), such as copies, are
    predicted by heads that were fitted on none of them. The result is the same each time.

    Raise ``UsageError`` when no class has enough images.
    """
    # Only here: a check that looks for no wrong labels starts without what trains networks.
    from lince.checks.label_features import compute_label_features  # noqa: PLC0415
    from lince.training.multilabel.labels import SetLabels  # noqa: PLC0415

    known = np.flatnonzero(sets.is_known)
    counts = sets.to_matrix(len(dataset.classes))[known].sum(axis=0)
    class_ids = np.flatnonzero(np.minimum(counts, len(known) - counts) >= MIN_CLASS_IMAGES)
    if not len(class_ids):
        raise UsageError(
            _("The labels cannot be checked: no class is on {least} images or more, and missing on as many.").format(
                least=MIN_CLASS_IMAGES
            ),
            _("Expected at least one such class."),
        )
    rows, embeddings = compute_label_features(dataset, known, feature_model, progress, SetLabels())
    truth = sets.to_matrix(len(dataset.classes))[rows][:, class_ids]
    row_groups = None if groups is None else groups[rows]
    with progress.open_stage(_("Checking the labels"), 2) as stage:
        first = predict_answers(embeddings, truth, row_groups)
        stage.advance()
        trusted = trust_enough(truth, ~find_confident_doubts(first, truth, np.ones_like(truth)))
        probabilities = predict_answers(embeddings, truth, row_groups, trusted)
        doubts = find_confident_doubts(probabilities, truth, trusted)
        stage.advance()
    other = np.where(truth, 1.0 - probabilities, probabilities)  # of the answer that the labels do not give
    places = np.argwhere(doubts & (other >= MIN_PROBABILITY))
    places = places[np.argsort(-other[places[:, 0], places[:, 1]], kind="stable")]
    image, column = places[:, 0], places[:, 1]
    return TagErrors(rows[image], class_ids[column], ~truth[image, column], probabilities[image, column])


def predict_answers(
    embeddings: NDArray[np.float32],
    truth: Booleans,
    groups: NDArray[np.int64] | None = None,
    trusted: Booleans | None = None,
) -> FloatArray:
    """Return the probabilities float64 (N, C) of the classes of ``truth`` (N, C), each by a head not fitted on it.

    Only ``trusted`` answers (N, C), by default all, are fitted.
    """
    from lince.training.classification.heads.logistic import L2_PENALTIES  # noqa: PLC0415
    from lince.training.multilabel.heads import choose_penalties, predict_held_out  # noqa: PLC0415

    held_out, losses = predict_held_out(embeddings, truth, 0, groups, trusted, NUM_FOLDS)
    penalties = choose_penalties(losses, truth.sum(axis=0))
    chosen = np.searchsorted(np.array(L2_PENALTIES, np.float32), penalties)
    return np.asarray(held_out[chosen, :, np.arange(truth.shape[1])].T, np.float64)


def find_confident_doubts(probabilities: FloatArray, truth: Booleans, trusted: Booleans) -> Booleans:
    """Return bool (N, C): where the answer that ``truth`` (N, C) does not give is confident.

    It is when it is at least as probable as it is on average among the ``trusted`` answers that give it.
    """
    present, absent = (truth & trusted), (~truth & trusted)
    mean_present = (probabilities * present).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    mean_absent = ((1 - probabilities) * absent).sum(axis=0) / np.maximum(absent.sum(axis=0), 1)
    return np.asarray(np.where(truth, 1 - probabilities >= mean_absent, probabilities >= mean_present), np.bool_)


def trust_enough(truth: Booleans, trusted: Booleans) -> Booleans:
    """Return ``trusted`` (N, C) with all answers of the classes that would keep too few images with or without them."""
    kept = np.minimum((truth & trusted).sum(axis=0), (~truth & trusted).sum(axis=0))
    return np.asarray(trusted | (kept < MIN_CLASS_IMAGES), np.bool_)
