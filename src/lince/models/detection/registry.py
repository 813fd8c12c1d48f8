"""Which detectors there are, with what their published weights expect. No torch is loaded here."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib.util import find_spec

from lince.errors import UsageError
from lince.i18n import _
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ModelEntry


@dataclass(frozen=True)
class DetectorEntry(ModelEntry):
    """One detector: beside what every network tells, the factors of its size and how well its weights do.

    ``family`` says who builds it. ``depth`` and ``width`` multiply layers and channels, ``separable`` splits large
    kernels; ``ap`` is the published average precision on COCO's validation photos (IoU 0.50 to 0.95, percent) of the
    weights at ``size``. ``params`` and ``macs`` count the whole network with 80 classes. ``rate`` is the share of a
    recipe's usual learning rate that suits it.
    """

    family: str = "yolox"
    depth: float = 1.0
    width: float = 1.0
    separable: bool = False
    ap: float | None = None
    rate: float = 1.0

    @property
    def copyleft_notice(self) -> str:
        """What the licence of Ultralytics asks of who uses one of its networks; empty for all others."""
        return _agpl_notice(self.name) if self.family == ULTRALYTICS else ""

    @property
    def identifier(self) -> str:
        """The text that ``find`` turns into this detector again."""
        return f"{FASTER_RCNN}: {super().identifier}" if self.family == FASTER_RCNN else self.name

    @property
    def name_without_tag(self) -> str:
        """The detector's name without that of any published weights."""
        return f"{FASTER_RCNN}: {super().name_without_tag}" if self.family == FASTER_RCNN else self.name


FASTER_RCNN = "fasterrcnn"
ULTRALYTICS = "ultralytics"
LIGHT_BACKBONE = "mobilenetv3_large_100"  # what ``fasterrcnn`` alone stands for: one for laptops
_FASTER_RCNN_COST = {"params": 7_539_924, "macs": 6_187_740_352}  # over that backbone, all its regions included
# Name: depth, width, separable, size, AP, parameters, multiplications with additions.
_YOLOX_MODELS = {
    "yolox-nano": (0.33, 0.25, True, 416, 25.8, 912_159, 522_553_408),
    "yolox-tiny": (0.33, 0.375, False, 416, 32.8, 5_055_855, 3_206_268_000),
    "yolox-s": (0.33, 0.50, False, 640, 40.5, 8_968_255, 13_342_771_200),
    "yolox-m": (0.67, 0.75, False, 640, 46.9, 25_326_495, 36_765_158_400),
    "yolox-l": (1.0, 1.0, False, 640, 49.7, 54_208_895, 77_646_336_000),
    "yolox-x": (1.33, 1.25, False, 640, 51.1, 99_071_455, 140_704_896_000),
}
_ModelRow = tuple[str, int, float, int, int]
_Triple = tuple[float, float, float]
# Name: where the hub keeps the weights, size, AP, parameters, multiplications with additions (to the million).
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
# The same; the parameters are those of every group of queries, though one alone answers.
_RFDETR_MODELS = {
    "rfdetr-nano": ("Roboflow/rf-detr-nano", 384, 48.4, 30_427_336, 15_917_000_000),
    "rfdetr-small": ("Roboflow/rf-detr-small", 512, 53.0, 32_071_208, 29_802_000_000),
    "rfdetr-medium": ("Roboflow/rf-detr-medium", 576, 54.7, 33_647_496, 39_267_000_000),
    "rfdetr-large": ("Roboflow/rf-detr-large", 704, 56.5, 33_893_256, 62_636_000_000),
}
# The most accurate of their cost by the published figures; the first is for laptops, and for learning from nothing.
_PRESETS = {"nano": "yolox-nano", "small": "dfine-n", "medium": "dfine-s", "large": "dfine-l"}
# Networks of Ultralytics that its package, if somebody installed it, builds for lince.
_INSTALLABLE_NAME = re.compile(r"yolo(?:v5|v8|11|12|26)[nsmlx]")
# All of them, with the letter of their size; the names of theirs that end in -seg and such are other tasks.
_ULTRALYTICS_NAME = re.compile(r"yolo(?:v3|v5|v8|11|12|26)([nsmlx]?)(?:-?[tu]\w*)?(?:\.pt|\.yaml)?")


def list_detectors() -> dict[str, DetectorEntry]:
    """Return every detector by its name, family by family, the cheapest of each first.

    The weights of each may be used for anything.
    """
    return {name: get_detector_entry(name) for name in (*_YOLOX_MODELS, FASTER_RCNN, *_DETR_MODELS, *_RFDETR_MODELS)}


def list_presets() -> dict[str, DetectorEntry]:
    """Return the four named choices, cheapest first."""
    return {name: get_detector_entry(name) for name in _PRESETS}


def get_detector_entry(name: str) -> DetectorEntry:
    """Return the detector called ``name``, or the one that a preset stands for.

    ``fasterrcnn: BACKBONE`` is Faster R-CNN over any backbone that ``registry.find`` knows. Raises ``UsageError`` with
    the closest names otherwise, or with the reason why a network of Ultralytics is not here, unless its package is.
    """
    head, _colon, backbone = name.partition(":")
    if head.strip() == FASTER_RCNN:
        return _faster_rcnn_entry(backbone.strip())
    name = _PRESETS.get(name, name)
    if name in _YOLOX_MODELS:
        return _yolox_entry(name)
    if name in _DETR_MODELS:
        return _detr_entry(name)
    if name in _RFDETR_MODELS:
        return _rfdetr_entry(name)
    bare = name.lower().removesuffix(".pt").removesuffix(".yaml")
    if _INSTALLABLE_NAME.fullmatch(bare) and find_spec(ULTRALYTICS) is not None:
        return _ultralytics_entry(bare)
    theirs = _ULTRALYTICS_NAME.fullmatch(name.lower())
    raise _unknown_detector_error(name) if theirs is None else _agpl_refusal(name, theirs[1] or "n")


def _unknown_detector_error(name: str) -> UsageError:
    known = [*_PRESETS, *_YOLOX_MODELS, FASTER_RCNN, *_DETR_MODELS, *_RFDETR_MODELS]
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return UsageError(
        _("There is no detector called '{name}'.").format(name=name),
        _("Expected one of: {names}.").format(names=", ".join(close or known)),
    )


def _agpl_notice(name: str) -> str:
    return _(
        "{name} is a network of Ultralytics under AGPL-3.0: who offers a program with it, be it as a service only, "
        "must publish that program's source under the same licence, or buy another."
    ).format(name=name)


def _agpl_refusal(name: str, size: str) -> UsageError:
    return UsageError(
        _agpl_notice(name) + " " + _("lince does not install it."),
        _("Expected a detector whose licence asks for none of this; the closest is {model}.").format(
            model=f"dfine-{size}"
        ),
        _(
            "If that licence suits you, install it yourself: pip install ultralytics; lince then trains the likes of "
            "{model}. A network that was exported elsewhere can be used as it is: lince predict FILE.onnx PHOTOS"
        ).format(model=f"yolov8{size}"),
    )


def _ultralytics_entry(name: str) -> DetectorEntry:
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
    family = "rtdetr" if name.startswith("rtdetr") else name.partition("-")[0]
    return _pretrained_entry(name, _DETR_MODELS[name], family, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))


def _rfdetr_entry(name: str) -> DetectorEntry:
    return _pretrained_entry(
        name, _RFDETR_MODELS[name], "rfdetr", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    )


def _pretrained_entry(name: str, row: _ModelRow, family: str, mean: _Triple, std: _Triple) -> DetectorEntry:
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
        rate=0.25,  # attention diverges at the rates of networks of convolutions alone
    )


def _faster_rcnn_entry(backbone: str) -> DetectorEntry:
    body = classification_registry.get_model_entry(backbone or LIGHT_BACKBONE)
    if body.architecture == classification_registry.CNN:
        raise UsageError(
            _("{model} cannot be the backbone of a detector.").format(model=classification_registry.CNN),
            _("Expected a timm backbone, such as resnet50 or mobilenetv3_large_100."),
        )
    facts = asdict(body) | {"size": 416, "resize": "letterbox", "params": None, "macs": None}
    facts |= {} if backbone else _FASTER_RCNN_COST
    facts["name"] = f"{FASTER_RCNN}: {backbone}" if backbone else FASTER_RCNN
    # Half of torchvision's channels in pyramid and head, a quarter of their cost: it learns on two cores.
    return DetectorEntry(**facts, family=FASTER_RCNN, width=0.5)
