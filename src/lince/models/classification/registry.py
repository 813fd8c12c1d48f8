"""Which networks there are: the presets, every timm backbone by name, and ``cnn``. No torch is loaded here."""

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
# What ``cnn`` alone stands for: the best of those tried that learns flowers from nothing in ten minutes on two cores,
# and the one for images of a few dozen pixels, such as digits.
DEFAULT_CNN = "conv 24 3 stride 2, norm, res 48 stride 2, res 96 stride 2, res 96, res 192 stride 2, gap, dropout 0.2"
SMALL_CNN = "conv 16 5 stride 2, norm, conv 32 3, norm, conv 64 3 stride 2, norm, conv 64 3, norm, flatten, dropout 0.4"
CNN_SIZE = 96
PAD_TYPES = ("same",)
PERMISSIVE = ("apache-2.0", "bsd-3-clause", "mit")
Triple = tuple[float, float, float]
_HALF_RANGE: Triple = (127.5, 127.5, 127.5)
_NORMALISATIONS = {
    "imagenet": "0.485 0.456 0.406 0.229 0.224 0.225",
    "half": "0.5 0.5 0.5 0.5 0.5 0.5",
    "unit": "0 0 0 1 1 1",
    "clip": "0.48145466 0.4578275 0.40821073 0.26862954 0.26130258 0.27577711",
}


@dataclass(frozen=True)
class ModelEntry:
    """One network that can be built: what it is called, what its published weights expect, what it costs.

    ``architecture`` is timm's name or ``cnn``; ``tag`` names one of its published weights; ``pad_type`` is ``same``
    for convolutions that pad as TensorFlow does; ``declaration`` holds the layers of a ``cnn``. ``size`` is the side
    in pixels that the weights were made for, ``mean`` and ``std`` are per channel in 0..255, ``channels`` and
    ``resize`` are named as in ``Preprocess``. ``repository`` is where the hub keeps the weights, empty when nowhere.
    ``params`` and ``macs`` (of the network below its head, at ``size``) and ``top1`` (published, ImageNet validation,
    percent) are known for the presets only.
    """

    name: str
    architecture: str
    tag: str = ""
    pad_type: str = ""
    declaration: str = ""
    size: int = 224
    mean: Triple = _HALF_RANGE
    std: Triple = _HALF_RANGE
    channels: str = "rgb"
    resize: str = "squash"
    licence: str = "none"
    repository: str = ""
    params: int | None = None
    macs: int | None = None
    top1: float | None = None

    @property
    def identifier(self) -> str:
        """The text that ``find`` turns into this network again."""
        if self.architecture == CNN:
            return f"{CNN}: {self.declaration}"
        return self.pretrained_name + (f" pad_type={self.pad_type}" if self.pad_type else "")

    @property
    def name_without_tag(self) -> str:
        """The network's name without that of any published weights."""
        return self.architecture + (f" pad_type={self.pad_type}" if self.pad_type else "")

    @property
    def pretrained_name(self) -> str:
        """The full name of the published weights, such as ``resnet18.a1_in1k``."""
        return f"{self.architecture}.{self.tag}" if self.tag else self.architecture

    @property
    def is_permissive(self) -> bool:
        """Whether the published weights may be used for anything."""
        return self.licence in PERMISSIVE

    @property
    def copyleft_notice(self) -> str:
        """What the licence of the program behind this network asks of its users; empty where it asks for nothing."""
        return ""

    def with_same_padding(self) -> ModelEntry:
        """Return the variant with TensorFlow's padding; weights made that way expect pixels from -1 to 1."""
        return replace(self, pad_type="same", mean=_HALF_RANGE, std=_HALF_RANGE)


@dataclass(frozen=True)
class _Preset:
    pretrained_name: str
    params: int
    macs: int
    top1: float


# Each is the most accurate network of its cost whose weights are permissive, by timm's table of ImageNet results.
_PRESETS = {
    # For old machines: a conv net made for phones, nothing but plain convolutions.
    "nano": _Preset("mobilenetv4_conv_small.e2400_r224_in1k", 1_261_664, 183_496_768, 73.8),
    # The default: a photo costs some 10 ms on one core. Pretrained on 21,000 classes before ImageNet's thousand, so its
    # features suit more than those.
    "small": _Preset("mobilenetv3_large_100.miil_in21k_ft_in1k", 2_971_952, 214_080_960, 77.9),
    # Ten times the cost; pretrained on 12,000 classes.
    "medium": _Preset("convnext_nano.in12k_ft_in1k", 14_951_280, 2_444_888_320, 82.9),
    # The largest that still trains in an evening on a laptop; better served by a GPU.
    "large": _Preset("convnext_small.in12k_ft_in1k", 49_453_152, 8_682_944_256, 85.3),
}


def list_presets() -> dict[str, ModelEntry]:
    """Return the four named choices, cheapest first; the weights of each may be used for anything."""
    return {name: get_model_entry(name) for name in _PRESETS}


def get_model_entry(name: str) -> ModelEntry:
    """Return the network that ``name`` stands for.

    ``name``: a preset, ``cnn`` or ``cnn: LAYERS``, or a timm backbone, with its tag or without, and with
    ``pad_type=same`` after it for TensorFlow's padding. Raises ``UsageError`` with the closest names otherwise, or
    with the layer that cannot be.
    """
    head, _colon, declaration = name.partition(":")
    if head.strip() == CNN:
        declaration = declaration.strip() or DEFAULT_CNN
        parse_layers(declaration)  # a mistake in it is told here, before any torch
        return ModelEntry(CNN, CNN, declaration=declaration, size=CNN_SIZE)
    wanted, *options = name.split() or [""]
    entry = _preset_entry(wanted) if wanted in _PRESETS else _pretrained_entry(wanted)
    return _with_options(entry, options)


def list_architectures() -> list[str]:
    """Return every timm architecture that can be asked for, sorted."""
    return sorted(_load_table())


def _preset_entry(name: str) -> ModelEntry:
    preset = _PRESETS[name]
    entry = _pretrained_entry(preset.pretrained_name)
    return replace(entry, name=name, params=preset.params, macs=preset.macs, top1=preset.top1)


def _pretrained_entry(name: str) -> ModelEntry:
    architecture, _dot, tag = name.partition(".")
    rows = _load_table().get(architecture)
    if rows is None:
        raise _unknown_model_error(name, architecture, [*_PRESETS, CNN, *_load_table()])
    if not tag:
        return replace(rows[0], name=architecture)
    by_tag = {row.tag: row for row in rows}
    if tag not in by_tag:
        raise _unknown_model_error(name, name, [row.pretrained_name for row in rows])
    return replace(by_tag[tag], name=name)


def _unknown_model_error(name: str, near: str, known: list[str]) -> UsageError:
    close = get_close_matches(near, known, n=5, cutoff=0.5)
    return UsageError(
        _("There is no model called '{name}'.").format(name=name),
        _("Did you mean: {names}?").format(names=", ".join(close))
        if close
        else _("Expected one of {presets}, cnn, 'cnn: LAYERS', or a timm backbone.").format(
            presets=", ".join(_PRESETS)
        ),
    )


def _with_options(entry: ModelEntry, options: list[str]) -> ModelEntry:
    for option in options:
        key, _equals, value = option.partition("=")
        if key != "pad_type" or value not in PAD_TYPES:
            raise UsageError(
                _("The model option '{option}' is not known.").format(option=option),
                _("Expected pad_type=same or nothing after the model's name."),
            )
        entry = entry.with_same_padding()
    return entry


@cache
def _load_table() -> dict[str, list[ModelEntry]]:
    # Facts of timm's published weights, one line each, the default ones of an architecture first.
    found: dict[str, list[ModelEntry]] = {}
    text = resources.files("lince.models").joinpath("timm.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        found.setdefault(row["name"], []).append(_row_to_entry(row))
    return found


def _row_to_entry(row: dict[str, str]) -> ModelEntry:
    mean, std = _parse_normalisation(row["normalisation"])
    published = f"{row['name']}.{row['tag']}"
    repository = row["repository"] or f"timm/{published}"
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
def _parse_normalisation(text: str) -> tuple[Triple, Triple]:
    values = [round(255 * float(value), 5) for value in _NORMALISATIONS.get(text, text).split()]
    return (values[0], values[1], values[2]), (values[3], values[4], values[5])
