"""The card beside every model's weights: all that is needed to use them rightly, and where they came from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lince import fileio, postprocess, preprocess
from lince.annotations import Classes
from lince.errors import LinceError, ModelError
from lince.i18n import _
from lince.postprocess import DEFAULT_FILTER, DetectionFilter
from lince.preprocess import PreprocessSpec

# Since 2 a card has colours, versions, the network's file, its target and its precision; 3 renamed some keys.
FORMAT_VERSION = 3
_RENAMED_IN_3 = {"decoding": "decoder", "keeping": "detection_filter"}
_FILTER_RENAMED_IN_3 = {"threshold": "score_threshold", "overlap": "iou_threshold", "most": "max_detections"}
COMPONENT_VERSIONS = {"preprocess": preprocess.VERSION, "decode": postprocess.VERSION}
NETWORK_FILE = "model.onnx"
CARD_FILE = "card.json"


@dataclass(frozen=True)
class ModelCard:
    """All that is needed to use a network file: ``model.onnx`` with this card beside it is a usable model.

    ``licence`` and ``source`` are those of the pretrained weights; ``data`` holds the fingerprint and the counts of the
    training data, ``metrics`` the figures on its test set, ``parity`` the largest difference to the trained network.
    For a detector, ``decoder`` names a row of ``lince.postprocess.DECODERS`` and ``detection_filter`` which detections
    are kept. ``network`` is the file beside the card, made for ``target`` (the runtime that opens it) in ``precision``;
    ``exported`` holds what was measured at export.
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

    def save(self, folder: Path) -> None:
        """Write ``card.json`` into ``folder``, whole or not at all."""
        fileio.write_json(Path(folder) / CARD_FILE, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return what ``card.json`` holds."""
        classes = {"classes": list(self.classes.names), "colours": list(self.classes.colours)}
        return {"format": FORMAT_VERSION, **asdict(self), **classes, "versions": COMPONENT_VERSIONS}

    @classmethod
    def load(cls, folder: Path) -> ModelCard:
        """Read ``card.json`` from ``folder``; raise ``ModelError`` when it is missing, broken or from the future."""
        path = Path(folder) / CARD_FILE
        try:
            return cls.parse_json(path.read_bytes(), path)
        except FileNotFoundError as error:
            raise ModelError(
                _("There is no {name} in {folder}.").format(name=CARD_FILE, folder=folder),
                _("Expected a run or a model folder: {network} with {card} beside it.").format(
                    network=NETWORK_FILE, card=CARD_FILE
                ),
            ) from error

    @classmethod
    def parse_json(cls, data: bytes, path: Path) -> ModelCard:
        """Return the card in ``data``, the content of ``path``; raise ``ModelError`` when it is broken or too new."""
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
                _("Expected the file that lince wrote beside the network."),
                _("Copy the model folder again, or export the run again."),
            ) from error

    @classmethod
    def _from_dict(cls, record: dict[str, Any]) -> ModelCard:
        known = {item.name for item in fields(cls)}
        network = record.get("network", NETWORK_FILE)
        if not network or Path(network).name != network:
            raise ValueError(_("its network lies elsewhere: {path}").format(path=network))
        record = _rename_keys(record, _RENAMED_IN_3)
        values = {key: value for key, value in record.items() if key in known}
        spec = {key: _list_to_tuple(value) for key, value in record["preprocess"].items()}
        classes = Classes(tuple(map(str, record["classes"])))
        limits = _rename_keys(record.get("detection_filter", {}), _FILTER_RENAMED_IN_3)
        detection_filter = DetectionFilter(**{key: _list_to_tuple(value) for key, value in limits.items()})
        parts = {"classes": classes, "preprocess": PreprocessSpec(**spec), "detection_filter": detection_filter}
        return cls(**{**values, **parts})


def _require_supported_versions(record: dict[str, Any], path: Path) -> None:
    """Raise ``ModelError`` where a later lince wrote what this one would misunderstand."""
    found = {"format": record["format"], **record.get("versions", {})}
    for name, known in {"format": FORMAT_VERSION, **COMPONENT_VERSIONS}.items():
        if found.get(name, 1) > known:
            raise ModelError(
                _("{path} was written by a later lince ({name} {found}).").format(
                    path=path, name=name, found=found[name]
                ),
                _("Expected {name} {known} or lower.").format(name=name, known=known),
                _("Update lince."),
            )


def _rename_keys(record: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return ``record`` with the keys of earlier formats replaced by today's."""
    return {names.get(key, key): value for key, value in record.items()}


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
