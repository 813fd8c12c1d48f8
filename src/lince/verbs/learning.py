"""The verbs that train: train, resume, demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lince import files, images
from lince.config import TrainConfig
from lince.data import Dataset, open_dataset
from lince.data.open import lasting
from lince.evaluation.predictions import Predictions
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime.answers import save_answers
from lince.runtime.predictor import load
from lince.training import run
from lince.training.all_recipes import train_all
from lince.training.request import Request
from lince.training.run import Run
from lince.training.train import train as train_one
from lince.verbs.parts import training_part

DIGITS = "lince:digits"
PHOTOS, ANSWERS = "photos", "answers"
ASKED = 24  # digits that the demo asks its model about, four rows of a sheet
DEMO = TrainConfig(recipe="scratch", model="cnn: conv 32 3, norm, conv 32 3, norm, pool, conv 64 3, norm, conv 64 3, "
                   "norm, gap, dropout 0.2", size=16, epochs=12, batch=64, augment="rotation 10, shift_x 0.06, "
                   "shift_y 0.06, zoom 0.1, fill constant 0")  # fmt: skip


def train(  # noqa: PLR0913
    data: str | Path | Dataset,
    config: TrainConfig | None = None,
    *,
    out: str | Path | None = None,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    allow_unusable: bool = False,
    progress: Progress = SILENT,
    **choices: Any,
) -> Run:
    """Train a recogniser on ``data`` (a path in any known format, or a dataset) and return the finished run.

    ``choices`` are fields of ``TrainConfig`` (``recipe="finetune"``, ``epochs=5``) and go over those of ``config``.
    The run is the new folder ``out``, or ``runs/train``, ``runs/train2``, ... Raises ``LinceError`` with what was
    found, what was expected, and what to do next.
    """
    chosen = (config or TrainConfig()).but(**choices)
    repairs = sorted(fix)
    groups = {name: list(members) for name, members in (merge or {}).items()}
    origin = {"format": format, "pattern": pattern, "merge": groups, "fix": repairs}
    if isinstance(data, Dataset):
        dataset, origin = data, {**origin, "path": str(data.root), "format": data.format}
    else:
        dataset = open_dataset(data, format=format, pattern=pattern, merge=merge, fix=repairs, progress=progress)
        origin = {**origin, "path": lasting(data)}
    target = run.create(out)
    files.write_json(target.folder / run.ORIGIN, {**origin, "allow_unusable": allow_unusable})
    chosen.save(target.folder / run.CONFIG)
    return _train(Request(dataset, chosen, allow_unusable, progress), target)


def resume(folder: str | Path, *, progress: Progress = SILENT) -> Run:
    """Go on with an interrupted run to its end and return it; a finished one is returned as it is.

    On a CPU the result has the same bits as that of a run that was never interrupted. Raises ``TrainingError`` when
    its images have changed.
    """
    target = run.find(folder)
    if target.is_finished:
        progress.say(_("{run} is finished already.").format(run=target))
        return target
    origin, config = target.origin, target.config
    reading = {name: origin[name] for name in ("format", "pattern", "merge", "fix") if name in origin}
    dataset = open_dataset(origin["path"], **reading, progress=progress)
    return _train(Request(dataset, config, origin["allow_unusable"], progress), target)


def demo(*, out: str | Path | None = None, progress: Progress = SILENT) -> Run:
    """Train a small network on scikit-learn's 1,797 handwritten digits and return the run: about a minute.

    The run holds some of the test digits as picture files (``photos``) and what the model answers (``answers``).
    """
    finished = train(DIGITS, DEMO, out=out, progress=progress)
    _ask(finished, progress)
    return finished


def _ask(finished: Run, progress: Progress) -> None:
    tested = Predictions.load(finished.folder / run.PREDICTIONS)
    dataset = open_dataset(DIGITS)
    rows = {dataset.images.name(row): row for row in range(len(dataset))}
    for name, truth in list(zip(tested.names, tested.truth.tolist(), strict=True))[:ASKED]:
        path = finished.folder / PHOTOS / tested.classes.names[truth] / f"{name}.png"
        files.write_bytes(path, images.encode_png(dataset.images.read(rows[name])))
    answers = load(finished.folder).predict_many(finished.folder / PHOTOS, progress=progress)
    save_answers(list(answers), finished.folder / ANSWERS)


def _train(request: Request, target: Run) -> Run:
    try:
        with training_part():
            (train_all if request.config.recipe == "all" else train_one)(request, target)
    except (KeyboardInterrupt, OSError):
        request.progress.say(_("Go on with: lince train --resume {run}").format(run=target))
        raise
    return target
