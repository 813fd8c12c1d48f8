"""Missing and wrong tags are found class by class, by answers of heads that were not fitted on the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.tagged_photos import SHAPES, one_hot_table

import lince
from lince.checks import tag_errors
from lince.checks.check_context import FeatureModel
from lince.errors import UsageError
from lince.label_sets import LabelSets

PLANTED = 12


def make_features(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, D) of images whose classes can be told, and their classes (N, C)."""
    rng = np.random.default_rng(seed)
    truth = rng.random((count, 3)) < (0.2, 0.4, 0.5)
    return (4 * truth @ np.eye(3, 10) + rng.normal(size=(count, 10))).astype(np.float32), truth


def plant(truth: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes with tags taken away and put on, and where (N, C) each was done."""
    rng = np.random.default_rng(seed)
    changed, places = truth.copy(), []
    for value in (True, False):
        candidates = np.argwhere(truth == value)
        chosen = candidates[rng.permutation(len(candidates))[:PLANTED]]
        mask = np.zeros_like(truth)
        mask[tuple(chosen.T)] = True
        changed[mask] = not value
        places.append(mask)
    return changed, places[0], places[1]


def test_planted_tags_are_doubted_and_few_others() -> None:
    features, truth = make_features()
    changed, removed, added = plant(truth)
    first = tag_errors.predict_answers(features, changed)
    trusted = tag_errors.trust_enough(changed, ~tag_errors.find_confident_doubts(first, changed, np.ones_like(changed)))
    probabilities = tag_errors.predict_answers(features, changed, trusted=trusted)
    other = np.where(changed, 1 - probabilities, probabilities)
    found = tag_errors.find_confident_doubts(probabilities, changed, trusted) & (other >= tag_errors.MIN_PROBABILITY)
    planted = removed | added
    assert (found & removed).sum() >= 0.7 * PLANTED
    assert (found & added).sum() >= 0.7 * PLANTED
    assert (found & planted).sum() >= 0.8 * found.sum()


def test_doubts_by_hand() -> None:
    probabilities = np.array([[0.9], [0.7], [0.85], [0.1], [0.05], [0.2]])
    truth = np.array([[1], [1], [0], [0], [0], [1]], bool)
    # With the class on average (0.9 + 0.7 + 0.2) / 3 = 0.6; without it (0.15 + 0.9 + 0.95) / 3 = 0.67.
    doubts = tag_errors.find_confident_doubts(probabilities, truth, np.ones_like(truth))
    assert doubts.ravel().tolist() == [False, False, True, False, False, True]
    trusted = np.array([[1], [1], [0], [1], [1], [0]], bool)
    # Without the two suspects: 0.8, and 0.925; the last photo is as far from the class as that no more.
    stricter = tag_errors.find_confident_doubts(probabilities, truth, trusted)
    assert stricter.ravel().tolist() == [False, False, True, False, False, False]


def test_the_check_names_photo_and_class(tmp_path: Path) -> None:
    root = one_hot_table(tmp_path / "d", 140)
    lines = (root / "labels.csv").read_text("utf-8").splitlines()
    name, *cells = lines[5].split(",")
    lines[5] = ",".join([name, *("0" if cell == "1" else "1" for cell in cells)])
    (root / "labels.csv").write_text("\n".join(lines), "utf-8")
    result = lince.check(root, labels=True, size=96, out=tmp_path / "page.html")
    findings = [finding for finding in result.findings if finding.code in ("missing-class", "wrong-class")]
    assert findings
    places = {(example.place, finding.code) for finding in findings for example in finding.examples}
    assert name in {place for place, _code in places}
    assert sum(finding.count for finding in findings) <= 10
    texts = " ".join(example.text for finding in findings for example in finding.examples)
    assert any(shape in texts for shape in SHAPES)
    assert name in (tmp_path / "page.html").read_text("utf-8")


def test_too_few_photos_of_each_class_are_refused(tmp_path: Path) -> None:
    dataset = lince.open(one_hot_table(tmp_path / "d", 8))
    sets = LabelSets.from_matrix(dataset.label_sets.to_matrix(3))
    with pytest.raises(UsageError, match="cannot be checked"):
        tag_errors.find_tag_errors(dataset, sets, FeatureModel())
