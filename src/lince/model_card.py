"""The model card: a JSON file beside a network with everything that is needed to use it, and its provenance."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lince import fileio, postprocess, preprocess
from lince.annotations import Classes
from lince.errors import LinceError, ModelError
from lince.i18n import _
from lince.postprocess import DEFAULT_FILTER, DetectionFilter
from lince.preprocess import PreprocessSpec
from lince.validation import require_choice

# 2 added colours, component versions, the network's file name, its target and its precision; 3 renamed some keys.
FORMAT_VERSION = 3
_RENAMED_IN_3 = {"decoding": "decoder", "keeping": "detection_filter"}
_FILTER_RENAMED_IN_3 = {"threshold": "score_threshold", "overlap": "iou_threshold", "most": "max_detections"}
COMPONENT_VERSIONS = {"preprocess": preprocess.VERSION, "decode": postprocess.VERSION}
NETWORK_FILE = "model.onnx"
CARD_FILE = "card.json"
DRAWING_CENTRES = ("mass", "box")
_MAX_DRAWING_SIDE = 256  # pixels


@dataclass(frozen=True)
class DrawingSpec:
    """How pen strokes become an image like those that a model was trained on.

    Lengths are in pixels of the image, places from its left and top edges. Raises ``UsageError`` or ``ValueError`` for
    values that are not allowed.

    Attributes:
        width, height: of the image.
        paper, ink: levels of the background and of full ink, 0 to 255.
        box: width and height of the drawing, with the pen's.
        stretch: whether both sides are fitted to ``box``; otherwise the longer one, and the aspect ratio is kept.
        centre: what lies at ``position``, the centre of mass of the ink or the middle of its box.
        position: x and y.
        pen: width of the strokes.
        ink_area: sum of the ink (1 for a pixel that is full of it) where all images have about the same, so that short
            digits have thick strokes; ``None`` where the strokes are equally wide instead.
        slant: mean and standard deviation of the lean, a shift to the right per pixel upwards; a drawing that is
            further from the mean is sheared until it is not. ``None`` leaves all as they are.
    """

    width: int
    height: int
    paper: int
    ink: int
    box: tuple[float, float]
    stretch: bool
    centre: str
    position: tuple[float, float]
    pen: float
    ink_area: float | None = None
    slant: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        require_choice("centre", self.centre, DRAWING_CENTRES)
        numbers = [*self.box, *self.position, self.pen, self.ink_area or 1.0, *(self.slant or (0.0, 0.0))]
        inside = 1 <= min(self.width, self.height) <= max(self.width, self.height) <= _MAX_DRAWING_SIDE
        inside = inside and 0 <= min(self.paper, self.ink) <= max(self.paper, self.ink) <= 255
        if not (inside and all(map(math.isfinite, numbers)) and min(*self.box, self.pen, self.ink_area or 1.0) > 0):
            raise ValueError(_("drawings cannot be prepared like this: {values}").format(values=asdict(self)))


@dataclass(frozen=True)
class ModelCard:
    """Everything that is needed to use a network file; a folder with both is a model.

    The field names are the keys of ``card.json``.

    Attributes:
        task: name of the task, such as ``classify`` or ``detect``.
        classes: in the order of the network's outputs.
        preprocess: how an image becomes the network's input.
        model: name of the architecture.
        licence: of the pretrained weights.
        source: where the pretrained weights come from.
        data: hash and counts of the training data.
        metrics: on the test images of the training run.
        parity: largest difference between the outputs of this file and of the trained network.
        lince: version that wrote the card.
        decoder: of a detector, a key of ``postprocess.DECODERS``.
        detection_filter: of a detector, the default thresholds.
        network: file name of the network, in the folder of the card.
        target: inference backend that opens the file.
        precision: of the weights and activations, such as ``fp32``, ``fp16`` or ``int8``.
        exported: what was measured at export.
        drawing: of a classifier of small grey drawings, how pen strokes are prepared like its training images; ``None``
            where it was not measured, and then MNIST's way is used.
        thresholds: of a multilabel model, the probability from which on an image has each class; empty for others.
            ``ValueError`` where they are not one for each class, in 0..1.
    """

    task: str
    classes: Classes
    preprocess: PreprocessSpec
    model: str
    licence: str
    source: str
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    lince: str = ""
    decoder: str = ""
    detection_filter: DetectionFilter = DEFAULT_FILTER
    network: str = NETWORK_FILE
    target: str = "onnx"
    precision: str = "fp32"
    exported: dict[str, Any] = field(default_factory=dict)
    drawing: DrawingSpec | None = None
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        is_allowed = len(self.thresholds) == len(self.classes) and all(0 <= one <= 1 for one in self.thresholds)
        if self.thresholds and not is_allowed:
            raise ValueError(f"{len(self.classes)} classes have the thresholds {self.thresholds}")

    def save(self, folder: Path) -> None:
        """Write the card as ``card.json`` into ``folder``, atomically."""
        fileio.write_json(Path(folder) / CARD_FILE, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the card as the JSON object of ``card.json``."""
        classes = {"classes": list(self.classes.names), "colours": list(self.classes.colours)}
        record = {"format": FORMAT_VERSION, **asdict(self), **classes, "versions": COMPONENT_VERSIONS}
        return {key: value for key, value in record.items() if key not in {"drawing", "thresholds"} or value}

    @classmethod
    def load(cls, folder: Path) -> ModelCard:
        """Read ``card.json`` from ``folder``.

        Raises ``ModelError`` when it is missing, damaged, or written by a later version of lince.
        """
        path = Path(folder) / CARD_FILE
        try:
            return cls.parse_json(path.read_bytes(), path)
        except FileNotFoundError as error:
            raise ModelError(
                _("There is no {name} in {folder}.").format(name=CARD_FILE, folder=folder),
                _("Expected a training run or a model folder: {network} with {card} next to it.").format(
                    network=NETWORK_FILE, card=CARD_FILE
                ),
            ) from error

    @classmethod
    def parse_json(cls, data: bytes, path: Path) -> ModelCard:
        """Return the card in ``data``, the content of the file ``path``; raises ``ModelError`` as ``load`` does."""
        try:
            record = json.loads(data)
            _require_supported_versions(record, path)
            return cls._from_dict(record)
        except ModelError:
            raise
        except (LinceError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = error.problem.rstrip(".") if isinstance(error, LinceError) else error
            raise ModelError(
                _("{path} is not a model card: {error}.").format(path=path, error=reason),
                _("Expected the file that lince wrote next to the network."),
                _("Copy the model folder again, or export the run again."),
            ) from error

    @classmethod
    def _from_dict(cls, record: dict[str, Any]) -> ModelCard:
        """Return the card from a JSON object of this format version or an earlier one; unknown keys are ignored."""
        names = {item.name for item in fields(cls)}
        network = record.get("network", NETWORK_FILE)
        if not network or Path(network).name != network:
            raise ValueError(_("its network is in another folder: {path}").format(path=network))
        record = _rename_keys(record, _RENAMED_IN_3)
        values = {key: value for key, value in record.items() if key in names}
        spec = {key: _list_to_tuple(value) for key, value in record["preprocess"].items()}
        classes = Classes(tuple(map(str, record["classes"])))
        filter_options = _rename_keys(record.get("detection_filter", {}), _FILTER_RENAMED_IN_3)
        detection_filter = DetectionFilter(**{key: _list_to_tuple(value) for key, value in filter_options.items()})
        parts: dict[str, Any] = {
            "classes": classes,
            "preprocess": PreprocessSpec(**spec),
            "detection_filter": detection_filter,
            "thresholds": tuple(map(float, record.get("thresholds", ()))),
        }
        if record.get("drawing") is not None:
            parts["drawing"] = DrawingSpec(**{key: _list_to_tuple(value) for key, value in record["drawing"].items()})
        return cls(**{**values, **parts})


def translate_licence(licence: str) -> str:
    """Return ``licence`` for display: ``none`` and ``unknown`` in the current language, any other as it is."""
    return {"none": _("none"), "unknown": _("unknown")}.get(licence, licence)


def _require_supported_versions(record: dict[str, Any], path: Path) -> None:
    """Raise ``ModelError`` when ``record`` has a later format or component version than this lince knows."""
    versions = {"format": record["format"], **record.get("versions", {})}
    for name, supported in {"format": FORMAT_VERSION, **COMPONENT_VERSIONS}.items():
        if versions.get(name, 1) > supported:
            raise ModelError(
                _("{path} was written by a later version of lince ({name} {found}).").format(
                    path=path, name=name, found=versions[name]
                ),
                _("Expected {name} {known} or lower.").format(name=name, known=supported),
                _("Update lince."),
            )


def _rename_keys(record: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return ``record`` with the keys of earlier formats replaced by today's."""
    return {names.get(key, key): value for key, value in record.items()}


def _list_to_tuple(value: Any) -> Any:
    """Return a JSON list as a tuple, any other value as it is."""
    return tuple(value) if isinstance(value, list) else value
