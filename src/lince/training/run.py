"""A run on disk: one folder that explains itself and is never overwritten."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince import files
from lince.card import NETWORK_FILE
from lince.config import TrainConfig
from lince.data import SPLITS, UNASSIGNED, Dataset
from lince.errors import TrainingError, UsageError
from lince.messages import _

CONFIG, ORIGIN, SPLIT, METRICS, PREDICTIONS = "config.toml", "data.json", "split.csv", "metrics.csv", "predictions.csv"
REPORT = "report"
_SPLIT_NAMES = {number: name for name, number in SPLITS.items()} | {UNASSIGNED: ""}


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run in ``folder``."""

    folder: Path

    @property
    def model(self) -> Path:
        """The model folder: ``model.onnx`` and ``card.json``."""
        return self.folder / "model"

    @property
    def checkpoints(self) -> Path:
        """The folder of ``best.safetensors`` and ``last.safetensors``."""
        return self.folder / "checkpoints"

    @property
    def report_page(self) -> Path:
        """The report as one HTML file."""
        return self.folder / f"{REPORT}.html"

    @property
    def report(self) -> dict[str, Any]:
        """The report as a dictionary: the content of ``report.json``."""
        return _json(self.folder / f"{REPORT}.json")

    @property
    def config(self) -> TrainConfig:
        """The choices that the run was started with."""
        return TrainConfig.load(self.folder / CONFIG)

    @property
    def origin(self) -> dict[str, Any]:
        """Where its data is and how it was read: the arguments of ``lince.open``."""
        return _json(self.folder / ORIGIN)

    @property
    def is_finished(self) -> bool:
        """Whether the run has come to its report."""
        return (self.folder / f"{REPORT}.json").exists() and (self.model / NETWORK_FILE).exists()

    def __str__(self) -> str:
        return str(self.folder)


def create(out: Path | str | None) -> Run:
    """Return a new run: in the folder ``out``, or in the first free one of ``runs/train``, ``runs/train2``, ...

    Raises ``UsageError`` when ``out`` is there and not empty: runs are never overwritten.
    """
    if out is not None:
        folder = Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                _("{folder} is not empty, and runs are never overwritten.").format(folder=folder),
                _("Expected a new or empty folder."),
                _("Choose another --out, or go on with that run: lince train --resume {folder}").format(folder=folder),
            )
        folder.mkdir(parents=True, exist_ok=True)
        return Run(folder)
    number = 1
    while True:
        folder = Path("runs") / f"train{number if number > 1 else ''}"
        try:
            folder.mkdir(parents=True)
            return Run(folder)
        except FileExistsError:
            number += 1


def find(folder: Path | str) -> Run:
    """Return the run in ``folder``; raise ``UsageError`` when there is none."""
    run = Run(Path(folder))
    if not (run.folder / CONFIG).is_file():
        raise UsageError(
            _("There is no run in {folder}.").format(folder=folder),
            _("Expected a folder that lince train wrote, with {name} in it.").format(name=CONFIG),
        )
    return run


def write_split(run: Run, dataset: Dataset, keys: list[str]) -> None:
    """Record which image is in which part; or, when the run has a record, check that it is still so.

    Raises ``TrainingError`` when the images, their classes or their parts are no longer those of the run.
    """
    path = run.folder / SPLIT
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("name", "key", "class", "split"))
    names = (*dataset.classes.names, "")
    for row, (key, class_id, split) in enumerate(
        zip(keys, dataset.class_ids.tolist(), dataset.splits.tolist(), strict=True)
    ):
        marks = names[class_id] if dataset.objects is None else dataset.marks(row)
        writer.writerow((dataset.images.name(row), key, marks, _SPLIT_NAMES[split]))
    text = stream.getvalue()
    if not path.exists():
        files.write_bytes(path, text.encode("utf-8", "surrogateescape"))
    elif path.read_bytes() != text.encode("utf-8", "surrogateescape"):
        raise TrainingError(
            _("The images of {run} have changed since it started.").format(run=run),
            _("Expected those listed in {path}.").format(path=path),
            _("Bring them back, or train again in a new folder."),
        )


def write_metrics(run: Run, history: list[dict[str, Any]]) -> None:
    """Write the figures of every epoch to ``metrics.csv``."""
    stream = io.StringIO()
    if history:
        columns = dict.fromkeys(name for entry in history for name in entry)
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    files.write_text(run.folder / METRICS, stream.getvalue())


def _json(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            _("{path} cannot be read: {error}.").format(path=path, error=error),
            _("Expected a file that lince train writes when it ends."),
            _("If the run was interrupted, go on with: lince train --resume {run}").format(run=path.parent),
        ) from error
    return record
