"""CNN specifications: layer syntax, shapes and refusals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince.errors import UsageError
from lince.models.classification.layer_spec import LAYER_KINDS, LayerSpec, parse_layers
from lince.preprocess import PreprocessSpec

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from lince.models.classification.classifier import build_classifier  # noqa: E402
from lince.models.classification.cnn import CustomCnn  # noqa: E402

LESSON = "conv 16 10, pool, conv 32 10, pool, conv 64 10, pool, flatten, dense 50, dense 20"


def spec(side: int = 32) -> PreprocessSpec:
    return PreprocessSpec(side, side)


def test_the_lesson_network_has_keras_shapes_and_parameters() -> None:
    network = build_classifier(f"cnn: {LESSON}", 5, spec(150))
    weights = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    assert weights == [(16, 3, 10, 10), (32, 16, 10, 10), (64, 32, 10, 10), (50, 18 * 18 * 64), (20, 50), (5, 20)]
    assert network(torch.zeros(2, 3, 150, 150)).shape == (2, 5)


@pytest.mark.filterwarnings("ignore:Using padding=.same.:UserWarning")
def test_same_padding_with_an_even_kernel_is_torchs_own() -> None:
    network = CustomCnn("conv 4 10 none, flatten", spec(16))
    reference = nn.Conv2d(3, 4, 10, padding="same")
    ours = network.layers[0][0]
    reference.load_state_dict({"weight": ours.weight, "bias": ours.bias})
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(network.embed(x)[1], reference(x))


@pytest.mark.parametrize("side", [16, 17])
def test_same_padding_with_a_stride_is_that_of_timm(side: int) -> None:
    layers = pytest.importorskip("timm.layers")
    network = CustomCnn("conv 4 3 stride 2 none, flatten", spec(side))
    ours = network.layers[0][0]
    reference = layers.Conv2dSame(3, 4, 3, 2)
    reference.load_state_dict({"weight": ours.weight, "bias": ours.bias})
    x = torch.randn(2, 3, side, side)
    torch.testing.assert_close(network.embed(x)[1], reference(x))


def test_the_map_is_the_last_one_and_the_embedding_what_reaches_the_head() -> None:
    network = build_classifier("cnn: conv 4 3 stride 2, norm, dropout 0.5, gap, dense 7", 3, spec()).eval()
    embedding, last = network.embed(torch.randn(2, 3, 32, 32))
    assert embedding.shape == (2, 7)
    assert last.shape == (2, 4, 16, 16)
    assert [name for name, _module in network.list_blocks()] == ["conv1", "norm2", "dropout3", "gap4", "dense5", "head"]


def test_a_network_without_maps_shows_the_image() -> None:
    x = torch.randn(2, 3, 8, 8)
    _embedding, last = build_classifier("cnn: flatten, dense 5", 2, spec(8)).embed(x)
    assert last is x


def test_grey_images_have_one_channel() -> None:
    grey = PreprocessSpec(28, 28, channels="grey", mean=(0.0,), std=(255.0,))
    assert build_classifier("cnn: conv 4 3, gap", 10, grey)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_a_residual_layer_adds_its_short_cut() -> None:
    network = CustomCnn("res 3 none, flatten", spec(8)).eval()
    block = network.layers[0]
    nn.init.zeros_(block.body[4].weight)
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(block(x), x)
    assert CustomCnn("res 8 stride 2, flatten", spec(9)).width == 8 * 5 * 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Layer 1 is empty"),
        ("conv 8 3,, gap", "Layer 2 is empty"),
        ("conv 8 3, pool, conv", "Layer 3 'conv': the number of filters is missing"),
        ("flatten, dense", "Layer 2 'dense': the number of units is missing"),
        ("dropout", "Layer 1 'dropout': the dropout rate is missing"),
        ("dropout 1.5", "Layer 1 'dropout': 1.5 is not valid"),
        ("conv 8 3 5", "Layer 1 'conv' has 3 numbers, but takes at most 2"),
        ("conv 8 0", "Layer 1 'conv': 0 is not valid"),
        ("conv 2.5 3", "Layer 1 'conv': 2.5 is not valid"),
        ("conv 8 3 stride", "Layer 1 'conv': nothing is not valid"),
        ("conv 8 3 sama", "Layer 1 'conv' has no option 'sama'"),
        ("gap 3", "Layer 1 'gap' has 1 numbers, but takes at most 0"),
        ("covn 8", "Layer 1 'covn' is not a known layer type"),
    ],
)
def test_a_wrong_declaration_names_the_layer(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", "\\(")):
        parse_layers(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pool, pool, pool, pool, gap", "Layer 4 'pool' does not fit a feature map of 1 x 1"),
        ("conv 4 9 valid, gap", "Layer 1 'conv' does not fit a feature map of 8 x 8"),
        ("flatten, conv 4 3", "Layer 2 'conv' comes after the feature map was flattened"),
        ("dense 5", "Layer 1 'dense' needs a vector"),
        ("conv 4 3", "The output of the last layer is a feature map of 4 x 8 x 8"),
    ],
)
def test_layers_that_cannot_follow_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CustomCnn(text, spec(8))


layer_texts = st.one_of(
    st.builds(
        "conv {} {} stride {} {} {}".format,
        st.integers(1, 64),
        st.integers(1, 11),
        st.integers(1, 4),
        st.sampled_from(["same", "valid"]),
        st.sampled_from(["relu", "gelu", "silu", "none"]),
    ),
    st.builds("dense {} {}".format, st.integers(1, 500), st.sampled_from(["relu", "gelu", "silu", "none"])),
    st.builds("{} {}".format, st.sampled_from(["pool", "avgpool"]), st.integers(1, 5)),
    st.builds("dropout {:.2f}".format, st.floats(0, 0.99)),
    st.sampled_from(["norm", "flatten", "gap", "relu", "conv 8", "res 16", "pool"]),
)


@given(st.lists(layer_texts, min_size=1, max_size=8))
def test_what_is_parsed_says_the_same_when_written_again(texts: list[str]) -> None:
    layers = parse_layers(", ".join(texts))
    assert [layer.position for layer in layers] == list(range(1, len(texts) + 1))
    assert parse_layers(", ".join(layer.declaration for layer in layers)) == layers


@given(st.text(alphabet="convpldesrtuf 0123456789.,-", max_size=60))
def test_any_text_is_layers_or_a_refusal(text: str) -> None:
    try:
        layers = parse_layers(text)
    except UsageError as error:
        refusal = str(error)
    else:
        assert all(isinstance(layer, LayerSpec) and layer.kind in LAYER_KINDS for layer in layers)
        return
    assert refusal.startswith("Layer ")


@settings(max_examples=30, deadline=None)
@given(st.lists(layer_texts, min_size=1, max_size=5))
def test_the_shapes_that_are_promised_are_those_that_come(texts: list[str]) -> None:
    try:
        network = CustomCnn(", ".join(texts), spec(12)).eval()
    except UsageError:
        return
    embedding, _last = network.embed(torch.zeros(2, 3, 12, 12))
    assert embedding.shape == (2, network.width)


def test_a_norm_comes_before_the_activation_of_its_convolution():
    body = build_classifier("cnn: conv 4 3 silu, norm, conv 4 3, norm, gap", 3, spec()).body
    kinds = [type(one).__name__ for one in body.modules() if not list(one.children())]
    assert kinds[:6] == ["Conv2d", "Identity", "BatchNorm2d", "SiLU", "Conv2d", "Identity"]
    assert all(one.bias is None for one in body.modules() if isinstance(one, torch.nn.Conv2d))


def test_a_norm_after_a_pooling_adds_no_activation():
    body = build_classifier("cnn: conv 4 3, pool, norm, gap", 3, spec()).body
    assert sum(isinstance(one, torch.nn.ReLU) for one in body.modules()) == 1
