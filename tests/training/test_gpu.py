"""GPU training and prediction: runs where a GPU is available, and skips elsewhere."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.support.box_photos import yolo  # noqa: E402
from tests.support.class_photos import folders  # noqa: E402

import lince  # noqa: E402
from lince.training import hardware  # noqa: E402

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")


@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch names each operation that is not deterministic
def test_a_run_on_the_gpu_ends_with_a_model_that_answers_on_the_cpu(tmp_path, precision):
    photos = folders(tmp_path / "fotos", each=14)
    done = lince.train(
        photos,
        out=tmp_path / "run",
        recipe="scratch",
        model="cnn: conv 8 3, norm, pool, conv 16 3, norm, gap",
        size=16,
        epochs=2,
        device="cuda",
        precision=precision,
    )
    assert lince.load(done.folder).predict(photos / "aro" / "foto 00.png").label.score > 0.2


@needs_gpu
@pytest.mark.parametrize("recipe", ["scratch", "transfer", "finetune"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_detector_trained_on_the_gpu_finds_on_the_cpu_what_it_found_there(tmp_path, recipe):
    photos = yolo(tmp_path / "fotos", {"train": 16, "val": 4, "test": 4})
    choices = {"model": "yolox-nano", "weights": "none", "size": 64, "epochs": 2, "batch": 4, "device": "cuda"}
    done = lince.train(photos, out=tmp_path / "run", recipe=recipe, **choices)
    assert done.report["test"]["count"] == 4
    assert lince.evaluate(done.folder, photos).metrics.to_dict()["map50"] == done.report["test"]["map50"]


@needs_gpu
def test_bf16_is_chosen_on_a_gpu_that_has_it():
    expected = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    assert hardware.choose_precision("auto", "cuda")[0] == expected


def test_a_device_that_is_not_there_is_refused():
    missing = next(name for name, there in (("cuda", torch.cuda.is_available()), ("mps", False)) if not there)
    with pytest.raises(lince.LinceError, match="no device"):
        hardware.choose_device(missing)


def test_the_cpu_computes_in_fp32_unless_it_has_matrix_units(monkeypatch):
    monkeypatch.setattr(hardware, "read_cpuinfo", lambda _field: "sse4_2 avx2")
    assert hardware.choose_precision("auto", "cpu")[0] == "fp32"
    monkeypatch.setattr(hardware, "read_cpuinfo", lambda _field: "avx512f amx_bf16 amx_tile")
    assert hardware.choose_precision("auto", "cpu")[0] == "bf16"
