"""The task ``detect``: object detection, boxes with classes on each image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.i18n import _
from lince.tasks.task import COMMON_OPTIONS, LOOP_OPTIONS, Task

if TYPE_CHECKING:
    from lince.datasets import Dataset


class DetectionTask(Task):
    """Object detection: any number of boxes on each image.

    An image without boxes is a negative example, unless it has a class label: that was given for another task.
    """

    name = "detect"
    headline = "map50_95"
    annotation = "objects"
    monitors: ClassVar[tuple[str, ...]] = ("val_map50", "val_map50_95")
    options_by_recipe: ClassVar[Mapping[str, frozenset[str]]] = {
        "scratch": COMMON_OPTIONS | LOOP_OPTIONS | {"from_layer", "mix", "mosaic", "scales"},
        "transfer": COMMON_OPTIONS | LOOP_OPTIONS | {"weights"},
        "finetune": COMMON_OPTIONS | LOOP_OPTIONS | {"weights", "from_layer", "mix", "mosaic", "scales"},
    }
    parts: ClassVar[Mapping[str, str]] = {
        "train": "lince.training.detection.train:train_detector",
        "list_models": "lince.models.detection.registry:list_detectors",
        "get_model": "lince.models.detection.registry:get_detector_entry",
        "measure_latency": "lince.export.detection.latency:measure_latency",
        "predictor": "lince.inference.detection.predictor:DetectionPredictor",
        "evaluate": "lince.training.detection.evaluate:evaluate_detector",
        "evaluation_report": "lince.training.detection.evaluation_report:build_evaluation_report",
        "predictions": "lince.evaluation.detection.predictions:DetectionPredictions",
        "compare": "lince.evaluation.detection.comparison:compare_detectors",
        "outputs": "lince.export.detection.outputs:collect_outputs",
        "standalone": "lince.export.detection.standalone",
        "videos": "lince.inference.video.video_pipeline:prepare_videos",
        "save_results": "lince.inference.detection.results_folder:save_results",
        "http": "lince.serving.detection.records",
        "notebook": "lince.notebook.detection.examples",
        "cli": "lince.cli.detection.commands:COMMANDS",
    }

    @property
    def title(self) -> str:
        """The name of the task in the current language."""
        return _("object detection")

    @property
    def label_name(self) -> str:
        """What an image needs to be usable, in the current language."""
        return _("boxes")

    def fits(self, dataset: Dataset) -> bool:
        """Return whether any image of ``dataset`` has a box."""
        return dataset.objects is not None and len(dataset.objects) > 0

    def suits(self, dataset: Dataset) -> bool:
        """Return whether any image of ``dataset`` has a box, and the labels are more than the class of each pixel."""
        return not dataset.is_pixelwise and self.fits(dataset)

    def usable_rows(self, dataset: Dataset) -> NDArray[np.bool_]:
        """Return bool (N,): the images with boxes, and those without any label, which are negative examples.

        An image with classes of its own but no box, among others with boxes, was labelled for another task: whether it
        shows objects is not known.
        """
        if dataset.objects is None:
            return np.zeros(len(dataset), bool)
        return np.asarray((np.diff(dataset.objects.starts) > 0) | ~dataset.has_image_labels)

    def keep_own_labels(self, dataset: Dataset) -> Dataset:
        """Return ``dataset`` without classes of whole images, and without the classes that only they have."""
        return dataset.without_image_labels()
