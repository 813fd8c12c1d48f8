"""Which detectors there are, with what their published weights expect. No torch is loaded here."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from difflib import get_close_matches

from lince.errors import UsageError
from lince.messages import _
from lince.models import registry
from lince.models.registry import ModelEntry


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
    def text(self) -> str:
        """The text that ``find`` turns into this detector again."""
        return f"{FASTER}: {super().text}" if self.family == FASTER else self.name

    @property
    def unpublished(self) -> str:
        """The detector's name without that of any published weights."""
        return f"{FASTER}: {super().unpublished}" if self.family == FASTER else self.name


FASTER = "fasterrcnn"
LIGHT_BACKBONE = "mobilenetv3_large_100"  # what ``fasterrcnn`` alone stands for: one for laptops
_FASTER_COST = {"params": 7_539_924, "macs": 6_187_740_352}  # over that backbone, all its regions included
# Name: depth, width, separable, size, AP, parameters, multiplications with additions.
_YOLOX = {
    "yolox-nano": (0.33, 0.25, True, 416, 25.8, 912_159, 522_553_408),
    "yolox-tiny": (0.33, 0.375, False, 416, 32.8, 5_055_855, 3_206_268_000),
    "yolox-s": (0.33, 0.50, False, 640, 40.5, 8_968_255, 13_342_771_200),
    "yolox-m": (0.67, 0.75, False, 640, 46.9, 25_326_495, 36_765_158_400),
    "yolox-l": (1.0, 1.0, False, 640, 49.7, 54_208_895, 77_646_336_000),
    "yolox-x": (1.33, 1.25, False, 640, 51.1, 99_071_455, 140_704_896_000),
}
# Name: where the hub keeps the weights, AP, parameters, multiplications with additions (to the million).
_QUERIES = {
    "dfine-n": ("ustc-community/dfine-nano-coco", 42.8, 3_782_693, 3_717_000_000),
    "dfine-s": ("ustc-community/dfine-small-coco", 48.5, 10_321_877, 13_900_000_000),
    "dfine-m": ("ustc-community/dfine-medium-coco", 52.3, 19_590_064, 30_243_000_000),
    "dfine-l": ("ustc-community/dfine-large-coco", 54.0, 31_289_848, 47_854_000_000),
    "dfine-x": ("ustc-community/dfine-xlarge-coco", 55.8, 62_715_480, 104_820_000_000),
    "rtdetrv2-r18": ("PekingU/rtdetr_v2_r18vd", 48.1, 20_184_464, 30_756_000_000),
    "rtdetrv2-r34": ("PekingU/rtdetr_v2_r34vd", 49.9, 31_441_668, 46_816_000_000),
    "rtdetrv2-r50": ("PekingU/rtdetr_v2_r50vd", 53.4, 42_944_620, 68_921_000_000),
    "rtdetrv2-r101": ("PekingU/rtdetr_v2_r101vd", 54.3, 76_661_740, 130_316_000_000),
}
# The most accurate of their cost by the published figures; the first is for laptops, and for learning from nothing.
_PRESETS = {"nano": "yolox-nano", "small": "dfine-n", "medium": "dfine-s", "large": "dfine-l"}
# Networks of Ultralytics, with the letter of their size; the names of theirs that end in -seg and such are other tasks.
_ULTRALYTICS = re.compile(r"yolo(?:v3|v5|v8|11|12|26)([nsmlx]?)(?:-?[tu]\w*)?(?:\.pt|\.yaml)?")


def detectors() -> dict[str, DetectorEntry]:
    """Return every detector by its name, family by family, the cheapest of each first.

    The weights of each may be used for anything.
    """
    return {name: find(name) for name in (*_YOLOX, FASTER, *_QUERIES)}


def presets() -> dict[str, DetectorEntry]:
    """Return the four named choices, cheapest first."""
    return {name: find(name) for name in _PRESETS}


def find(name: str) -> DetectorEntry:
    """Return the detector called ``name``, or the one that a preset stands for.

    ``fasterrcnn: BACKBONE`` is Faster R-CNN over any backbone that ``registry.find`` knows. Raises ``UsageError`` with
    the closest names otherwise, or with the reason why a network of Ultralytics is not here.
    """
    head, _colon, backbone = name.partition(":")
    if head.strip() == FASTER:
        return _faster(backbone.strip())
    name = _PRESETS.get(name, name)
    if name in _YOLOX:
        return _yolox(name)
    if name in _QUERIES:
        return _queries(name)
    theirs = _ULTRALYTICS.fullmatch(name.lower())
    raise _unknown(name) if theirs is None else _copyleft(name, theirs[1] or "n")


def _unknown(name: str) -> UsageError:
    known = [*_PRESETS, *_YOLOX, FASTER, *_QUERIES]
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return UsageError(
        _("There is no detector called '{name}'.").format(name=name),
        _("Expected one of: {names}.").format(names=", ".join(close or known)),
    )


def _copyleft(name: str, size: str) -> UsageError:
    return UsageError(
        _(
            "{name} is a network of Ultralytics under AGPL-3.0: who offers a program with it, be it as a service only, "
            "must publish that program's source under the same licence, or buy another. lince does not install it."
        ).format(name=name),
        _("Expected a detector whose licence asks for none of this; the closest is {model}.").format(
            model=f"dfine-{size}"
        ),
        _("A network that was exported elsewhere can be used as it is: lince predict FILE.onnx PHOTOS"),
    )


def _yolox(name: str) -> DetectorEntry:
    depth, width, separable, size, ap, params, macs = _YOLOX[name]
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


def _queries(name: str) -> DetectorEntry:
    repository, ap, params, macs = _QUERIES[name]
    return DetectorEntry(
        name=name,
        architecture=name,
        size=640,
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
        licence="apache-2.0",
        repository=repository,
        params=params,
        macs=macs,
        family="dfine" if name.startswith("dfine") else "rtdetr",
        ap=ap,
        rate=0.25,  # attention diverges at the rates of networks of convolutions alone
    )


def _faster(backbone: str) -> DetectorEntry:
    body = registry.find(backbone or LIGHT_BACKBONE)
    if body.architecture == registry.CNN:
        raise UsageError(
            _("{model} cannot be the backbone of a detector.").format(model=registry.CNN),
            _("Expected a timm backbone, such as resnet50 or mobilenetv3_large_100."),
        )
    facts = asdict(body) | {"size": 416, "resize": "letterbox", "params": None, "macs": None}
    facts |= {} if backbone else _FASTER_COST
    facts["name"] = f"{FASTER}: {backbone}" if backbone else FASTER
    # Half of torchvision's channels in pyramid and head, a quarter of their cost: it learns on two cores.
    return DetectorEntry(**facts, family=FASTER, width=0.5)
