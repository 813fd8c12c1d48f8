"""Where weights come from and how they want their input: decided before torch is loaded."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lince import fileio
from lince.errors import UsageError, WeightsError
from lince.i18n import _
from lince.models import hub
from lince.models.classification.registry import CNN, ModelEntry, Triple
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, Progress

FOLDER_VARIABLE = "LINCE_WEIGHTS"
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".th")
SAME_PADDING_MARK = "padsame"


@dataclass(frozen=True)
class WeightsSource:
    """The weights that a network will start from: ``kind`` is ``none``, ``file`` or ``hub``.

    ``entry`` is the network as these weights want it: its padding and its normalisation may differ from the
    published ones. ``path`` is the file, ``None`` for random weights. ``notes`` are sentences for whoever trains.
    """

    entry: ModelEntry
    kind: str
    path: Path | None = None
    licence: str = "unknown"
    provenance: str = ""
    notes: tuple[str, ...] = ()

    def compute_digest(self) -> str:
        """Return the SHA-256 of the weight file as 64 hex digits; ``random`` where there is none."""
        return fileio.compute_sha256(self.path) if self.path is not None else "random"


def resolve_weights(entry: ModelEntry, weights: str = "auto", progress: Progress = SILENT) -> WeightsSource:
    """Return where the weights of ``entry`` come from.

    ``weights``: ``none`` for random ones; a file; a folder that holds a file named after the model; ``auto`` for the
    folder in ``LINCE_WEIGHTS``, else what was downloaded before, else a download. A network declared layer by layer
    has no published weights, so ``auto`` means random there. Raises ``WeightsError`` when there are none to be had.
    """
    if weights == "none" or (weights == "auto" and entry.architecture == CNN):
        return WeightsSource(entry, "none", licence="none", provenance=_("random weights"))
    if weights != "auto":
        return _source_from_path(entry, Path(weights).expanduser())
    folder = os.environ.get(FOLDER_VARIABLE)
    found = _find_in_folder(entry, Path(folder).expanduser()) if folder else None
    if found is not None:
        return _source_from_file(entry, found)
    path = hub.download_weights(entry, progress)
    return WeightsSource(entry, "hub", path, entry.licence, entry.repository, _licence_notes(entry))


def make_preprocess(
    source: WeightsSource,
    size: int | None = None,
    resize: str | None = None,
    standardise: str = "none",
    grey: bool = False,
) -> PreprocessSpec:
    """Return how images become the input that the weights of ``source`` want, ``size`` pixels square.

    ``size`` is the one that the weights were made for unless given. ``grey`` asks for one channel, which only a
    network declared layer by layer can have; the others read grey images as RGB.
    """
    entry = source.entry
    side = size or entry.size
    one = grey and entry.architecture == CNN
    mean, std = ((entry.mean[0],), (entry.std[0],)) if one else (entry.mean, entry.std)
    return PreprocessSpec(side, side, resize or entry.resize, "grey" if one else entry.channels, mean, std, standardise)


def _source_from_path(entry: ModelEntry, path: Path) -> WeightsSource:
    if path.is_dir():
        found = _find_in_folder(entry, path)
        if found is None:
            raise WeightsError(
                _("{folder} holds no weights of {model}.").format(folder=path, model=entry.name),
                _("Expected one of these names: {names}.").format(names=", ".join(_candidate_stems(entry))),
                _("The file may end in: {endings}.").format(endings=", ".join(WEIGHT_SUFFIXES)),
            )
        return _source_from_file(entry, found)
    if not path.is_file():
        raise WeightsError(
            _("There is no weight file {path}.").format(path=path),
            _("Expected auto, none, a file, or a folder of files named after models."),
        )
    return _source_from_file(entry, path)


def _candidate_stems(entry: ModelEntry) -> list[str]:
    stems = dict.fromkeys((entry.name.split()[0], entry.pretrained_name, entry.architecture))
    return [stem + end for stem in stems for end in ("", f"_{SAME_PADDING_MARK}")]


def _find_in_folder(entry: ModelEntry, folder: Path) -> Path | None:
    candidates = (folder / f"{stem}{ending}" for stem in _candidate_stems(entry) for ending in WEIGHT_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _source_from_file(entry: ModelEntry, path: Path) -> WeightsSource:
    card = path.with_suffix(".json")
    record = _read_card(card) if card.is_file() else {}
    notes = []
    if SAME_PADDING_MARK in path.stem.lower() or record.get("pad_type") == "same":
        entry = entry.with_same_padding()
        where = card.name if "pad_type" in record else path.name
        notes.append(
            _("{file} says padding 'same': convolutions pad as TensorFlow does, pixels run from -1 to 1.").format(
                file=where
            )
        )
    mean = _parse_triple(card, "mean", record["mean"]) if "mean" in record else entry.mean
    std = _parse_triple(card, "std", record["std"]) if "std" in record else entry.std
    licence = str(record.get("licence", "unknown"))
    entry = replace(entry, mean=mean, std=std)
    return WeightsSource(entry, "file", path, licence, str(record.get("source", path.name)), tuple(notes))


def _read_card(card: Path) -> dict[str, Any]:
    try:
        record = json.loads(card.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(_("{path} cannot be read: {error}.").format(path=card, error=error)) from error
    if not isinstance(record, dict):
        raise WeightsError(
            _("{path} is not a card of weights.").format(path=card),
            _("Expected a JSON object with pad_type, mean, std, licence, source, each of them optional."),
        )
    return record


def _parse_triple(card: Path, key: str, value: Any) -> Triple:
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 3 or not all(isinstance(number, (int, float)) for number in numbers):
        raise UsageError(
            _("{path}: {key} cannot be {value}.").format(path=card, key=key, value=value),
            _("Expected three numbers between 0 and 255, for red, green and blue."),
        )
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _licence_notes(entry: ModelEntry) -> tuple[str, ...]:
    if entry.is_permissive:
        return ()
    return (
        _("The weights of {model} are under '{licence}', which may forbid your use: read it first.").format(
            model=entry.pretrained_name, licence=entry.licence
        ),
    )
