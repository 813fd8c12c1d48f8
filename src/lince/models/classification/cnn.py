"""Small networks built from a declaration, each layer checked against the size that reaches it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from lince.errors import UsageError
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.classification.layer_spec import LayerSpec, move_activation_after_norm, parse_layers
from lince.models.same_padding import PaddedConv, compute_same_pads
from lince.preprocess import PreprocessSpec

OutputShape = tuple[int, ...]  # (C, H, W) of a map, (D,) of a vector
BuiltLayer = tuple[nn.Module, OutputShape]
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "none": nn.Identity,
}


class CustomCnn(nn.Module):
    """The declared layers; the vector that leaves the last one is the embedding, ``width`` values long."""

    def __init__(self, declaration: str, spec: PreprocessSpec) -> None:
        super().__init__()
        shape: OutputShape = spec.shape
        self.layers = nn.ModuleList()
        self.names: list[str] = []
        self.last_map = -1
        for layer in move_activation_after_norm(parse_layers(declaration)):
            module, shape = build_layer(layer, shape)
            if len(shape) == 3:
                self.last_map = len(self.layers)
            self.layers.append(module)
            self.names.append(f"{layer.kind}{layer.position}")
        if len(shape) == 3:
            raise UsageError(
                _("The last layer leaves a map of {c} x {h} x {w}.").format(c=shape[0], h=shape[1], w=shape[2]),
                _("The classes need a vector: end with flatten, gap or dense."),
            )
        self.width = shape[0]
        self.apply(_initialise_weights)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, D) and the last feature map (N, K, h, w) of images ``x`` (N, C, H, W).

        Where no layer makes a map, the images themselves stand for it.
        """
        last = x
        for place, layer in enumerate(self.layers):
            x = layer(x)
            if place == self.last_map:
                last = x
        return x, last

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding (N, D) of images ``x`` (N, C, H, W)."""
        return self.embed(x)[0]

    def list_blocks(self) -> list[Block]:
        """Return the declared layers by kind and place, such as ``conv1``; those without weights stand alone too."""
        return list(zip(self.names, self.layers, strict=True))


def _initialise_weights(module: nn.Module) -> None:
    # He et al. 2015: what leaves a layer varies as much as what enters it, so that plain deep nets learn at all.
    if isinstance(module, nn.Conv2d | nn.Linear):
        is_dense = isinstance(module, nn.Linear)
        nn.init.kaiming_normal_(module.weight, mode="fan_in" if is_dense else "fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def build_layer(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return the module of ``layer`` for an input of ``shape``, and the shape that leaves it; refuse what cannot be."""
    if layer.kind in _MAP_LAYERS and len(shape) != 3:
        raise UsageError(
            _("Layer {place} '{name}' stands after the map was flattened.").format(
                place=layer.position, name=layer.kind
            ),
            _("Put it before flatten or gap."),
        )
    if layer.kind == "dense" and len(shape) != 1:
        raise UsageError(
            _("Layer {place} 'dense' needs a vector, and a map reaches it.").format(place=layer.position),
            _("Put flatten or gap before the first dense layer."),
        )
    module, after = _BUILDERS[layer.kind](layer, shape)
    if min(after) < 1:
        raise UsageError(
            _("Layer {place} '{name}' leaves nothing of a map of {h} x {w}.").format(
                place=layer.position, name=layer.kind, h=shape[1], w=shape[2]
            ),
            _("Expected a map of at least the layer's size."),
            _("Take out a pooling, use a smaller kernel, or larger images."),
        )
    return module, after


def _convolution(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    depth, height, width = shape
    convolution = nn.Conv2d(depth, layer.size, layer.kernel, layer.stride, bias=layer.bias)
    if layer.padding == "same":
        sides = [-(-side // layer.stride) for side in (height, width)]
        module = _same_padded_conv(convolution, height, width)
    else:
        sides = [(side - layer.kernel) // layer.stride + 1 for side in (height, width)]
        module = convolution
    return nn.Sequential(module, _ACTIVATIONS[layer.activation]()), (layer.size, *sides)


def _same_padded_conv(convolution: nn.Conv2d, height: int, width: int) -> nn.Module:
    left, right, top, bottom = pads = compute_same_pads(height, width, convolution)
    if (left, top) != (right, bottom):
        return PaddedConv.wrap_conv(convolution, pads)
    convolution.padding = (top, left)
    return convolution


class _ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with norms beside a short cut (He et al. 2016, https://arxiv.org/abs/1512.03385)."""

    def __init__(self, depth: int, layer: LayerSpec, halved: bool) -> None:
        super().__init__()
        filters, stride, activation = layer.size, layer.stride, layer.activation
        self.body = nn.Sequential(
            nn.Conv2d(depth, filters, 3, stride, 1, bias=False),
            nn.BatchNorm2d(filters),
            _ACTIVATIONS[activation](),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.short_cut: nn.Module = nn.Identity()
        if stride > 1 or depth != filters:
            # The average keeps what a strided convolution would skip (He et al. 2019); odd maps have no halves.
            pool = nn.AvgPool2d(stride) if halved else nn.Identity()
            cut = nn.Conv2d(depth, filters, 1, 1 if halved else stride, bias=False)
            self.short_cut = nn.Sequential(pool, cut, nn.BatchNorm2d(filters))
        self.end = _ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x) + self.short_cut(x))  # type: ignore[no-any-return]


def _residual(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    depth, *sides = shape
    after = (layer.size, *((side - 1) // layer.stride + 1 for side in sides))
    halved = layer.stride > 1 and all(side % layer.stride == 0 for side in sides)
    return _ResidualBlock(depth, layer, halved), after


def _pooling(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    make = nn.MaxPool2d if layer.kind == "pool" else nn.AvgPool2d
    depth, *sides = shape
    return make(layer.size, layer.stride), (depth, *((side - layer.size) // layer.stride + 1 for side in sides))


def _norm(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    norm = (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0])
    return norm if layer.activation == "none" else nn.Sequential(norm, _ACTIVATIONS[layer.activation]()), shape


def _dense(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    linear = nn.Linear(shape[0], layer.size)
    return nn.Sequential(linear, _ACTIVATIONS[layer.activation]()), (layer.size,)


def _flatten(_layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    count = 1
    for side in shape:
        count *= side
    return nn.Flatten(), (count,)


def _global_average(_layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (shape[0],)


def _dropout(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    return nn.Dropout(layer.share), shape


def _activation(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    return _ACTIVATIONS[layer.kind](), shape


_MAP_LAYERS = ("conv", "res", "pool", "avgpool", "gap")
_BUILDERS: dict[str, Callable[[LayerSpec, OutputShape], BuiltLayer]] = {
    "conv": _convolution,
    "res": _residual,
    "pool": _pooling,
    "avgpool": _pooling,
    "norm": _norm,
    "dropout": _dropout,
    "relu": _activation,
    "gelu": _activation,
    "silu": _activation,
    "flatten": _flatten,
    "gap": _global_average,
    "dense": _dense,
}
