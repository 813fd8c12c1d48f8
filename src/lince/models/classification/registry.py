"""The registry of classification networks: presets, all timm backbones, and ``cnn``; does not load torch."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources

from lince.errors import UsageError
from lince.i18n import _
from lince.models.classification.layer_spec import parse_layers

CNN = "cnn"
DEFAULT_MODEL = "lite"  # of the recipes that start from pretrained weights
# ``cnn`` without layers: the best of those tried that trains from scratch on flowers in ten minutes on two cores, and
# the one for images of a few dozen pixels, such as digits.
DEFAULT_CNN = "conv 24 3 stride 2, norm, res 48 stride 2, res 96 stride 2, res 96, res 192 stride 2, gap, dropout 0.2"
SMALL_CNN = "conv 16 5 stride 2, norm, conv 32 3, norm, conv 64 3 stride 2, norm, conv 64 3, norm, flatten, dropout 0.4"
CNN_SIZE = 96
PAD_TYPES = ("same",)
PERMISSIVE_LICENCES = ("apache-2.0", "bsd-3-clause", "mit")
ChannelValues = tuple[float, float, float]
_HALF_RANGE: ChannelValues = (127.5, 127.5, 127.5)
NORMALISATIONS = {
    "imagenet": "0.485 0.456 0.406 0.229 0.224 0.225",
    "half": "0.5 0.5 0.5 0.5 0.5 0.5",
    "unit": "0 0 0 1 1 1",
    "clip": "0.48145466 0.4578275 0.40821073 0.26862954 0.26130258 0.27577711",
}


@dataclass(frozen=True)
class ModelEntry:
    """A network that can be built: its name, what its published weights expect, and its cost.

    ``architecture`` is timm's name or ``cnn``; ``tag`` names one of its published weights; ``pad_type`` is ``same`` for
    TensorFlow's padding; ``declaration`` has the layers of a ``cnn``. ``size`` is the side in pixels of the inputs that
    the weights were trained with; ``mean`` and ``std`` are per channel in 0..255; ``channels`` and ``resize`` are those
    of ``PreprocessSpec``. ``licence`` is that of the weights, ``none`` where there are none; ``repository`` is theirs
    on the Hugging Face hub, empty where there is none. ``params`` and ``macs`` (of the backbone, at ``size``) and
    ``top1`` (published, ImageNet validation, in percent) are known for presets only.
    """

    name: str
    architecture: str
    tag: str = ""
    pad_type: str = ""
    declaration: str = ""
    size: int = 224
    mean: ChannelValues = _HALF_RANGE
    std: ChannelValues = _HALF_RANGE
    channels: str = "rgb"
    resize: str = "squash"
    licence: str = "none"
    repository: str = ""
    params: int | None = None
    macs: int | None = None
    top1: float | None = None

    @property
    def identifier(self) -> str:
        """The name with which ``get_model_entry`` returns this network again."""
        if self.architecture == CNN:
            return f"{CNN}: {self.declaration}"
        return self.pretrained_name + (f" pad_type={self.pad_type}" if self.pad_type else "")

    @property
    def name_without_tag(self) -> str:
        """The network's name without the tag of pretrained weights."""
        return self.architecture + (f" pad_type={self.pad_type}" if self.pad_type else "")

    @property
    def pretrained_name(self) -> str:
        """The full name of the published weights, such as ``resnet18.a1_in1k``."""
        return f"{self.architecture}.{self.tag}" if self.tag else self.architecture

    @property
    def is_permissive(self) -> bool:
        """Whether the licence of the published weights permits any use."""
        return self.licence in PERMISSIVE_LICENCES

    @property
    def copyleft_notice(self) -> str:
        """What the licence of this network's implementation requires of its users; empty if nothing."""
        return ""

    def with_same_padding(self) -> ModelEntry:
        """Return the variant with TensorFlow's padding, whose weights expect pixels in -1..1."""
        return replace(self, pad_type="same", mean=_HALF_RANGE, std=_HALF_RANGE)


@dataclass(frozen=True)
class _Preset:
    """The weights of a preset and the facts that timm's table does not have."""

    pretrained_name: str
    params: int
    macs: int
    top1: float


# The most accurate network of its cost with a permissive licence, by timm's ImageNet results.
PRESETS = {
    # For old machines: designed for phones, with plain convolutions only.
    "nano": _Preset("mobilenetv4_conv_small.e2400_r224_in1k", 1_261_664, 183_496_768, 73.8),
    # About 10 ms per image on one core. Pretrained on 21,000 classes before ImageNet's 1,000, so that its features are
    # more general.
    "small": _Preset("mobilenetv3_large_100.miil_in21k_ft_in1k", 2_971_952, 214_080_960, 77.9),
    # The default: its weights are installed with lince, and its features are those of a better head than the two above.
    "lite": _Preset("tf_efficientnet_lite0.in1k pad_type=same", 3_371_008, 383_907_552, 74.8),
    # Six times the cost; pretrained on 12,000 classes.
    "medium": _Preset("convnext_nano.in12k_ft_in1k", 14_951_280, 2_444_888_320, 82.9),
    # The largest that can be trained in an evening on a laptop; a GPU is recommended.
    "large": _Preset("convnext_small.in12k_ft_in1k", 49_453_152, 8_682_944_256, 85.3),
}


def list_presets() -> dict[str, ModelEntry]:
    """Return the presets by name, cheapest first; all have permissive licences."""
    return {name: get_model_entry(name) for name in PRESETS}


def get_model_entry(name: str) -> ModelEntry:
    """Return the network called ``name``.

    That is a preset, ``cnn`` or ``cnn: LAYERS``, or a timm backbone with or without the tag of its weights, which may
    be followed by ``pad_type=same`` for TensorFlow's padding. Raises ``UsageError`` with similar names for an unknown
    one, and with the layer for an invalid declaration.
    """
    architecture, _colon, declaration = name.partition(":")
    if architecture.strip() == CNN:
        declaration = declaration.strip() or DEFAULT_CNN
        parse_layers(declaration)  # raises the error for an invalid declaration before torch is loaded
        return ModelEntry(CNN, CNN, declaration=declaration, size=CNN_SIZE)
    base_name, *options = name.split() or [""]
    entry = _preset_entry(base_name) if base_name in PRESETS else _pretrained_entry(base_name)
    return _with_options(entry, options)


def list_architectures() -> list[str]:
    """Return the names of all timm architectures that can be built, sorted."""
    return sorted(_load_table())


def _preset_entry(name: str) -> ModelEntry:
    """Return the entry of the preset ``name``."""
    preset = PRESETS[name]
    entry = get_model_entry(preset.pretrained_name)
    return replace(entry, name=name, params=preset.params, macs=preset.macs, top1=preset.top1)


def _pretrained_entry(name: str) -> ModelEntry:
    """Return the entry of a timm architecture, with a tag or with its default weights."""
    architecture, _dot, tag = name.partition(".")
    rows = _load_table().get(architecture)
    if rows is None:
        raise _unknown_model_error(name, architecture, [*PRESETS, CNN, *_load_table()])
    if not tag:
        return replace(rows[0], name=architecture)
    by_tag = {row.tag: row for row in rows}
    if tag not in by_tag:
        raise _unknown_model_error(name, name, [row.pretrained_name for row in rows])
    return replace(by_tag[tag], name=name)


def _unknown_model_error(name: str, misspelt: str, names: list[str]) -> UsageError:
    """Return the error for an unknown ``name``, with up to five of ``names`` similar to ``misspelt``."""
    similar = get_close_matches(misspelt, names, n=5, cutoff=0.5)
    return UsageError(
        _("There is no model called '{name}'.").format(name=name),
        _("Did you mean: {names}?").format(names=", ".join(similar))
        if similar
        else _("Expected one of {presets}, cnn, 'cnn: LAYERS', or a timm backbone.").format(presets=", ".join(PRESETS)),
    )


def _with_options(entry: ModelEntry, options: list[str]) -> ModelEntry:
    """Return ``entry`` with ``options`` applied, of which ``pad_type=same`` is the only one."""
    for option in options:
        key, _equals, value = option.partition("=")
        if key != "pad_type" or value not in PAD_TYPES:
            raise UsageError(
                _("Unknown model option '{option}'.").format(option=option),
                _("Expected pad_type=same or nothing after the model's name."),
            )
        entry = entry.with_same_padding()
    return entry


@cache
def _load_table() -> dict[str, list[ModelEntry]]:
    """Return the published weights of each timm architecture, the default ones first.

    They come from ``timm.csv``, which ``scripts/timm_table.py`` makes, so that timm need not be loaded.
    """
    table: dict[str, list[ModelEntry]] = {}
    text = resources.files("lince.models").joinpath("timm.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        table.setdefault(row["name"], []).append(_row_to_entry(row))
    return table


def _row_to_entry(row: dict[str, str]) -> ModelEntry:
    """Return the entry of a row of the table; the columns are described in ``scripts/timm_table.py``."""
    mean, std = _parse_normalisation(row["normalisation"])
    full_name = f"{row['name']}.{row['tag']}"
    repository = row["repository"] or f"timm/{full_name}"
    return ModelEntry(
        name=row["name"],
        architecture=row["name"],
        tag=row["tag"],
        size=int(row["size"]),
        mean=mean,
        std=std,
        licence=row["licence"],
        repository="" if repository == "-" else repository,
    )


@cache
def _parse_normalisation(text: str) -> tuple[ChannelValues, ChannelValues]:
    """Return the mean and standard deviation in 0..255 of a name in ``NORMALISATIONS`` or of six numbers in 0..1."""
    values = [round(255 * float(value), 5) for value in NORMALISATIONS.get(text, text).split()]
    return (values[0], values[1], values[2]), (values[3], values[4], values[5])
