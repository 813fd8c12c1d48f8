"""The card beside every model's weights: all that is needed to use them rightly, and where they came from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lince import decode, files, preprocess
from lince.annotations import Classes
from lince.decode import DEFAULT, Keeping
from lince.errors import LinceError, ModelError
from lince.messages import _
from lince.preprocess import Preprocess

FORMAT = 2  # since 2 a card tells colours, versions, the network's file, its target and its precision
VERSIONS = {"preprocess": preprocess.VERSION, "decode": decode.VERSION}
NETWORK_FILE = "model.onnx"
CARD_FILE = "card.json"


@dataclass(frozen=True)
class ModelCard:
    """What a model is, reads and answers, and whence it comes. ``model.onnx`` + this = a usable model.

    ``licence`` and ``source`` speak of the pretrained weights; ``data`` holds the training data's fingerprint and
    counts, ``metrics`` the figures on its test set, ``parity`` the largest difference to the trained network. Of a
    detector, ``decoding`` names the kind in ``lince.decode`` and ``keeping`` which of its answers count. ``network``
    is the file beside the card, made for ``target`` (the runtime that opens it) in ``precision``; ``exported`` holds
    what was measured when it was exported.
    """

    task: str
    classes: Classes
    preprocess: Preprocess
    model: str
    licence: str
    source: str
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    lince: str = ""
    decoding: str = ""
    keeping: Keeping = DEFAULT
    network: str = NETWORK_FILE
    target: str = "onnx"
    precision: str = "fp32"
    exported: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write ``card.json`` into ``folder``, whole or not at all."""
        files.write_json(Path(folder) / CARD_FILE, self.record())

    def record(self) -> dict[str, Any]:
        """Return what ``card.json`` holds."""
        classes = {"classes": list(self.classes.names), "colours": list(self.classes.colours)}
        return {"format": FORMAT, **asdict(self), **classes, "versions": VERSIONS}

    @classmethod
    def load(cls, folder: Path) -> ModelCard:
        """Read ``card.json`` from ``folder``; raise ``ModelError`` when it is missing, broken or from the future."""
        path = Path(folder) / CARD_FILE
        try:
            return cls.read(path.read_bytes(), path)
        except FileNotFoundError as error:
            raise ModelError(
                _("There is no {name} in {folder}.").format(name=CARD_FILE, folder=folder),
                _("Expected a run or a model folder: {network} with {card} beside it.").format(
                    network=NETWORK_FILE, card=CARD_FILE
                ),
            ) from error

    @classmethod
    def read(cls, data: bytes, path: Path) -> ModelCard:
        """Return the card in ``data``, the content of ``path``; raise ``ModelError`` when it is broken or too new."""
        try:
            record = json.loads(data)
            _require_known(record, path)
            return cls._from_record(record)
        except ModelError:
            raise
        except (LinceError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = error.found.rstrip(".") if isinstance(error, LinceError) else error
            raise ModelError(
                _("{path} is not a model card: {error}.").format(path=path, error=reason),
                _("Expected the file that lince wrote beside the network."),
                _("Copy the model folder again, or export the run again."),
            ) from error

    @classmethod
    def _from_record(cls, record: dict[str, Any]) -> ModelCard:
        known = {item.name for item in fields(cls)}
        network = record.get("network", NETWORK_FILE)
        if not network or Path(network).name != network:
            raise ValueError(_("its network lies elsewhere: {path}").format(path=network))
        values = {key: value for key, value in record.items() if key in known}
        spec = {key: _tupled(value) for key, value in record["preprocess"].items()}
        classes = Classes(tuple(map(str, record["classes"])))
        keeping = Keeping(**{key: _tupled(value) for key, value in record.get("keeping", {}).items()})
        return cls(**{**values, "classes": classes, "preprocess": Preprocess(**spec), "keeping": keeping})


def _require_known(record: dict[str, Any], path: Path) -> None:
    """Raise ``ModelError`` where a later lince wrote what this one would misunderstand."""
    found = {"format": record["format"], **record.get("versions", {})}
    for name, known in {"format": FORMAT, **VERSIONS}.items():
        if found.get(name, 1) > known:
            raise ModelError(
                _("{path} was written by a later lince ({name} {found}).").format(
                    path=path, name=name, found=found[name]
                ),
                _("Expected {name} {known} or lower.").format(name=name, known=known),
                _("Update lince."),
            )


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
