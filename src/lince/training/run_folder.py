"""A run on disk: one folder that explains itself and is never overwritten."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince import fileio
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.errors import TrainingError, UsageError
from lince.i18n import _
from lince.model_card import NETWORK_FILE
from lince.splits import SPLITS, UNASSIGNED

CONFIG_FILE, DATA_FILE, SPLIT_FILE, METRICS_FILE, PREDICTIONS_FILE = (
    "config.toml",
    "data.json",
    "split.csv",
    "metrics.csv",
    "predictions.csv",
)
REPORT_STEM = "report"
_SPLIT_NAMES = {number: name for name, number in SPLITS.items()} | {UNASSIGNED: ""}


@dataclass(frozen=True)
class TrainingRun:
    """A finished or interrupted run in ``folder``."""

    folder: Path

    @property
    def model_folder(self) -> Path:
        """The model folder: ``model.onnx`` and ``card.json``."""
        return self.folder / "model"

    @property
    def checkpoint_folder(self) -> Path:
        """The folder of ``best.safetensors`` and ``last.safetensors``."""
        return self.folder / "checkpoints"

    @property
    def report_page(self) -> Path:
        """The report as one HTML file."""
        return self.folder / f"{REPORT_STEM}.html"

    @property
    def report(self) -> dict[str, Any]:
        """The report as a dictionary: the content of ``report.json``."""
        return _read_json(self.folder / f"{REPORT_STEM}.json")

    @property
    def config(self) -> TrainConfig:
        """The choices that the run was started with."""
        return TrainConfig.load(self.folder / CONFIG_FILE)

    @property
    def data_source(self) -> dict[str, Any]:
        """Where its data is and how it was read: the arguments of ``lince.open``."""
        return _read_json(self.folder / DATA_FILE)

    @property
    def is_finished(self) -> bool:
        """Whether the run has come to its report."""
        return (self.folder / f"{REPORT_STEM}.json").exists() and (self.model_folder / NETWORK_FILE).exists()

    def __str__(self) -> str:
        return str(self.folder)


def create_run(out: Path | str | None) -> TrainingRun:
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
        return TrainingRun(folder)
    number = 1
    while True:
        folder = Path("runs") / f"train{number if number > 1 else ''}"
        try:
            folder.mkdir(parents=True)
            return TrainingRun(folder)
        except FileExistsError:
            number += 1


def open_run(folder: Path | str) -> TrainingRun:
    """Return the run in ``folder``; raise ``UsageError`` when there is none."""
    run = TrainingRun(Path(folder))
    if not (run.folder / CONFIG_FILE).is_file():
        raise UsageError(
            _("There is no run in {folder}.").format(folder=folder),
            _("Expected a folder that lince train wrote, with {name} in it.").format(name=CONFIG_FILE),
        )
    return run


def write_split(run: TrainingRun, dataset: Dataset, keys: list[str]) -> None:
    """Record which image is in which part; or, when the run has a record, check that it is still so.

    Raises ``TrainingError`` when the images, their classes or their parts are no longer those of the run.
    """
    path = run.folder / SPLIT_FILE
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("name", "key", "class", "split"))
    names = (*dataset.classes.names, "")
    for row, (key, class_id, split) in enumerate(
        zip(keys, dataset.class_ids.tolist(), dataset.splits.tolist(), strict=True)
    ):
        marks = names[class_id] if dataset.objects is None else dataset.compute_objects_key(row)
        writer.writerow((dataset.images.get_name(row), key, marks, _SPLIT_NAMES[split]))
    text = stream.getvalue()
    if not path.exists():
        fileio.write_bytes(path, text.encode("utf-8", "surrogateescape"))
    elif path.read_bytes() != text.encode("utf-8", "surrogateescape"):
        raise TrainingError(
            _("The images of {run} have changed since it started.").format(run=run),
            _("Expected those listed in {path}.").format(path=path),
            _("Bring them back, or train again in a new folder."),
        )


def write_metrics(run: TrainingRun, history: list[dict[str, Any]]) -> None:
    """Write the figures of every epoch to ``metrics.csv``."""
    stream = io.StringIO()
    if history:
        columns = dict.fromkeys(name for entry in history for name in entry)
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    fileio.write_text(run.folder / METRICS_FILE, stream.getvalue())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            _("{path} cannot be read: {error}.").format(path=path, error=error),
            _("Expected a file that lince train writes when it ends."),
            _("If the run was interrupted, go on with: lince train --resume {run}").format(run=path.parent),
        ) from error
    return record
