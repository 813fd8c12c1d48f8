"""Saves the results of a multilabel model: tables, a contact sheet, and labels that a person can correct."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lince.annotations import UNLABELLED
from lince.datasets import Dataset
from lince.errors import UsageError
from lince.formats.format import Capability
from lince.formats.registry import FORMATS
from lince.i18n import _
from lince.inference import image_results_file
from lince.inference.image_results_file import ImageOutcome
from lince.inference.multilabel.result import MultilabelResult
from lince.inference.predicted_images import PredictedImages, write_predicted_dataset
from lince.label_sets import LabelSets
from lince.progress import SILENT, Progress
from lince.splits import UNASSIGNED
from lince.validation import require_choice


def save_results(
    outcomes: Sequence[ImageOutcome], folder: str | Path, to: str | None = None, progress: Progress = SILENT
) -> Path:
    """Write the files of ``image_results_file.save_image_results`` into ``folder``, and return the folder.

    With ``to``, the images that are in files are written with the said classes as labels into a folder of the name of
    that format in there. Raises ``DataError`` when no image was predicted, and ``UsageError`` for a format that does
    not hold several classes an image.
    """
    if to:
        require_label_format(to)
    written = image_results_file.save_image_results(outcomes, folder)
    in_files = [outcome for outcome in outcomes if isinstance(outcome, MultilabelResult) and outcome.path]
    if to and in_files:
        write_predicted_dataset(build_dataset(in_files), written / to, to, progress)
    return written


def require_label_format(name: str) -> str:
    """Return ``name``; raise ``UsageError`` unless it is a format that holds several classes an image."""
    require_choice("--to", name, FORMATS.list_writable())
    if Capability.LABEL_SETS not in FORMATS[name].capabilities:
        others = [one for one in FORMATS.list_writable() if Capability.LABEL_SETS in FORMATS[one].capabilities]
        raise UsageError(
            _("The format '{name}' does not hold several classes for a photo.").format(name=name),
            _("Expected one of: {names}.").format(names=", ".join(others)),
        )
    return name


def build_dataset(results: Sequence[MultilabelResult]) -> Dataset:
    """Return the dataset of the images of ``results``, with the said classes as labels.

    The results are of one model, at least one, and each image is in a file.
    """
    count = len(results)
    return Dataset(
        PredictedImages(tuple(results)),
        results[0].classes,
        np.full(count, UNLABELLED, np.int32),
        np.full(count, UNASSIGNED, np.int8),
        (),
        Path(results[0].path or ""),
        "predictions",
        label_sets=LabelSets.from_matrix(np.stack([result.is_said for result in results])),
    )
