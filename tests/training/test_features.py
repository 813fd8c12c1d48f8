"""Feature cache: features are computed once, keyed by content; damaged shards are recomputed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.support import tiny_classifier
from tests.support.class_photos import folders

from lince.datasets import open_dataset
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.preprocess import PreprocessSpec, preprocess_images
from lince.training.classification import features

SPEC = PreprocessSpec(16, 16)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return tiny_classifier.model_folder(tmp_path / "model") / "model.onnx"


@pytest.fixture
def data(awkward: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LINCE_CACHE", str(awkward / "cache"))
    return open_dataset(folders(awkward / "fotos", each=4))


def test_rows_are_what_the_network_answers(data, network):
    found = features.compute_features(data, network, SPEC)
    inputs = preprocess_images([data.images.read_image(i, (16, 16)) for i in range(len(data))], SPEC)
    assert np.allclose(found.embeddings, OnnxRuntimeBackend(network).run(inputs, ("embedding",))[0], atol=1e-5)
    assert found.computed_count == len(data)
    assert found.keys == [data.images.compute_key(i) for i in range(len(data))]


def test_the_second_time_nothing_is_computed_and_the_bits_are_the_same(data, network):
    first, second = (features.compute_features(data, network, SPEC) for _ in range(2))
    assert second.computed_count == 0
    assert np.array_equal(first.embeddings, second.embeddings)


def test_another_preparation_is_another_cache(data, network):
    features.compute_features(data, network, SPEC)
    other = PreprocessSpec(16, 16, mean=(127.5,) * 3, std=(127.5,) * 3)
    assert features.compute_features(data, network, other).computed_count == len(data)


def test_one_new_photo_costs_one_computation(data, network, awkward):
    features.compute_features(data, network, SPEC)
    folders(awkward / "more", each=1, seed=9)
    (awkward / "more" / "aro" / "foto 00.png").rename(awkward / "fotos" / "aro" / "nueva.png")
    assert features.compute_features(open_dataset(awkward / "fotos"), network, SPEC).computed_count == 1


def test_a_spoilt_shard_is_computed_again(data, network):
    first = features.compute_features(data, network, SPEC)
    (shard,) = features.FeatureCache(network, SPEC).folder.glob("*.npz")
    shard.write_bytes(shard.read_bytes()[:200])
    again = features.compute_features(data, network, SPEC)
    assert again.computed_count == len(data)
    assert np.array_equal(first.embeddings, again.embeddings)


def test_a_cut_off_photo_is_refused_by_name(data, network, awkward):
    broken = awkward / "fotos" / "cruz" / "foto 01.png"
    broken.write_bytes(broken.read_bytes()[:300])
    found = features.compute_features(data, network, SPEC)
    assert [refusal.path for refusal in found.rejected.values()] == ["cruz/foto 01.png"]
    assert len(found.embeddings) == len(found.keys) == len(data) - 1
