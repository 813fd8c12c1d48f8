"""The registry of detectors and what their published weights expect; does not load torch."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib.util import find_spec

from lince.errors import UsageError
from lince.i18n import _
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ChannelValues, ModelEntry


@dataclass(frozen=True)
class DetectorEntry(ModelEntry):
    """A detector: the fields of ``ModelEntry``, and its size multipliers and accuracy.

    ``family`` is a key of ``builders.DETECTOR_MODULES``. ``depth`` and ``width`` multiply layers and channels;
    ``separable`` uses depthwise separable convolutions. ``ap`` is the published average precision of the weights on
    COCO val2017 (IoU 0.50 to 0.95, in percent) at ``size``. ``params`` and ``macs`` are of the whole network with 80
    classes. ``rate`` multiplies a recipe's default learning rate. ``prototypes`` is the number of maps of which masks
    are made, 0 for boxes alone.
    """

    family: str = "yolox"
    depth: float = 1.0
    width: float = 1.0
    separable: bool = False
    ap: float | None = None
    rate: float = 1.0
    prototypes: int = 0

    @property
    def copyleft_notice(self) -> str:
        """What the licence of Ultralytics requires of users of its networks; empty for all others."""
        return _agpl_notice(self.name) if self.family == ULTRALYTICS else ""

    @property
    def identifier(self) -> str:
        """The name with which ``get_detector_entry`` returns this detector again."""
        return f"{FASTER_RCNN}: {super().identifier}" if self.family == FASTER_RCNN else self.name

    @property
    def name_without_tag(self) -> str:
        """The detector's name without the tag of pretrained weights."""
        return f"{FASTER_RCNN}: {super().name_without_tag}" if self.family == FASTER_RCNN else self.name


FASTER_RCNN = "fasterrcnn"
ULTRALYTICS = "ultralytics"
LIGHT_BACKBONE = "mobilenetv3_large_100"  # of ``fasterrcnn`` without a backbone: fast enough for laptops
_FASTER_RCNN_COST = {"params": 7_539_924, "macs": 6_187_740_352}  # with that backbone and 300 regions
# Name: depth, width, separable, size, AP, parameters, multiply-accumulates.
_YOLOX_MODELS = {
    "yolox-nano": (0.33, 0.25, True, 416, 25.8, 912_159, 522_553_408),
    "yolox-tiny": (0.33, 0.375, False, 416, 32.8, 5_055_855, 3_206_268_000),
    "yolox-s": (0.33, 0.50, False, 640, 40.5, 8_968_255, 13_342_771_200),
    "yolox-m": (0.67, 0.75, False, 640, 46.9, 25_326_495, 36_765_158_400),
    "yolox-l": (1.0, 1.0, False, 640, 49.7, 54_208_895, 77_646_336_000),
    "yolox-x": (1.33, 1.25, False, 640, 51.1, 99_071_455, 140_704_896_000),
}
_ModelRow = tuple[str, int, float, int, int]
# Name: repository on the hub, size, AP, parameters, multiply-accumulates (rounded to a million).
_DETR_MODELS = {
    "dfine-n": ("ustc-community/dfine-nano-coco", 640, 42.8, 3_782_693, 3_717_000_000),
    "dfine-s": ("ustc-community/dfine-small-coco", 640, 48.5, 10_321_877, 13_900_000_000),
    "dfine-m": ("ustc-community/dfine-medium-coco", 640, 52.3, 19_590_064, 30_243_000_000),
    "dfine-l": ("ustc-community/dfine-large-coco", 640, 54.0, 31_289_848, 47_854_000_000),
    "dfine-x": ("ustc-community/dfine-xlarge-coco", 640, 55.8, 62_715_480, 104_820_000_000),
    "deimv2-atto": ("Intellindust/DEIMv2_HGNetv2_ATTO_COCO", 320, 23.8, 513_273, 386_000_000),
    "deimv2-femto": ("Intellindust/DEIMv2_HGNetv2_FEMTO_COCO", 416, 31.0, 993_449, 864_000_000),
    "deimv2-pico": ("Intellindust/DEIMv2_HGNetv2_PICO_COCO", 640, 38.5, 1_552_419, 2_658_000_000),
    "deimv2-n": ("Intellindust/DEIMv2_HGNetv2_N_COCO", 640, 43.0, 3_617_189, 3_622_000_000),
    "rtdetrv2-r18": ("PekingU/rtdetr_v2_r18vd", 640, 48.1, 20_184_464, 30_756_000_000),
    "rtdetrv2-r34": ("PekingU/rtdetr_v2_r34vd", 640, 49.9, 31_441_668, 46_816_000_000),
    "rtdetrv2-r50": ("PekingU/rtdetr_v2_r50vd", 640, 53.4, 42_944_620, 68_921_000_000),
    "rtdetrv2-r101": ("PekingU/rtdetr_v2_r101vd", 640, 54.3, 76_661_740, 130_316_000_000),
}
# The same; the parameters include all groups of queries, of which inference uses one.
_RFDETR_MODELS = {
    "rfdetr-nano": ("Roboflow/rf-detr-nano", 384, 48.4, 30_427_336, 15_917_000_000),
    "rfdetr-small": ("Roboflow/rf-detr-small", 512, 53.0, 32_071_208, 29_802_000_000),
    "rfdetr-medium": ("Roboflow/rf-detr-medium", 576, 54.7, 33_647_496, 39_267_000_000),
    "rfdetr-large": ("Roboflow/rf-detr-large", 704, 56.5, 33_893_256, 62_636_000_000),
}
# The most accurate of their cost by published AP; the first is for laptops and for training from scratch.
_PRESETS = {"nano": "yolox-nano", "small": "dfine-n", "medium": "dfine-s", "large": "dfine-l"}
# Networks of Ultralytics that lince can train if its package is installed.
_INSTALLABLE_NAME = re.compile(r"yolo(?:v5|v8|11|12|26)[nsmlx]")
# All detectors of Ultralytics, with the letter of their size; suffixes such as -seg name other tasks.
_ULTRALYTICS_NAME = re.compile(r"yolo(?:v3|v5|v8|11|12|26)([nsmlx]?)(?:-?[tu]\w*)?(?:\.pt|\.yaml)?")


def list_detectors() -> dict[str, DetectorEntry]:
    """Return every detector by its name, family by family, the cheapest of each first.

    Only those whose weights have a permissive licence.
    """
    return {name: get_detector_entry(name) for name in (*_YOLOX_MODELS, FASTER_RCNN, *_DETR_MODELS, *_RFDETR_MODELS)}


def list_presets() -> dict[str, DetectorEntry]:
    """Return the presets by name, cheapest first."""
    return {name: get_detector_entry(name) for name in _PRESETS}


def get_detector_entry(name: str) -> DetectorEntry:
    """Return the detector called ``name``, a preset or a full name.

    ``fasterrcnn: BACKBONE`` is Faster R-CNN over any backbone of ``classification.registry``. Raises ``UsageError``
    with similar names for an unknown one, and with the reason for a network of Ultralytics whose package is not
    installed.
    """
    family, _colon, backbone = name.partition(":")
    if family.strip() == FASTER_RCNN:
        return _faster_rcnn_entry(backbone.strip())
    name = _PRESETS.get(name, name)
    if name in _YOLOX_MODELS:
        return _yolox_entry(name)
    if name in _DETR_MODELS:
        return _detr_entry(name)
    if name in _RFDETR_MODELS:
        return _rfdetr_entry(name)
    lower_name = name.lower().removesuffix(".pt").removesuffix(".yaml")
    if _INSTALLABLE_NAME.fullmatch(lower_name) and find_spec(ULTRALYTICS) is not None:
        return _ultralytics_entry(lower_name)
    ultralytics_match = _ULTRALYTICS_NAME.fullmatch(name.lower())
    if ultralytics_match is not None:
        raise _agpl_refusal(name, ultralytics_match[1] or "n")
    raise _unknown_detector_error(name)


def _unknown_detector_error(name: str) -> UsageError:
    """Return the error for an unknown ``name``, with up to three similar names."""
    names = [*_PRESETS, *_YOLOX_MODELS, FASTER_RCNN, *_DETR_MODELS, *_RFDETR_MODELS]
    similar = get_close_matches(name, names, n=3, cutoff=0.5)
    return UsageError(
        _("There is no detector called '{name}'.").format(name=name),
        _("Expected one of: {names}.").format(names=", ".join(similar or names)),
    )


def _agpl_notice(name: str) -> str:
    """Return what AGPL-3.0 requires of users of the network ``name``."""
    return _(
        "{name} is an Ultralytics network under AGPL-3.0: anyone who offers a program with it, even only as a "
        "service, must publish that program's source code under the same licence, or buy a commercial licence."
    ).format(name=name)


def _agpl_refusal(name: str, size: str) -> UsageError:
    """Return the error for a network of Ultralytics, with the alternative of that ``size`` (a letter)."""
    return UsageError(
        _agpl_notice(name) + " " + _("lince does not install it."),
        _("Expected a detector with a permissive licence; the closest is {model}.").format(model=f"dfine-{size}"),
        _(
            "If that licence suits you, install it yourself: pip install ultralytics; lince can then train "
            "models such as {model}. A network exported by another tool can be used directly: lince predict "
            "FILE.onnx PHOTOS"
        ).format(model=f"yolov8{size}"),
    )


def _ultralytics_entry(name: str) -> DetectorEntry:
    """Return the entry of a network of Ultralytics."""
    return DetectorEntry(
        name=name,
        architecture=name,
        size=640,
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
        resize="letterbox",
        licence="AGPL-3.0",
        params=None,
        macs=None,
        family=ULTRALYTICS,
    )


def _yolox_entry(name: str) -> DetectorEntry:
    """Return the entry of a YOLOX size."""
    depth, width, separable, size, ap, params, macs = _YOLOX_MODELS[name]
    return DetectorEntry(
        name=name,
        architecture=name.replace("-", "_"),
        size=size,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        channels="bgr",
        resize="corner",
        licence="apache-2.0",
        params=params,
        macs=macs,
        depth=depth,
        width=width,
        separable=separable,
        ap=ap,
    )


def _detr_entry(name: str) -> DetectorEntry:
    """Return the entry of a D-FINE, DEIMv2 or RT-DETRv2 size."""
    family = "rtdetr" if name.startswith("rtdetr") else name.partition("-")[0]
    return _pretrained_entry(name, _DETR_MODELS[name], family, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))


def _rfdetr_entry(name: str) -> DetectorEntry:
    """Return the entry of an RF-DETR size."""
    return _pretrained_entry(
        name, _RFDETR_MODELS[name], "rfdetr", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    )


def _pretrained_entry(name: str, row: _ModelRow, family: str, mean: ChannelValues, std: ChannelValues) -> DetectorEntry:
    """Return the entry of a detector with published weights from its ``row`` in a table above."""
    repository, size, ap, params, macs = row
    return DetectorEntry(
        name=name,
        architecture=name,
        size=size,
        mean=mean,
        std=std,
        licence="apache-2.0",
        repository=repository,
        params=params,
        macs=macs,
        family=family,
        ap=ap,
        rate=0.25,  # attention diverges at the learning rates of convolutional networks
    )


def _faster_rcnn_entry(backbone: str) -> DetectorEntry:
    """Return the entry of Faster R-CNN over the timm network ``backbone``; the default one for an empty text."""
    backbone_entry = classification_registry.get_model_entry(backbone or LIGHT_BACKBONE)
    if backbone_entry.architecture == classification_registry.CNN:
        raise UsageError(
            _("{model} cannot be the backbone of a detector.").format(model=classification_registry.CNN),
            _("Expected a timm backbone, such as resnet50 or mobilenetv3_large_100."),
        )
    fields = asdict(backbone_entry) | {"size": 416, "resize": "letterbox", "params": None, "macs": None}
    fields |= {} if backbone else _FASTER_RCNN_COST
    fields["name"] = f"{FASTER_RCNN}: {backbone}" if backbone else FASTER_RCNN
    # Half of torchvision's channels in pyramid and head are a quarter of the cost, so that it trains on two cores.
    return DetectorEntry(**fields, family=FASTER_RCNN, width=0.5)
