"""DEIMv2: published sizes, and files in the authors' and in transformers' naming."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import save_file  # noqa: E402

from lince.errors import UsageError  # noqa: E402
from lince.models import weights, weights_source  # noqa: E402
from lince.models.detection import registry as detection_registry  # noqa: E402
from lince.models.detr import deimv2, deimv2_state_dict  # noqa: E402
from lince.models.detr.deimv2 import DeimV2  # noqa: E402
from lince.models.weights import WeightsReport  # noqa: E402

SIZES = {"deimv2-atto": 0.5, "deimv2-femto": 1.0, "deimv2-pico": 1.5, "deimv2-n": 3.6}  # millions, from the paper
both_kinds = pytest.mark.parametrize("name", ["deimv2-atto", "deimv2-n"])


def built(name: str, classes: int = 80, seed: int = 0) -> DeimV2:
    torch.manual_seed(seed)
    network = deimv2.create_detector(detection_registry.get_detector_entry(name), classes, 64, 64).eval()
    for one in network.parameters():  # norms and biases start equal; no two tensors may be
        torch.nn.init.uniform_(one, -0.1, 0.1)
    return network


def loaded(path: Path, name: str, classes: int = 80) -> tuple[DeimV2, WeightsReport]:
    network = built(name, classes, seed=1)
    report = weights.load_network_weights(
        network, weights_source.resolve_weights(detection_registry.get_detector_entry(name), str(path))
    )
    return network, report


def answers(network: DeimV2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return torch.cat(network.eval()(torch.rand(2, 3, 64, 64, generator=generator)), 2)


@pytest.mark.parametrize(("name", "published"), SIZES.items())
def test_sizes_have_the_published_number_of_parameters(name: str, published: float) -> None:
    count = sum(one.numel() for one in built(name).parameters())
    assert count / 1e6 == pytest.approx(published, abs=0.06)
    assert count == detection_registry.get_detector_entry(name).params


def test_sides_that_no_map_divides_are_refused() -> None:
    with pytest.raises(UsageError, match="60 x 64"):
        deimv2.create_detector(detection_registry.get_detector_entry("deimv2-atto"), 3, 60, 64)


def of_transformers(network: DeimV2) -> dict[str, torch.Tensor]:
    """Return the tensors of ``network`` under transformers' names, aliases included."""
    found = {}
    for own, value in network.state_dict().items():
        name = f"model.encoder.{own[5:]}" if own.startswith("neck.") else own.removeprefix("network.")
        for one in [name.replace(".one.", f".{at}.", 1) for at in range(3)] if ".one." in name else [name]:
            found[one] = value.clone()
            if one.startswith(("model.decoder.bbox_embed.", "model.decoder.class_embed.")):
                found[one.removeprefix("model.decoder.")] = value.clone()
    return found


@both_kinds
def test_a_file_that_transformers_reads_gives_the_same_answers_here(name: str, tmp_path: Path) -> None:
    network = built(name)
    ours = answers(network)  # this few locations need fewer queries
    state = of_transformers(network)
    model = transformers.Deimv2ForObjectDetection(network.network.config).eval()
    assert set(model.state_dict()) == set(state)
    model.load_state_dict(state)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        theirs = model(torch.rand(2, 3, 64, 64, generator=generator))
    torch.testing.assert_close(torch.cat((theirs.logits, theirs.pred_boxes), 2), ours)
    save_file(state, tmp_path / "theirs.safetensors")
    again, report = loaded(tmp_path / "theirs.safetensors", name)
    assert not report.describe_misfits()
    assert torch.equal(answers(again), answers(network))


@both_kinds
def test_transformers_own_files_are_read_whole(name: str, tmp_path: Path) -> None:
    network = built(name)
    model = transformers.Deimv2ForObjectDetection(network.network.config)
    model.load_state_dict(of_transformers(network))
    model.save_pretrained(tmp_path)
    again, report = loaded(tmp_path / "model.safetensors", name)
    assert not report.describe_misfits()
    assert torch.equal(answers(again), answers(network))


# The authors' names, from the conversion script in transformers.
NAMES = [
    ("backbone.stem.stem2a.conv.weight", "conv_encoder.model.embedder.stem2a.convolution.weight"),
    ("backbone.stem.stem1.bn.running_var", "conv_encoder.model.embedder.stem1.normalization.running_var"),
    ("backbone.stem.stem4.lab.scale", "conv_encoder.model.embedder.stem4.lab.scale"),
    (
        "backbone.stages.2.blocks.0.layers.1.conv1.conv.weight",
        "conv_encoder.model.encoder.stages.2.blocks.0.layers.1.conv1.convolution.weight",
    ),
    (
        "backbone.stages.0.blocks.0.layers.2.bn.bias",
        "conv_encoder.model.encoder.stages.0.blocks.0.layers.2.normalization.bias",
    ),
    (
        "backbone.stages.1.blocks.0.aggregation.1.conv.weight",
        "conv_encoder.model.encoder.stages.1.blocks.0.aggregation.1.convolution.weight",
    ),
    (
        "backbone.stages.1.downsample.bn.weight",
        "conv_encoder.model.encoder.stages.1.downsample.normalization.weight",
    ),
    ("decoder.decoder.layers.0.self_attn.out_proj.bias", "decoder.layers.0.self_attn.o_proj.bias"),
    (
        "decoder.decoder.layers.1.cross_attn.sampling_offsets.weight",
        "decoder.layers.1.encoder_attn.sampling_offsets.weight",
    ),
    ("decoder.decoder.layers.1.cross_attn.num_points_scale", "decoder.layers.1.encoder_attn.num_points_scale"),
    ("decoder.decoder.layers.2.norm1.scale", "decoder.layers.2.self_attn_layer_norm.weight"),
    ("decoder.decoder.layers.2.norm3.scale", "decoder.layers.2.final_layer_norm.weight"),
    ("decoder.decoder.layers.2.swish_ffn.w3.bias", "decoder.layers.2.mlp.down_proj.bias"),
    ("decoder.decoder.lqe_layers.0.reg_conf.layers.1.weight", "decoder.lqe_layers.0.reg_conf.layers.1.weight"),
    ("decoder.dec_score_head.2.bias", "decoder.class_embed.2.bias"),
    ("decoder.dec_bbox_head.0.layers.2.weight", "decoder.bbox_embed.0.layers.2.weight"),
    ("decoder.pre_bbox_head.layers.0.weight", "decoder.pre_bbox_head.layers.0.weight"),
    ("decoder.query_pos_head.layers.1.bias", "decoder.query_pos_head.layers.1.bias"),
    ("decoder.enc_output.proj.weight", "enc_output.0.weight"),
    ("decoder.enc_output.norm.bias", "enc_output.1.bias"),
    ("decoder.enc_score_head.weight", "enc_score_head.weight"),
    ("decoder.enc_bbox_head.layers.2.bias", "enc_bbox_head.layers.2.bias"),
    ("decoder.denoising_class_embed.weight", "denoising_class_embed.weight"),
    ("decoder.decoder.up", "decoder.up"),
    ("decoder.decoder.reg_scale", "decoder.reg_scale"),
]
LIGHT = [
    ("encoder.input_proj.0.conv.weight", "encoder.input_proj.0.conv.weight"),
    ("encoder.down_sample1.1.weight", "encoder.down_conv1.conv.weight"),
    ("encoder.down_sample2.2.running_mean", "encoder.down_conv2.norm.running_mean"),
    ("encoder.bi_fusion.cv.norm.weight", "encoder.bi_fusion_conv.norm.weight"),
    ("encoder.fpn_block.cv1.conv.weight", "encoder.fpn_block.conv1.conv.weight"),
    ("encoder.pan_block.cv4.norm.bias", "encoder.pan_block.conv2.norm.bias"),
    (
        "encoder.fpn_block.cv2.0.bottlenecks.1.conv2.conv.weight",
        "encoder.fpn_block.csp_rep1.bottlenecks.1.conv2.conv.weight",
    ),
    ("encoder.pan_block.cv3.1.conv.weight", "encoder.pan_block.csp_rep2.conv2.conv.weight"),
    ("decoder.decoder.layers.0.norm2.scale", "decoder.layers.0.encoder_attn_layer_norm.weight"),
]
HYBRID = [
    ("encoder.input_proj.1.norm.weight", "conv_encoder.encoder_input_proj.1.norm.weight"),
    ("encoder.encoder.0.layers.0.self_attn.out_proj.weight", "encoder.aifi.0.layers.0.self_attn.o_proj.weight"),
    ("encoder.encoder.0.layers.0.linear1.weight", "encoder.aifi.0.layers.0.mlp.layers.0.weight"),
    ("encoder.encoder.0.layers.0.linear2.bias", "encoder.aifi.0.layers.0.mlp.layers.1.bias"),
    ("encoder.encoder.0.layers.0.norm1.weight", "encoder.aifi.0.layers.0.self_attn_layer_norm.weight"),
    ("encoder.encoder.0.layers.0.norm2.bias", "encoder.aifi.0.layers.0.final_layer_norm.bias"),
    ("encoder.lateral_convs.0.conv.weight", "encoder.lateral_convs.0.conv.weight"),
    ("encoder.fpn_blocks.0.cv2.0.conv1.conv.weight", "encoder.fpn_blocks.0.csp_rep1.conv1.conv.weight"),
    ("encoder.pan_blocks.0.cv2.1.norm.running_var", "encoder.pan_blocks.0.csp_rep1.conv2.norm.running_var"),
    ("encoder.downsample_convs.0.0.cv2.conv.weight", "encoder.downsample_convs.0.conv2.conv.weight"),
    ("decoder.decoder.layers.0.gateway.gate.weight", "decoder.layers.0.gateway.gate.weight"),
    ("decoder.decoder.layers.0.gateway.norm.scale", "decoder.layers.0.gateway.norm.weight"),
]


@pytest.mark.parametrize(("name", "more"), [("deimv2-atto", LIGHT), ("deimv2-n", HYBRID)])
def test_the_authors_names_are_those_of_transformers(name: str, more: list[tuple[str, str]]) -> None:
    value = torch.zeros(3)
    mark = {"encoder.bi_fusion.cv.conv.weight": value} if name == "deimv2-atto" else {}
    network = built(name)
    own = set(network.state_dict())
    for theirs, expected in [*NAMES, *more]:
        state = {theirs: value, "decoder.decoder.up": value, **mark}
        assert expected in deimv2_state_dict.to_transformers_keys(state), theirs
        assert network.adapt_key(expected) in own, expected


BACK = [
    (r"^conv_encoder\.encoder_input_proj\.", "encoder.input_proj."),
    (r"^conv_encoder\.model\.embedder\.(.*)", r"backbone.stem.\1"),
    (r"^conv_encoder\.model\.encoder\.", "backbone."),
    (r"^(backbone\..*)\.convolution\.", r"\1.conv."),
    (r"^(backbone\..*)\.normalization\.", r"\1.bn."),
    (r"^encoder\.aifi\.", "encoder.encoder."),
    (r"^encoder\.down_conv(\d)\.conv\.", r"encoder.down_sample\1.1."),
    (r"^encoder\.down_conv(\d)\.norm\.", r"encoder.down_sample\1.2."),
    (r"^encoder\.bi_fusion_conv\.", "encoder.bi_fusion.cv."),
    (r"^encoder\.downsample_convs\.(\d)\.conv", r"encoder.downsample_convs.\1.0.cv"),
    (r"(n_block(?:s\.\d+)?)\.conv1\.", r"\1.cv1."),
    (r"(n_block(?:s\.\d+)?)\.conv2\.", r"\1.cv4."),
    (r"\.csp_rep1\.conv2\.", ".cv2.1."),
    (r"\.csp_rep2\.conv2\.", ".cv3.1."),
    (r"\.csp_rep1\.", ".cv2.0."),
    (r"\.csp_rep2\.", ".cv3.0."),
    (r"\.o_proj\.", ".out_proj."),
    (r"\.mlp\.layers\.0\.", ".linear1."),
    (r"\.mlp\.layers\.1\.", ".linear2."),
    (r"^(encoder.*)\.self_attn_layer_norm\.", r"\1.norm1."),
    (r"^(encoder.*)\.final_layer_norm\.", r"\1.norm2."),
    (r"^decoder\.class_embed\.", "decoder.dec_score_head."),
    (r"^decoder\.bbox_embed\.", "decoder.dec_bbox_head."),
    (r"^decoder_input_proj\.(\d)\.conv\.", r"decoder.input_proj.\1.0."),
    (r"^decoder_input_proj\.(\d)\.norm\.", r"decoder.input_proj.\1.1."),
    (r"^decoder\.(layers|lqe_layers|up|reg_scale)\b", r"decoder.decoder.\1"),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"\.self_attn_layer_norm\.weight", ".norm1.scale"),
    (r"\.encoder_attn_layer_norm\.weight", ".norm2.scale"),
    (r"\.final_layer_norm\.weight", ".norm3.scale"),
    (r"\.gateway\.norm\.weight", ".gateway.norm.scale"),
    (r"\.mlp\.down_proj\.", ".swish_ffn.w3."),
    (r"^enc_output\.0\.", "decoder.enc_output.proj."),
    (r"^enc_output\.1\.", "decoder.enc_output.norm."),
    (r"^(enc_|denoising_)", r"decoder.\1"),
]
JOINED = [("self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj."), ("mlp.gate_proj.", "mlp.up_proj.")]
TOGETHER = ["self_attn.in_proj_", "swish_ffn.w12."]


def by_the_authors(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return ``state`` under the authors' names, with their merged tensors and size-dependent buffers."""
    found = {"decoder.anchors": torch.zeros(1, 20, 4), "decoder.valid_mask": torch.ones(1, 20, 1)}
    for name in state:
        if name.startswith("model.") and not any(part in name for parts in JOINED for part in parts[1:]):
            found[_theirs(name.removeprefix("model."))] = _together(state, name)
    return found


def _theirs(name: str) -> str:
    for old, new in [*zip((parts[0] for parts in JOINED), TOGETHER, strict=True), *BACK]:
        name = re.sub(old, new, name)
    return name


def _together(state: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    parts = next((parts for parts in JOINED if parts[0] in name), (name,))
    return torch.cat([state[name.replace(parts[0], part)] for part in parts]) if len(parts) > 1 else state[name]


@both_kinds
def test_a_file_of_the_authors_is_read_whole(name: str, tmp_path: Path) -> None:
    network = built(name)
    state = by_the_authors(of_transformers(network))
    assert {theirs for theirs, _ours in (LIGHT if name == "deimv2-atto" else HYBRID)} <= set(state)
    save_file({name: one.contiguous() for name, one in state.items()}, tmp_path / "theirs.safetensors")
    again, report = loaded(tmp_path / "theirs.safetensors", name)
    assert not report.describe_misfits()
    assert torch.equal(answers(again), answers(network))
    fewer, report = loaded(tmp_path / "theirs.safetensors", name, 3)
    assert not report.describe_misfits()
    assert "network.model.enc_score_head.weight" in report.class_layers
    assert answers(fewer).shape[-1] == 3 + 4


def test_without_layers_for_its_choice_it_is_passed_on(tmp_path: Path) -> None:
    state = by_the_authors(of_transformers(built("deimv2-atto")))
    kept = {name: one.contiguous() for name, one in state.items() if "enc_output" not in name}
    save_file(kept, tmp_path / "theirs.safetensors")
    network, report = loaded(tmp_path / "theirs.safetensors", "deimv2-atto")
    assert not report.describe_misfits()
    assert torch.equal(network.network.model.enc_output[0].weight, torch.eye(64))
