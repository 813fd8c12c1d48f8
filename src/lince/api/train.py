"""The verbs that train: train, resume, demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lince import fileio, images
from lince.api.extras import require_training_extra
from lince.config import TrainConfig
from lince.datasets import Dataset, open_dataset
from lince.datasets.open import make_path_absolute
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.i18n import _
from lince.inference.classification.predictor import load_classifier
from lince.inference.classification.results_file import save_classifications
from lince.progress import SILENT, Progress
from lince.training import run_folder
from lince.training.classification.train import train as train_one
from lince.training.recipe_comparison import train_all_recipes
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun

DIGITS_DATASET = "lince:digits"
IMAGES_FOLDER, RESULTS_FOLDER = "photos", "answers"
SAMPLE_COUNT = 24  # digits that the demo asks its model about, four rows of a sheet
DEMO_CONFIG = TrainConfig(recipe="scratch", model="cnn: conv 32 3, norm, conv 32 3, norm, pool, conv 64 3, norm, conv 64 3, "
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
) -> TrainingRun:
    """Train a recogniser on ``data`` (a path in any known format, or a dataset) and return the finished run.

    ``choices`` are fields of ``TrainConfig`` (``recipe="finetune"``, ``epochs=5``) and go over those of ``config``.
    The run is the new folder ``out``, or ``runs/train``, ``runs/train2``, ... Raises ``LinceError`` with what was
    found, what was expected, and what to do next.
    """
    chosen = (config or TrainConfig()).with_changes(**choices)
    repairs = sorted(fix)
    groups = {name: list(members) for name, members in (merge or {}).items()}
    origin = {"format": format, "pattern": pattern, "merge": groups, "fix": repairs}
    if isinstance(data, Dataset):
        dataset, origin = data, {**origin, "path": str(data.root), "format": data.format}
    else:
        dataset = open_dataset(data, format=format, pattern=pattern, merge=merge, fix=repairs, progress=progress)
        origin = {**origin, "path": make_path_absolute(data)}
    target = run_folder.create_run(out)
    fileio.write_json(target.folder / run_folder.DATA_FILE, {**origin, "allow_unusable": allow_unusable})
    chosen.save(target.folder / run_folder.CONFIG_FILE)
    return _run_training(TrainingRequest(dataset, chosen, allow_unusable, progress), target)


def resume(folder: str | Path, *, progress: Progress = SILENT) -> TrainingRun:
    """Go on with an interrupted run to its end and return it; a finished one is returned as it is.

    On a CPU the result has the same bits as that of a run that was never interrupted. Raises ``TrainingError`` when
    its images have changed.
    """
    target = run_folder.open_run(folder)
    if target.is_finished:
        progress.show_message(_("{run} is finished already.").format(run=target))
        return target
    origin, config = target.data_source, target.config
    reading = {name: origin[name] for name in ("format", "pattern", "merge", "fix") if name in origin}
    dataset = open_dataset(origin["path"], **reading, progress=progress)
    return _run_training(TrainingRequest(dataset, config, origin["allow_unusable"], progress), target)


def demo(*, out: str | Path | None = None, progress: Progress = SILENT) -> TrainingRun:
    """Train a small network on scikit-learn's 1,797 handwritten digits and return the run: about a minute.

    The run holds some of the test digits as picture files (``photos``) and what the model answers (``answers``).
    """
    finished = train(DIGITS_DATASET, DEMO_CONFIG, out=out, progress=progress)
    _predict_samples(finished, progress)
    return finished


def _predict_samples(finished: TrainingRun, progress: Progress) -> None:
    tested = ClassificationPredictions.load(finished.folder / run_folder.PREDICTIONS_FILE)
    dataset = open_dataset(DIGITS_DATASET)
    rows = {dataset.images.get_name(row): row for row in range(len(dataset))}
    for name, truth in list(zip(tested.names, tested.truth.tolist(), strict=True))[:SAMPLE_COUNT]:
        path = finished.folder / IMAGES_FOLDER / tested.classes.names[truth] / f"{name}.png"
        fileio.write_bytes(path, images.encode_png(dataset.images.read_image(rows[name])))
    answers = load_classifier(finished.folder).predict_many(finished.folder / IMAGES_FOLDER, progress=progress)
    save_classifications(list(answers), finished.folder / RESULTS_FOLDER)


def _run_training(request: TrainingRequest, target: TrainingRun) -> TrainingRun:
    try:
        with require_training_extra():
            (train_all_recipes if request.config.recipe == "all" else train_one)(request, target)
    except (KeyboardInterrupt, OSError):
        request.progress.show_message(_("Go on with: lince train --resume {run}").format(run=target))
        raise
    return target
