"""Which detectors there are, with what their published weights expect. No torch is loaded here."""

from __future__ import annotations

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
    weights at ``size``. ``params`` and ``macs`` count the whole network with 80 classes.
    """

    family: str = "yolox"
    depth: float = 1.0
    width: float = 1.0
    separable: bool = False
    ap: float | None = None

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
# Name: depth, width, separable, size, AP, parameters, multiplications with additions.
_YOLOX = {
    "yolox-nano": (0.33, 0.25, True, 416, 25.8, 912_159, 522_553_408),
    "yolox-tiny": (0.33, 0.375, False, 416, 32.8, 5_055_855, 3_206_268_000),
    "yolox-s": (0.33, 0.50, False, 640, 40.5, 8_968_255, 13_342_771_200),
    "yolox-m": (0.67, 0.75, False, 640, 46.9, 25_326_495, 36_765_158_400),
    "yolox-l": (1.0, 1.0, False, 640, 49.7, 54_208_895, 77_646_336_000),
    "yolox-x": (1.33, 1.25, False, 640, 51.1, 99_071_455, 140_704_896_000),
}


def detectors() -> dict[str, DetectorEntry]:
    """Return every detector by its name, cheapest first; the weights of each may be used for anything."""
    return {name: _yolox(name) for name in _YOLOX} | {FASTER: _faster("")}


def find(name: str) -> DetectorEntry:
    """Return the detector called ``name``; raise ``UsageError`` with the closest names otherwise.

    ``fasterrcnn: BACKBONE`` is Faster R-CNN over any backbone that ``registry.find`` knows.
    """
    head, _colon, backbone = name.partition(":")
    if head.strip() == FASTER:
        return _faster(backbone.strip())
    if name in _YOLOX:
        return _yolox(name)
    known = [*_YOLOX, FASTER]
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    raise UsageError(
        _("There is no detector called '{name}'.").format(name=name),
        _("Expected one of: {names}.").format(names=", ".join(close or known)),
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


def _faster(backbone: str) -> DetectorEntry:
    body = registry.find(backbone or LIGHT_BACKBONE)
    if body.architecture == registry.CNN:
        raise UsageError(
            _("{model} cannot be the backbone of a detector.").format(model=registry.CNN),
            _("Expected a timm backbone, such as resnet50 or mobilenetv3_large_100."),
        )
    facts = asdict(body) | {"size": 416, "resize": "letterbox", "params": None, "macs": None}
    facts["name"] = f"{FASTER}: {backbone}" if backbone else FASTER
    # Half of torchvision's channels in pyramid and head, a quarter of their cost: it learns on two cores.
    return DetectorEntry(**facts, family=FASTER, width=0.5)
