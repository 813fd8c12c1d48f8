"""The task ``classify``: image classification, one class for each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, RejectedItem
from lince.i18n import _
from lince.tasks.task import COMMON_OPTIONS, LOOP_OPTIONS, Task

if TYPE_CHECKING:
    from lince.datasets import Dataset


class ClassificationTask(Task):
    """Image classification: one class for each image. Images without a class are not usable."""

    name = "classify"
    headline = "accuracy"
    monitors = ("val_loss", "val_accuracy")
    # Pretrained weights refuse any ``standardise``, with a reason of their own.
    options_by_recipe: ClassVar[Mapping[str, frozenset[str]]] = {
        "scratch": COMMON_OPTIONS | LOOP_OPTIONS | {"label_smoothing", "mix", "standardise"},
        "transfer": COMMON_OPTIONS | {"weights", "head", "standardise", "precision"},
        "finetune": COMMON_OPTIONS
        | LOOP_OPTIONS
        | {"weights", "head", "from_layer", "label_smoothing", "mix", "standardise"},
    }
    parts: ClassVar[Mapping[str, str]] = {
        "train": "lince.training.classification.train:train_classifier",
        "adapt_config": "lince.training.classification.train:adapt_config",
        "list_models": "lince.models.classification.registry:list_presets",
        "get_model": "lince.models.classification.registry:get_model_entry",
        "layers": "lince.export.classification.latency:summarise_layers",
        "measure_latency": "lince.export.classification.latency:measure_latency",
        "predictor": "lince.inference.classification.predictor:ClassificationPredictor",
        "evaluate": "lince.training.classification.evaluate:evaluate_classifier",
        "evaluation_report": "lince.training.classification.evaluation_report:build_evaluation_report",
        "predictions": "lince.evaluation.classification.predictions:ClassificationPredictions",
        "compare": "lince.evaluation.classification.comparison:compare_classifiers",
        "outputs": "lince.export.classification.outputs:collect_outputs",
        "standalone": "lince.export.classification.standalone",
        "videos": "lince.inference.video.classified_video:prepare_videos",
        "save_results": "lince.inference.image_results_file:save_image_results",
        "http": "lince.serving.classification.records",
        "notebook": "lince.notebook.classification.examples",
        "cli": "lince.cli.classification.commands:COMMANDS",
    }

    @property
    def title(self) -> str:
        """The name of the task in the current language."""
        return _("image classification")

    @property
    def label_name(self) -> str:
        """What an image needs to be usable, in the current language."""
        return _("a class")

    def fits(self, dataset: Dataset) -> bool:
        """Return whether any image of ``dataset`` has a class."""
        return bool((dataset.class_ids != UNLABELLED).any())

    def suits(self, dataset: Dataset) -> bool:
        """Return whether any image has a class, unless the labels list several classes an image on purpose."""
        return self.fits(dataset) and not (dataset.label_sets is not None and dataset.label_sets.is_listed)

    def usable_rows(self, dataset: Dataset) -> NDArray[np.bool_]:
        """Return bool (N,): the images with a class."""
        return np.asarray(dataset.class_ids != UNLABELLED)

    def explain_unusable(self, dataset: Dataset, row: int) -> RejectedItem:
        """Return why an image cannot be used: it has no class, or several."""
        if dataset.label_sets is None or dataset.label_sets.counts[row] <= 1:
            return super().explain_unusable(dataset, row)
        return dataset.explain_several_classes(row)

    def keep_own_labels(self, dataset: Dataset) -> Dataset:
        """Return ``dataset`` without objects, and without the classes that only objects or several together have."""
        others = [part.class_ids for part in (dataset.objects, dataset.label_sets) if part is not None]
        if not others:
            return dataset
        unused = np.setdiff1d(np.concatenate(others), dataset.class_ids)
        return replace(dataset, objects=None, label_sets=None).drop_classes(unused)
