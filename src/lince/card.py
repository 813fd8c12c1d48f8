"""The card beside every model's weights: all that is needed to use them rightly, and where they came from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lince import files
from lince.annotations import Classes
from lince.decode import DEFAULT, Keeping
from lince.errors import LinceError, ModelError
from lince.messages import _
from lince.preprocess import Preprocess

FORMAT = 1
NETWORK_FILE = "model.onnx"
CARD_FILE = "card.json"


@dataclass(frozen=True)
class ModelCard:
    """What a model is, reads and answers, and whence it comes. ``model.onnx`` + this = a usable model.

    ``licence`` and ``source`` speak of the pretrained weights; ``data`` holds the training data's fingerprint and
    counts, ``metrics`` the figures on its test set, ``parity`` the largest difference to the trained network. Of a
    detector, ``decoding`` names the kind in ``lince.decode`` and ``keeping`` which of its answers count.
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

    def save(self, folder: Path) -> None:
        """Write ``card.json`` into ``folder``, whole or not at all."""
        record = {"format": FORMAT, **asdict(self), "classes": list(self.classes.names)}
        files.write_json(Path(folder) / CARD_FILE, record)

    @classmethod
    def load(cls, folder: Path) -> ModelCard:
        """Read ``card.json`` from ``folder``; raise ``ModelError`` when it is missing, broken or from the future."""
        path = Path(folder) / CARD_FILE
        try:
            record = json.loads(path.read_text("utf-8"))
            if record["format"] > FORMAT:
                raise ModelError(
                    _("{path} was written by a later lince (format {found}).").format(
                        path=path, found=record["format"]
                    ),
                    _("Expected format {known} or lower.").format(known=FORMAT),
                    _("Update lince."),
                )
            return cls._from_record(record)
        except LinceError:
            raise
        except FileNotFoundError as error:
            raise ModelError(
                _("There is no {name} in {folder}.").format(name=CARD_FILE, folder=folder),
                _("Expected a run or a model folder: {network} with {card} beside it.").format(
                    network=NETWORK_FILE, card=CARD_FILE
                ),
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(
                _("{path} is not a model card: {error}.").format(path=path, error=error),
                _("Expected the file that lince wrote beside the network."),
                _("Copy the model folder again, or export the run again."),
            ) from error

    @classmethod
    def _from_record(cls, record: dict[str, Any]) -> ModelCard:
        known = {item.name for item in fields(cls)}
        values = {key: value for key, value in record.items() if key in known}
        spec = {key: _tupled(value) for key, value in record["preprocess"].items()}
        classes = Classes(tuple(map(str, record["classes"])))
        keeping = Keeping(**{key: _tupled(value) for key, value in record.get("keeping", {}).items()})
        return cls(**{**values, "classes": classes, "preprocess": Preprocess(**spec), "keeping": keeping})


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
