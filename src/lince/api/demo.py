"""Trains, evaluates and uses a classifier of handwritten digits: ``lince.demo``."""

from __future__ import annotations

import os
from importlib.util import find_spec

from lince import fileio, images
from lince.api.train import train
from lince.config import TrainConfig
from lince.datasets import open_dataset
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.i18n import _
from lince.inference.classification.predictor import load_classifier
from lince.inference.image_results_file import save_image_results
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress
from lince.training import run_folder
from lince.training.run_folder import TrainingRun

DIGITS_DATASET = "lince:digits"
IMAGES_FOLDER, RESULTS_FOLDER = "photos", "answers"
SAMPLE_COUNT = 24  # test digits that are written as files and predicted, four rows of a contact sheet
# Small pictures need no more than 64 pixels, and so few photos no features in int8.
TRANSFER_CONFIG = TrainConfig(recipe="transfer", size=64, precision="fp32")
SCRATCH_CONFIG = TrainConfig(
    recipe="scratch",
    model="cnn: conv 32 3, norm, conv 32 3, norm, pool, conv 64 3, norm, conv 64 3, norm, gap, dropout 0.2",
    size=16,
    epochs=12,
    batch=64,
    augment="rotation 10, shift_x 0.06, shift_y 0.06, zoom 0.1, fill constant 0",
)


def demo(*, out: str | os.PathLike[str] | None = None, progress: Progress = AUTOMATIC) -> TrainingRun:
    """Train a classifier on the 1,797 built-in handwritten digits and return the finished run.

    Without PyTorch it is a head on the network that is installed with lince, and takes seconds; with PyTorch a small
    network from scratch, which takes about a minute and also reads digits that are drawn. The run folder also gets some
    of the test digits as image files (``photos``) and what the model predicts for them (``answers``). ``out`` is as in
    ``lince.train``.
    """
    config, text = TRANSFER_CONFIG, _("Training a classifier of 1,797 handwritten digits on a network of photos.")
    if find_spec("torch") is not None:
        config, text = SCRATCH_CONFIG, _("Training a small network on 1,797 handwritten digits.")
    progress.show_message(text)
    run = train(DIGITS_DATASET, config, out=out, progress=progress)
    _predict_samples(run, progress)
    return run


def _predict_samples(run: TrainingRun, progress: Progress) -> None:
    """Write the first test digits as PNG files, in a folder for each true class, and save their predictions."""
    predictions = ClassificationPredictions.load(run.folder / run_folder.PREDICTIONS_FILE)
    dataset = open_dataset(DIGITS_DATASET)
    rows = {dataset.images.get_name(row): row for row in range(len(dataset))}
    for name, class_id in list(zip(predictions.names, predictions.truth.tolist(), strict=True))[:SAMPLE_COUNT]:
        path = run.folder / IMAGES_FOLDER / predictions.classes.names[class_id] / f"{name}.png"
        fileio.write_bytes(path, images.encode_png(dataset.images.read_image(rows[name])))
    results = load_classifier(run.folder).predict_many(run.folder / IMAGES_FOLDER, progress=progress)
    save_image_results(list(results), run.folder / RESULTS_FOLDER)
