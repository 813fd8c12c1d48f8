"""Finds pretrained weights and the preprocessing that they expect; does not load torch."""

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
from lince.models.classification.registry import CNN, ChannelValues, ModelEntry
from lince.models.packaged_weights import PACKAGED_WEIGHTS, PackagedWeights, locate_packaged_weights
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, Progress

FOLDER_VARIABLE = "LINCE_WEIGHTS"
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".th")
SAME_PADDING_MARK = "padsame"  # in a file's name: weights converted from TensorFlow


@dataclass(frozen=True)
class WeightsSource:
    """The weights that a network starts from.

    ``entry`` is the network as these weights need it: its padding and normalisation may differ from the published ones.
    ``kind`` is ``none`` (random weights), ``file``, ``package`` (installed with lince) or ``hub``; ``path`` is the
    weight file, ``None`` for random weights. ``licence`` and ``provenance`` are for the model card, ``notes`` are
    sentences for the user.
    """

    entry: ModelEntry
    kind: str
    path: Path | None = None
    licence: str = "unknown"
    provenance: str = ""
    notes: tuple[str, ...] = ()

    def compute_digest(self) -> str:
        """Return the SHA-256 of the weight file as 64 hexadecimal digits; ``random`` for random weights."""
        return fileio.compute_sha256(self.path) if self.path is not None else "random"


def resolve_weights(entry: ModelEntry, weights: str = "auto", progress: Progress = SILENT) -> WeightsSource:
    """Return the source of the weights of ``entry``, downloading them if necessary.

    ``weights`` is ``none`` for random weights; a file; a folder with a file named after the model; or ``auto``: the
    folder in ``LINCE_WEIGHTS``, then a package that is installed with lince, then the caches, then a download. A
    ``cnn``, declared layer by layer, has no published weights, so ``auto`` means random there. Raises ``WeightsError``
    when the weights are not found.
    """
    if weights == "none" or (weights == "auto" and entry.architecture == CNN):
        return WeightsSource(entry, "none", licence="none", provenance=_("random weights"))
    if weights != "auto":
        return _source_from_path(entry, Path(weights).expanduser())
    folder = os.environ.get(FOLDER_VARIABLE)
    path = _find_in_folder(entry, Path(folder).expanduser()) if folder else None
    if path is not None:
        return _source_from_file(entry, path)
    if entry.pretrained_name in PACKAGED_WEIGHTS:
        return _source_from_package(entry, PACKAGED_WEIGHTS[entry.pretrained_name])
    path = hub.download_weights(entry, progress)
    return WeightsSource(entry, "hub", path, entry.licence, entry.repository, _licence_notes(entry))


def make_preprocess_spec(
    source: WeightsSource,
    size: int | None = None,
    resize: str | None = None,
    standardise: str = "none",
    grey: bool = False,
) -> PreprocessSpec:
    """Return the preprocessing that the weights of ``source`` expect, for a square input of ``size`` pixels.

    ``None`` for ``size`` and ``resize`` takes those that the weights were trained with. ``grey`` asks for one channel,
    which only a ``cnn`` can have; all others read grey images as RGB.
    """
    entry = source.entry
    side = size or entry.size
    is_grey = grey and entry.architecture == CNN
    mean, std = ((entry.mean[0],), (entry.std[0],)) if is_grey else (entry.mean, entry.std)
    return PreprocessSpec(
        side, side, resize or entry.resize, "grey" if is_grey else entry.channels, mean, std, standardise
    )


def _source_from_package(entry: ModelEntry, packaged: PackagedWeights) -> WeightsSource:
    """Return the source for weights that are installed with lince; they come from TensorFlow."""
    path = locate_packaged_weights(packaged)
    notes = (_("Convolutions pad as in TensorFlow ('same'), and pixel values range from -1 to 1."),)
    return WeightsSource(entry.with_same_padding(), "package", path, packaged.licence, packaged.provenance, notes)


def _source_from_path(entry: ModelEntry, path: Path) -> WeightsSource:
    """Return the source for ``path``, a weight file or a folder of them."""
    if path.is_dir():
        file = _find_in_folder(entry, path)
        if file is None:
            raise WeightsError(
                _("{folder} contains no weights of {model}.").format(folder=path, model=entry.name),
                _("Expected one of these names: {names}.").format(names=", ".join(_candidate_stems(entry))),
                _("Accepted file extensions: {endings}.").format(endings=", ".join(WEIGHT_SUFFIXES)),
            )
        return _source_from_file(entry, file)
    if not path.is_file():
        raise WeightsError(
            _("There is no weight file {path}.").format(path=path),
            _("Expected auto, none, a file, or a folder of files named after models."),
        )
    return _source_from_file(entry, path)


def _candidate_stems(entry: ModelEntry) -> list[str]:
    """Return the file names, without suffix, that a folder may have for the weights of ``entry``."""
    stems = dict.fromkeys((entry.name.split()[0], entry.pretrained_name, entry.architecture))
    return [stem + end for stem in stems for end in ("", f"_{SAME_PADDING_MARK}")]


def _find_in_folder(entry: ModelEntry, folder: Path) -> Path | None:
    """Return the weights of ``entry`` in ``folder``; ``None`` if it has none."""
    candidates = (folder / f"{stem}{suffix}" for stem in _candidate_stems(entry) for suffix in WEIGHT_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _source_from_file(entry: ModelEntry, path: Path) -> WeightsSource:
    """Return the source for the file ``path``, with the facts in the JSON file beside it, if there is one."""
    card = path.with_suffix(".json")
    record = _read_card(card) if card.is_file() else {}
    notes = []
    if SAME_PADDING_MARK in path.stem.lower() or record.get("pad_type") == "same":
        entry = entry.with_same_padding()
        evidence = card.name if "pad_type" in record else path.name
        notes.append(
            _(
                "{file} sets padding 'same': convolutions pad as in TensorFlow, and pixel values range from -1 to 1."
            ).format(file=evidence)
        )
    mean = _parse_triple(card, "mean", record["mean"]) if "mean" in record else entry.mean
    std = _parse_triple(card, "std", record["std"]) if "std" in record else entry.std
    licence = str(record.get("licence", "unknown"))
    entry = replace(entry, mean=mean, std=std)
    return WeightsSource(entry, "file", path, licence, str(record.get("source", path.name)), tuple(notes))


def _read_card(card: Path) -> dict[str, Any]:
    """Return the JSON object in the file ``card``; raise ``WeightsError`` if it is damaged."""
    try:
        record = json.loads(card.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(_("{path} cannot be read: {error}.").format(path=card, error=error)) from error
    if not isinstance(record, dict):
        raise WeightsError(
            _("{path} is not a weights card.").format(path=card),
            _("Expected a JSON object with pad_type, mean, std, licence, source, each of them optional."),
        )
    return record


def _parse_triple(card: Path, key: str, value: Any) -> ChannelValues:
    """Return the three numbers of the entry ``key`` of ``card``; raise ``UsageError`` if ``value`` is anything else."""
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 3 or not all(isinstance(number, (int, float)) for number in numbers):
        raise UsageError(
            _("{path}: {key} cannot be {value}.").format(path=card, key=key, value=value),
            _("Expected three numbers between 0 and 255, for red, green and blue."),
        )
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _licence_notes(entry: ModelEntry) -> tuple[str, ...]:
    """Return a warning where the licence of the weights of ``entry`` is not permissive."""
    if entry.is_permissive:
        return ()
    return (
        _("The weights of {model} have the licence '{licence}', which may not allow your use: read it first.").format(
            model=entry.pretrained_name, licence=entry.licence
        ),
    )
