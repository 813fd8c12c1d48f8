"""Facts that the reports of all tasks show: data, network, recipes and training history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from lince.annotations import RejectedItem
from lince.evaluation.confidence import ConfidenceInterval

HistoryRow = Mapping[str, float | int | None]


@dataclass(frozen=True)
class RecipeResult:
    """One row of the table that compares recipes.

    ``val`` and ``test`` are the headline metric of the task on validation and test images, ``seconds`` the duration of
    the recipe; ``chosen`` marks the recipe whose model is kept.
    """

    name: str
    val: float | None
    test: ConfidenceInterval | None
    seconds: float
    chosen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        test = None if self.test is None else self.test.to_dict()
        return {
            "name": self.name,
            "val": self.val,
            "test": test,
            "seconds": self.seconds,
            "chosen": self.chosen,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Return the row of a JSON object that ``to_dict`` made."""
        test = record["test"] and ConfidenceInterval(**record["test"])
        return cls(record["name"], record["val"], test, record["seconds"], record["chosen"])


@dataclass(frozen=True)
class MatrixPhoto:
    """A picture (JPEG or PNG) that belongs to a cell of a confusion matrix, with a ``detail`` such as a probability.

    ``caption`` is the name of the file.
    """

    image: bytes
    caption: str
    detail: str = ""


@dataclass(frozen=True)
class MatrixCell:
    """What a click on a cell of a confusion matrix shows.

    ``row`` and ``column`` are its indices, ``count`` the number in the cell; ``photos`` are some of what was counted,
    and ``more_names`` the files of some others.
    """

    row: int
    column: int
    count: int
    photos: tuple[MatrixPhoto, ...]
    more_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSummary:
    """The data of a run.

    Attributes:
        root: folder or file that it was read from.
        format: name of the label format.
        used_count: images and objects that were used.
        total_count: images and objects that were found, with those left out.
        splits: number of images of each split, such as ``{"train": 2934, "val": 367, "test": 366}``.
        counts: images (or objects) of each class by split, such as ``{"train": {"roses": 513}}``.
        fingerprint: hash of the data (``Dataset.compute_fingerprint``).
        rejected: what was left out, with reasons.
    """

    root: str
    format: str
    used_count: int
    total_count: int
    splits: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    fingerprint: str
    rejected: tuple[RejectedItem, ...] = ()

    @property
    def class_count(self) -> int:
        """The number of classes of the data."""
        return len(next(iter(self.counts.values()), {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        left_out = [
            {"path": item.path, "line": item.line, "reason": item.reason, "remedy": item.remedy}
            for item in self.rejected
        ]
        return {
            "root": self.root,
            "format": self.format,
            "used": self.used_count,
            "left_out": self.total_count - self.used_count,
            "total": self.total_count,
            "splits": dict(self.splits),
            "counts": {split: dict(counts) for split, counts in self.counts.items()},
            "fingerprint": self.fingerprint,
            "rejected": left_out,
        }


@dataclass(frozen=True)
class ModelFacts:
    """The network of a run.

    Attributes:
        name: name of the architecture.
        source: where the pretrained weights come from.
        licence: of the pretrained weights.
        params: number of parameters.
        trainable: number of parameters that were trained.
        macs: multiply-accumulates per image.
        input: size as text, width × height × channels.
    """

    name: str
    source: str
    licence: str
    params: int
    trainable: int
    macs: int
    input: str

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        return {
            "name": self.name,
            "source": self.source,
            "licence": self.licence,
            "params": self.params,
            "trainable": self.trainable,
            "macs": self.macs,
            "input": self.input,
        }


@dataclass(frozen=True)
class RunDetails:
    """How a run of a comparison was trained, as its ``report.json`` says.

    ``head`` is the record of a head's curves, empty for runs that were trained in epochs; ``train_images`` and
    ``seconds`` are ``None`` where the report does not say.
    """

    recipe: str
    model: str
    train_images: int | None
    seconds: float | None
    history: tuple[HistoryRow, ...] = ()
    head: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_report(cls, record: Mapping[str, Any]) -> Self:
        """Return the details of the run whose ``report.json`` is ``record``; what older versions lack is left open."""
        return cls(
            str(record.get("recipe", "")),
            str(record.get("model", {}).get("name", "")),
            record.get("data", {}).get("splits", {}).get("train"),
            record.get("timings", {}).get("total"),
            tuple(record.get("history", ())),
            record.get("head") or {},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return recipe, network, training images, epochs and seconds as a JSON object."""
        return {
            "recipe": self.recipe,
            "model": self.model,
            "train_images": self.train_images,
            "epochs": len(self.history) or None,
            "seconds": self.seconds,
        }
