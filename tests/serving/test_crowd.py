"""Concurrent batches: the same numbers whether a batch runs alone or beside others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx")
from tests.support import tiny_classifier

from lince.inference import load
from lince.inference.image_loading import PreparedImage
from lince.serving.model_registry import ModelVersion
from lince.serving.settings import RequestLimits

SIZE, WORKERS, PHOTOS = 64, 3, 24


def test_alone_and_in_a_crowd_the_figures_are_equal(awkward: Path) -> None:
    model = load.load(tiny_classifier.model_folder(awkward / "tiny", size=SIZE), WORKERS).with_threads()
    version = ModelVersion(model, model.with_threads(1), RequestLimits())
    photos = [
        tiny_classifier.photo(tiny_classifier.NAMES[at % len(tiny_classifier.NAMES)], SIZE, SIZE, at)
        for at in range(PHOTOS)
    ]
    seen = [PreparedImage(photo, (SIZE, SIZE)) for photo in photos]
    alone = np.array([version.predict_prepared([one], ["a"], None, True)[0].label.probabilities for one in seen])

    def crowd(start: int) -> NDArray[np.float32]:
        order = np.roll(np.arange(PHOTOS), start)
        found = version.predict_prepared([seen[at] for at in order], ["a"] * PHOTOS, None, False)
        return np.array([one.label.probabilities for one in found])[np.argsort(order)]

    with ThreadPoolExecutor(WORKERS) as pool:
        for together in pool.map(crowd, range(PHOTOS)):
            np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    assert len(np.unique(alone, axis=0)) == PHOTOS
