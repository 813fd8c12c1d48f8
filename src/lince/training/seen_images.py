"""The images that a model has seen in training, by content: measured on them, it would look better than it is."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince import fileio
from lince.i18n import _
from lince.training.run_folder import CONFIG_FILE, SPLIT_FILE

EVALUATION_FILE = "evaluation.json"  # beside the predictions of ``lince evaluate --out``
_SEEN_SPLITS = ("train", "val")
_MAX_PARENTS = 2  # from a model folder, or an export in ``exports``, up to its run


@dataclass(frozen=True)
class SeenImages:
    """The split, ``train`` or ``val``, of each image that a run has seen, by content digest.

    Training images fitted the weights. Validation images chose epoch, thresholds and recipe, and the recipe
    ``transfer`` of classifiers fits its final head on them too. ``is_recorded`` is false where nothing beside the model
    says what it has seen.
    """

    split_by_key: Mapping[str, str]
    is_recorded: bool = True

    def count(self, keys: Sequence[str]) -> SeenCounts:
        """Return how many images with these content digests the run has seen."""
        splits = [self.split_by_key.get(key) for key in keys]
        return SeenCounts(len(splits), splits.count("train"), splits.count("val"), self.is_recorded)


@dataclass(frozen=True)
class SeenCounts:
    """How many of ``total`` images trained a model, and how many were its validation images.

    ``are_measured`` says that figures were measured on them all the same; otherwise they were left out.
    """

    total: int
    trained: int
    validated: int
    is_recorded: bool = True
    are_measured: bool = False

    @property
    def seen(self) -> int:
        """The number of images that the model has seen."""
        return self.trained + self.validated

    @property
    def note(self) -> str:
        """The sentence about images that were left out; empty where none were."""
        if not self.seen or self.are_measured:
            return ""
        return _(
            "{trained:,} of {total:,} photos trained this model and {validated:,} were its validation photos: "
            "left out. Measured on the other {count:,}."
        ).format(trained=self.trained, total=self.total, validated=self.validated, count=self.total - self.seen)

    @property
    def warning(self) -> str:
        """The sentence that the figures must not be shown without; empty where they can be trusted."""
        if not self.is_recorded:
            return _(
                "Warning: nothing beside this model records which photos trained it. If some of these did, the figures "
                "are too good. Evaluate the training run, whose folder has {name}, or photos taken afterwards."
            ).format(name=SPLIT_FILE)
        if not self.seen or not self.are_measured:
            return ""
        return _(
            "Warning: {trained:,} of these {total:,} photos trained this model and {validated:,} were its validation "
            "photos. The figures are too good: they do not tell how well it does on photos that are new to it."
        ).format(trained=self.trained, total=self.total, validated=self.validated)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as a JSON object; those of a model without a record are null."""
        return {
            "recorded": self.is_recorded,
            "total": self.total,
            "trained": self.trained if self.is_recorded else None,
            "validated": self.validated if self.is_recorded else None,
            "included": self.are_measured,
            "note": self.note or None,
            "warning": self.warning or None,
        }


def find_seen_images(model: str | os.PathLike[str]) -> SeenImages:
    """Return what the run of ``model`` has seen: a run, its model folder, or one of its exports.

    They are the images that ``split.csv`` of the run lists for training and validation, by content; nothing is recorded
    for a model outside of its run.
    """
    path = Path(model).absolute()
    for folder in (path, *path.parents[:_MAX_PARENTS]):
        if (folder / SPLIT_FILE).is_file() and (folder / CONFIG_FILE).is_file():
            return _read_split_file(folder / SPLIT_FILE)
    return SeenImages({}, is_recorded=False)


def save_evaluation(folder: Path, document: Mapping[str, Any], keys: Sequence[str], seen: SeenImages) -> None:
    """Write ``evaluation.json``: the figures of ``document``, and which of the measured images the model has seen.

    ``keys`` are the content digests of the measured images. A comparison leaves out those that were seen.
    """
    seen_keys = {key: seen.split_by_key[key] for key in keys if key in seen.split_by_key}
    fileio.write_json(folder / EVALUATION_FILE, {**document, "seen_keys": seen_keys})


def find_keys_to_leave_out(run: Path) -> frozenset[str]:
    """Return the content digests that predictions in the folder ``run`` must not be compared on: those it has seen."""
    seen = find_seen_images(run) if (run / SPLIT_FILE).is_file() else SeenImages({})
    path = run / EVALUATION_FILE
    measured = json.loads(path.read_text("utf-8")).get("seen_keys", ()) if path.is_file() else ()
    return frozenset(seen.split_by_key) | frozenset(measured)


def _read_split_file(path: Path) -> SeenImages:
    """Return the seen images of a run's ``split.csv``; an image that is in both splits counts for training."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    split_by_key: dict[str, str] = {}
    for split in reversed(_SEEN_SPLITS):
        split_by_key |= {row["key"]: split for row in rows if row.get("split") == split and row.get("key")}
    return SeenImages(split_by_key)
