"""Builds small networks from a declaration of their layers, each checked against the size of its input."""

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
    """The declared layers; the output of the last one, a vector of ``width`` values, is the embedding.

    Raises ``UsageError`` when the last layer returns a feature map, or a layer does not fit the size of its input.
    """

    def __init__(self, declaration: str, spec: PreprocessSpec) -> None:
        super().__init__()
        shape: OutputShape = spec.shape
        self.layers = nn.ModuleList()
        self.names: list[str] = []
        self.last_map_index = -1
        for layer in move_activation_after_norm(parse_layers(declaration)):
            module, shape = build_layer(layer, shape)
            if len(shape) == 3:
                self.last_map_index = len(self.layers)
            self.layers.append(module)
            self.names.append(f"{layer.kind}{layer.position}")
        if len(shape) == 3:
            raise UsageError(
                _("The output of the last layer is a feature map of {c} x {h} x {w}.").format(
                    c=shape[0], h=shape[1], w=shape[2]
                ),
                _("Expected a vector for the classifier: end with flatten, gap or dense."),
            )
        self.width = shape[0]
        self.apply(_initialise_weights)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (N, D) and the last feature map (N, K, h, w) of images ``x`` (N, C, H, W).

        The images are the feature map where no layer returns one.
        """
        last = x
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index == self.last_map_index:
                last = x
        return x, last

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding (N, D) of images ``x`` (N, C, H, W)."""
        return self.embed(x)[0]

    def list_blocks(self) -> list[Block]:
        """Return the declared layers by kind and position, such as ``conv1``; layers without weights are blocks too."""
        return list(zip(self.names, self.layers, strict=True))


def _initialise_weights(module: nn.Module) -> None:
    """Initialise a convolution or dense layer so that the variance of activations is kept (He et al. 2015)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        is_dense = isinstance(module, nn.Linear)
        nn.init.kaiming_normal_(module.weight, mode="fan_in" if is_dense else "fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def build_layer(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return the module of ``layer`` for inputs of ``shape`` (without the batch axis), and the shape of its output.

    Raises ``UsageError`` when the layer needs a map and gets a vector or the reverse, and when its output would be
    empty.
    """
    if layer.kind in _MAP_LAYERS and len(shape) != 3:
        raise UsageError(
            _("Layer {place} '{name}' comes after the feature map was flattened.").format(
                place=layer.position, name=layer.kind
            ),
            _("Put it before flatten or gap."),
        )
    if layer.kind == "dense" and len(shape) != 1:
        raise UsageError(
            _("Layer {place} 'dense' needs a vector, but its input is a feature map.").format(place=layer.position),
            _("Put flatten or gap before the first dense layer."),
        )
    module, output_shape = _BUILDERS[layer.kind](layer, shape)
    if min(output_shape) < 1:
        raise UsageError(
            _("Layer {place} '{name}' does not fit a feature map of {h} x {w}.").format(
                place=layer.position, name=layer.kind, h=shape[1], w=shape[2]
            ),
            _("Expected a feature map of at least the layer's size."),
            _("Remove a pooling layer, use a smaller kernel, or larger images."),
        )
    return module, output_shape


def _convolution(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return a convolution with its activation."""
    channels, height, width = shape
    convolution = nn.Conv2d(channels, layer.size, layer.kernel, layer.stride, bias=layer.bias)
    if layer.padding == "same":
        sides = [-(-side // layer.stride) for side in (height, width)]
        module = _same_padded_conv(convolution, height, width)
    else:
        sides = [(side - layer.kernel) // layer.stride + 1 for side in (height, width)]
        module = convolution
    return nn.Sequential(module, _ACTIVATIONS[layer.activation]()), (layer.size, *sides)


def _same_padded_conv(convolution: nn.Conv2d, height: int, width: int) -> nn.Module:
    """Return ``convolution`` with TensorFlow's ``same`` padding for inputs of (height, width)."""
    left, right, top, bottom = pads = compute_same_pads(height, width, convolution)
    if (left, top) != (right, bottom):
        return PaddedConv.wrap_conv(convolution, pads)
    convolution.padding = (top, left)
    return convolution


class _ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm and a residual connection (He et al. 2016).

    Where the shapes differ, the connection is a 1 x 1 convolution with batch norm; if the input can be divided evenly
    (``halved``), after average pooling instead of with a stride, which keeps what the stride would skip (He et al.
    2019).
    """

    def __init__(self, channels: int, layer: LayerSpec, halved: bool) -> None:
        super().__init__()
        filters, stride, activation = layer.size, layer.stride, layer.activation
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False),
            nn.BatchNorm2d(filters),
            _ACTIVATIONS[activation](),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.short_cut: nn.Module = nn.Identity()
        if stride > 1 or channels != filters:
            pool = nn.AvgPool2d(stride) if halved else nn.Identity()
            projection = nn.Conv2d(channels, filters, 1, 1 if halved else stride, bias=False)
            self.short_cut = nn.Sequential(pool, projection, nn.BatchNorm2d(filters))
        self.end = _ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum of the convolutions and the connection."""
        return self.end(self.body(x) + self.short_cut(x))  # type: ignore[no-any-return]


def _residual(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return a residual block."""
    channels, *sides = shape
    output_shape = (layer.size, *((side - 1) // layer.stride + 1 for side in sides))
    halved = layer.stride > 1 and all(side % layer.stride == 0 for side in sides)
    return _ResidualBlock(channels, layer, halved), output_shape


def _pooling(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return a max or average pooling layer."""
    pool_class = nn.MaxPool2d if layer.kind == "pool" else nn.AvgPool2d
    channels, *sides = shape
    return pool_class(layer.size, layer.stride), (
        channels,
        *((side - layer.size) // layer.stride + 1 for side in sides),
    )


def _norm(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return a batch norm, with the activation of the convolution before it if there is one."""
    norm = (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0])
    return norm if layer.activation == "none" else nn.Sequential(norm, _ACTIVATIONS[layer.activation]()), shape


def _dense(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return a dense layer with its activation."""
    linear = nn.Linear(shape[0], layer.size)
    return nn.Sequential(linear, _ACTIVATIONS[layer.activation]()), (layer.size,)


def _flatten(_layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return a layer that flattens a map or a vector."""
    count = 1
    for side in shape:
        count *= side
    return nn.Flatten(), (count,)


def _global_average(_layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return global average pooling."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (shape[0],)


def _dropout(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return a dropout layer."""
    return nn.Dropout(layer.dropout), shape


def _activation(layer: LayerSpec, shape: OutputShape) -> BuiltLayer:
    """Return an activation without weights."""
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
