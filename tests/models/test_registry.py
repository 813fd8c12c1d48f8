"""Model registry: names, presets, suggestions, and agreement with the installed timm."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lince.errors import UsageError
from lince.models.classification import registry as classification_registry


def test_presets_may_be_used_for_anything_and_cost_more_step_by_step() -> None:
    presets = list(classification_registry.list_presets().values())
    assert [entry.name for entry in presets] == ["nano", "small", "lite", "medium", "large"]
    assert all(entry.is_permissive and entry.repository for entry in presets)
    costs = [entry.macs for entry in presets]
    assert costs == sorted(costs)
    accuracies = [entry.top1 for entry in presets if entry.name != classification_registry.DEFAULT_MODEL]
    assert accuracies == sorted(accuracies)


@pytest.mark.parametrize("name", ["nano", "lite"])
def test_presets_tell_the_cost_of_the_network_that_is_built(name: str) -> None:
    pytest.importorskip("timm")
    from lince.models.classification.classifier import build_classifier
    from lince.models.layer_summary import summarise_network
    from lince.preprocess import PreprocessSpec

    entry = classification_registry.get_model_entry(name)
    spec = PreprocessSpec(entry.size, entry.size)
    table = summarise_network(build_classifier(entry, 1, spec), spec)
    head = table.rows[-1]
    assert (table.params - head.params, table.macs - head.macs) == (entry.params, entry.macs)


@pytest.mark.parametrize("name", ["vgg16", "inception_v3", "resnet18.a1_in1k", "small", "lite", "vit_tiny_patch16_224"])
def test_text_of_an_entry_finds_the_same_network(name: str) -> None:
    entry = classification_registry.get_model_entry(name)
    again = classification_registry.get_model_entry(entry.identifier)
    assert (again.pretrained_name, again.size, again.mean) == (entry.pretrained_name, entry.size, entry.mean)


def test_normalisation_comes_from_the_weights() -> None:
    assert classification_registry.get_model_entry("vgg16").mean == pytest.approx((123.675, 116.28, 103.53))
    assert classification_registry.get_model_entry("inception_v3").std == (127.5, 127.5, 127.5)
    same = classification_registry.get_model_entry("mobilenetv2_100 pad_type=same")
    assert (same.pad_type, same.mean) == ("same", (127.5, 127.5, 127.5))
    assert classification_registry.get_model_entry(same.identifier).pad_type == "same"


def test_cnn_alone_and_with_layers() -> None:
    assert classification_registry.get_model_entry("cnn").declaration == classification_registry.DEFAULT_CNN
    entry = classification_registry.get_model_entry("cnn: conv 8 3, flatten")
    assert entry.declaration == "conv 8 3, flatten"
    assert classification_registry.get_model_entry(entry.identifier) == entry


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("resnet19", "resnet18"),
        ("mobilnetv2_100", "mobilenetv2_100"),
        ("resnet18.a1_in2k", "resnet18.a1_in1k"),
        ("smal", "small"),
        ("zzzz", "timm backbone"),
        ("resnet18 pad_type=none", "pad_type=same"),
        ("", "timm backbone"),
    ],
)
def test_unknown_names_are_refused_with_the_closest(wrong: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        classification_registry.get_model_entry(wrong)
    assert hint in caught.value.expected


def test_the_table_agrees_with_the_installed_timm() -> None:
    timm = pytest.importorskip("timm")
    known = set(classification_registry.list_architectures())
    installed = set(timm.list_models())
    assert len(known & installed) > 0.95 * len(installed)
    for name in ("resnet50", "vgg16", "convnext_tiny", "inception_v3", "mobilenetv3_large_100"):
        entry, config = classification_registry.get_model_entry(name), timm.get_pretrained_cfg(name)
        assert (entry.tag, entry.size, entry.licence) == (config.tag, config.input_size[1], config.license)
        assert entry.repository == config.hf_hub_id
        assert entry.mean == pytest.approx([255 * value for value in config.mean], abs=1e-4)


def test_names_and_sources_load_no_torch() -> None:
    code = (
        "import sys\n"
        "from lince.models import weights_source\nfrom lince.models.classification import registry\n"
        "from lince.export import onnx_graph, parity\n"
        "source = weights_source.resolve_weights(registry.get_model_entry('mobilenetv2_100'), 'none')\n"
        "weights_source.make_preprocess_spec(source)\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm')))"
    )
    pytest.importorskip("onnx")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
