"""The run folder: everything that a training run writes. A run is never overwritten."""

from __future__ import annotations

import csv
import io
import json
import os
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.display import NotebookDisplay, find_notebook_shell
from lince.errors import TrainingError, UsageError
from lince.i18n import _
from lince.inference.sources import to_printable
from lince.model_card import NETWORK_FILE
from lince.splits import SPLITS, UNASSIGNED
from lince.training.run_lock import LOCK_FILE

CONFIG_FILE = "config.toml"
DATA_FILE = "data.json"  # where the data is and how it was read
SPLIT_FILE = "split.csv"  # name, content digest, labels and split of every image
PLAN_FILE = "plan.json"  # the hyper-parameters, of recipes that train in epochs
EXTENSION_FILE = "extending"  # there while a finished run goes on with more epochs
METRICS_FILE = "metrics.csv"  # one row per epoch
PREDICTIONS_FILE = "predictions.csv"  # on the test images; ``lince evaluate --out`` writes the same file
REPORT_STEM = "report"
REPORT_PAGE = f"{REPORT_STEM}.html"
_RUNS_FOLDER = "runs"
_MAX_NAMED = 5  # images whose changes a message names
_SPLIT_NAMES = {number: name for name, number in SPLITS.items()} | {UNASSIGNED: ""}


@dataclass(frozen=True)
class TrainingRun(NotebookDisplay):
    """A training run, finished or interrupted, in ``folder``.

    ``str`` gives its path as given, for commands that a person can type. A run can be given wherever the path of one
    is expected.
    """

    html_renderer = "lince.notebook.run_html:render_run"

    folder: Path

    @property
    def model_folder(self) -> Path:
        """The folder of ``model.onnx`` and ``card.json``."""
        return self.folder / "model"

    @property
    def checkpoint_folder(self) -> Path:
        """The folder of ``best.safetensors`` and ``last.safetensors``."""
        return self.folder / "checkpoints"

    @property
    def report_page(self) -> Path:
        """The path of ``report.html``."""
        return self.folder / REPORT_PAGE

    @property
    def report(self) -> dict[str, Any]:
        """The content of ``report.json``; raises ``TrainingError`` when it cannot be read."""
        return _read_json(self.folder / f"{REPORT_STEM}.json")

    @property
    def config(self) -> TrainConfig:
        """The configuration that the run was started with."""
        return TrainConfig.load(self.folder / CONFIG_FILE)

    @property
    def data_source(self) -> dict[str, Any]:
        """Where the data is and how it was read: path, options of ``lince.open``, and ``allow_unusable``."""
        return _read_json(self.folder / DATA_FILE)

    @property
    def is_finished(self) -> bool:
        """Whether the run has written its report and its model, and was not asked to go on since."""
        is_written = (self.folder / f"{REPORT_STEM}.json").exists() and (self.model_folder / NETWORK_FILE).exists()
        return is_written and not (self.folder / EXTENSION_FILE).exists()

    @property
    def finished_epoch_count(self) -> int:
        """The number of epochs in ``metrics.csv``; 0 before it is written."""
        path = self.folder / METRICS_FILE
        return max(0, len(path.read_text("utf-8").splitlines()) - 1) if path.is_file() else 0

    def show(self) -> Path | None:
        """Show the run: in a notebook below the cell, elsewhere its report in the browser, whose path is returned."""
        if find_notebook_shell() is not None or not self.report_page.is_file():
            return super().show()
        webbrowser.open(self.report_page.absolute().as_uri())
        return self.report_page

    def __str__(self) -> str:
        return str(self.folder)

    def __fspath__(self) -> str:
        return str(self.folder)


def create_run(out: str | os.PathLike[str] | None) -> TrainingRun:
    """Return a new run in the folder ``out``, or in the first free one of ``runs/train``, ``runs/train2``, ...

    Creates the folder. Raises ``UsageError`` when ``out`` exists and is not an empty folder.
    """
    if out is not None:
        folder = Path(out)
        require_new_run_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return TrainingRun(folder)
    number = 1
    while True:
        folder = Path(_RUNS_FOLDER) / f"train{number if number > 1 else ''}"
        try:
            folder.mkdir(parents=True)
            return TrainingRun(folder)
        except FileExistsError:
            number += 1


def require_new_run_folder(folder: Path) -> None:
    """Raise ``UsageError`` when ``folder`` exists and is not an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            _("{folder} is not empty, and runs are never overwritten.").format(folder=folder),
            _("Expected a new or empty folder."),
            _("Choose another --out, or continue that run: lince train --resume {folder}").format(
                folder=fileio.quote_path(folder)
            ),
        )


def open_run(folder: str | os.PathLike[str]) -> TrainingRun:
    """Return the run in ``folder``; raise ``UsageError`` when there is none."""
    run = TrainingRun(Path(folder))
    if not (run.folder / CONFIG_FILE).is_file():
        raise UsageError(
            _("There is no run in {folder}.").format(folder=folder),
            _("Expected a folder that lince train wrote, with {name} in it.").format(name=CONFIG_FILE),
        )
    return run


def read_split(run: TrainingRun, dataset: Dataset) -> NDArray[np.int8] | None:
    """Return the splits, int8 (N,), that ``split.csv`` of a run that was started before gives the images.

    ``None`` for a new run, and when the file does not name every image of ``dataset``.
    """
    path = run.folder / SPLIT_FILE
    if not path.exists():
        return None
    rows = csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8", "surrogateescape"), newline=""))
    split_of_name = {row["name"]: SPLITS.get(row["split"], UNASSIGNED) for row in rows}
    names = [dataset.images.get_name(row) for row in range(len(dataset))]
    if not all(name in split_of_name for name in names):
        return None
    return np.array([split_of_name[name] for name in names], np.int8)


def write_split(run: TrainingRun, dataset: Dataset, keys: list[str]) -> None:
    """Write ``split.csv``: name, content digest, class or objects, and split of every image.

    When the file exists, which a resumed run has written before, compare instead. Raises ``TrainingError`` when the
    images, their labels or their splits have changed.
    """
    path = run.folder / SPLIT_FILE
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("name", "key", "class", "split"))
    for row, (key, split) in enumerate(zip(keys, dataset.splits.tolist(), strict=True)):
        classes = "|".join(dataset.list_class_names(row))
        labels = classes if dataset.objects is None else dataset.compute_objects_key(row)
        writer.writerow((dataset.images.get_name(row), key, labels, _SPLIT_NAMES[split]))
    text = stream.getvalue()
    if not path.exists():
        fileio.write_bytes(path, text.encode("utf-8", "surrogateescape"))
    elif changes := _list_changes(path.read_bytes().decode("utf-8", "surrogateescape"), text):
        more = len(changes) - _MAX_NAMED
        raise TrainingError(
            _("The images of {run} have changed since it started:").format(run=run)
            + "".join(f"\n  {to_printable(change)}" for change in changes[:_MAX_NAMED])
            + (_("\n  and {more:,} more").format(more=more) if more > 0 else ""),
            _("Expected those listed in {path}.").format(path=path),
            _("Restore them, or train again in a new folder."),
        )


def _list_changes(before: str, now: str) -> list[str]:
    """Return what differs between two texts of ``split.csv``, one line for each image.

    Images that are in no split, which earlier versions of lince listed too, do not count.
    """
    old, new = _read_split_rows(before), _read_split_rows(now)
    texts = (_("{name}: other content"), _("{name}: other labels"), _("{name}: in another split"))
    changes = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            changes.append(_("{name}: missing, or not readable").format(name=name))
        elif name not in old:
            changes.append(_("{name}: new").format(name=name))
        else:
            cells = zip(old[name], new[name], texts, strict=True)
            changes += [text.format(name=name) for was, is_now, text in cells if was != is_now][:1]
    if not changes and list(old) != list(new):
        changes.append(_("The images have another order."))
    return changes


def _read_split_rows(text: str) -> dict[str, list[str]]:
    """Return content digest, labels and split of each image of a ``split.csv`` that is in a split, by its name."""
    rows = csv.reader(io.StringIO(text, newline=""))
    next(rows, None)
    return {row[0]: row[1:] for row in rows if row and row[-1]}


def read_given_splits(run: TrainingRun) -> dict[str, int]:
    """Return the number of images of each split that the data of ``run`` brought itself, by name.

    A run inside of one with all recipes has its data recorded there; runs of earlier versions recorded nothing.
    """
    for folder in (run.folder, run.folder.parent):
        if (folder / DATA_FILE).is_file():
            return dict(_read_json(folder / DATA_FILE).get("given_splits", {}))
    return {}


def discard_unstarted(run: TrainingRun) -> None:
    """Delete the folder of a run whose training never started, so that a corrected command can use its name again.

    A folder that holds anything besides what is recorded before the training is left as it is.
    """
    entries = sorted(run.folder.rglob("*"), reverse=True)  # what is in a folder comes before it
    if all(entry.is_dir() or entry.name in (CONFIG_FILE, DATA_FILE, SPLIT_FILE, LOCK_FILE) for entry in entries):
        for entry in entries:
            entry.rmdir() if entry.is_dir() else entry.unlink()
        run.folder.rmdir()
        with suppress(OSError):  # other runs are in it, or it is the user's
            Path(_RUNS_FOLDER).rmdir()


def write_metrics(run: TrainingRun, history: list[dict[str, Any]]) -> None:
    """Write ``metrics.csv`` with one row for each record of ``history``; without records the file is empty.

    The columns are all keys of the records, in the order in which they first occur.
    """
    stream = io.StringIO()
    if history:
        columns = dict.fromkeys(name for entry in history for name in entry)
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    fileio.write_text(run.folder / METRICS_FILE, stream.getvalue())


def _read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``; raise ``TrainingError`` when the file is missing or damaged."""
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            _("{path} cannot be read: {error}.").format(path=path, error=error),
            _("Expected a file that lince train writes when it ends."),
            _("If the run was interrupted, continue it with: lince train --resume {run}").format(
                run=fileio.quote_path(path.parent)
            ),
        ) from error
    return record
