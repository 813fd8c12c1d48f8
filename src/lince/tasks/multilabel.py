"""The task ``multilabel``: any number of classes for each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED
from lince.i18n import _
from lince.label_sets import LabelSets
from lince.tasks.task import COMMON_OPTIONS, LOOP_OPTIONS, Task

if TYPE_CHECKING:
    from lince.datasets import Dataset


class MultilabelTask(Task):
    """Multilabel classification: several classes for each image, one, or none.

    An image of which the labels say nothing is not usable; one that is known to have no class is an example of none.
    """

    name = "multilabel"
    headline = "map"
    monitors = ("val_loss", "val_map")
    options_by_recipe: ClassVar[Mapping[str, frozenset[str]]] = {
        "scratch": COMMON_OPTIONS | LOOP_OPTIONS | {"standardise"},
        "transfer": COMMON_OPTIONS | {"weights", "standardise", "precision"},
        "finetune": COMMON_OPTIONS | LOOP_OPTIONS | {"weights", "from_layer", "standardise"},
    }
    parts: ClassVar[Mapping[str, str]] = {
        "train": "lince.training.multilabel.train:train_multilabel",
        "adapt_config": "lince.training.classification.train:adapt_config",
        "list_models": "lince.models.classification.registry:list_presets",
        "get_model": "lince.models.classification.registry:get_model_entry",
        "layers": "lince.export.classification.latency:summarise_layers",
        "measure_latency": "lince.export.classification.latency:measure_latency",
        "predictor": "lince.inference.multilabel.predictor:MultilabelPredictor",
        "evaluate": "lince.training.multilabel.evaluate:evaluate_multilabel",
        "evaluation_report": "lince.training.multilabel.evaluation_report:build_evaluation_report",
        "predictions": "lince.evaluation.multilabel.predictions:MultilabelPredictions",
        "compare": "lince.evaluation.multilabel.comparison:compare_multilabel",
        "outputs": "lince.export.multilabel.outputs:collect_outputs",
        "standalone": "lince.export.multilabel.standalone",
        "videos": "lince.inference.video.classified_video:prepare_videos",
        "save_results": "lince.inference.multilabel.results_file:save_results",
        "http": "lince.serving.multilabel.records",
        "notebook": "lince.notebook.multilabel.examples",
        "cli": "lince.cli.multilabel.commands:COMMANDS",
    }

    @property
    def title(self) -> str:
        """The name of the task in the current language."""
        return _("multilabel classification")

    @property
    def label_name(self) -> str:
        """What an image needs to be usable, in the current language."""
        return _("a list of classes")

    def fits(self, dataset: Dataset) -> bool:
        """Return whether any image of ``dataset`` has a class; one for each is a special case of several."""
        sets = dataset.label_sets
        return bool((dataset.class_ids != UNLABELLED).any()) or (sets is not None and len(sets.class_ids) > 0)

    def suits(self, dataset: Dataset) -> bool:
        """Return whether the labels list several classes an image on purpose, or no image has one alone."""
        sets = dataset.label_sets
        has_single = bool((dataset.class_ids != UNLABELLED).any())
        return sets is not None and (sets.is_listed or not has_single) and self.fits(dataset)

    def usable_rows(self, dataset: Dataset) -> NDArray[np.bool_]:
        """Return bool (N,): the images whose classes are known, also where they have none."""
        if dataset.label_sets is None:
            return np.asarray(dataset.class_ids != UNLABELLED)
        return dataset.label_sets.is_known

    def keep_own_labels(self, dataset: Dataset) -> Dataset:
        """Return ``dataset`` with the classes of all images in ``label_sets``, without objects and their classes.

        ``class_ids`` are all ``UNLABELLED``, so that nothing takes the images with one class for all.
        """
        sets = dataset.label_sets
        if sets is None:
            sets = LabelSets.from_class_ids(dataset.class_ids, {})
        sets = replace(sets, is_listed=True)
        none = np.full_like(dataset.class_ids, UNLABELLED)
        others = np.unique(() if dataset.objects is None else dataset.objects.class_ids)
        unused = np.setdiff1d(others, sets.class_ids)
        return replace(dataset, class_ids=none, objects=None, label_sets=sets).drop_classes(unused)
