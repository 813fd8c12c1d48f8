"""The task ``instances``: a box, a class and a mask for each object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from lince.i18n import _
from lince.tasks.detection import DetectionTask

if TYPE_CHECKING:
    from lince.datasets import Dataset


class InstancesTask(DetectionTask):
    """Instance segmentation: any number of objects on each image, each with its mask.

    Learned from outlines and masks; an object that has a box alone teaches the box. It is never the first choice: the
    same labels are learnt as boxes, or mask images as a class for each pixel, unless it is asked for.
    """

    name = "instances"
    headline = "segm_map50_95"
    monitors = ("val_map50", "val_map50_95", "val_segm_map50", "val_segm_map50_95")
    parts: ClassVar[Mapping[str, str]] = {
        "train": "lince.training.instances.train:train_instances",
        "list_models": "lince.models.instances.registry:list_models",
        "get_model": "lince.models.instances.registry:get_model_entry",
        "measure_latency": "lince.export.instances.latency:measure_latency",
        "predictor": "lince.inference.instances.predictor:InstancesPredictor",
        "evaluate": "lince.training.instances.evaluate:evaluate_instances",
        "evaluation_report": "lince.training.instances.evaluation_report:build_evaluation_report",
        "predictions": "lince.evaluation.instances.predictions:InstancePredictions",
        "compare": "lince.evaluation.detection.comparison:compare_detectors",
        "outputs": "lince.export.instances.outputs:collect_outputs",
        "videos": "lince.inference.video.video_pipeline:prepare_videos",
        "save_results": "lince.inference.detection.results_folder:save_results",
        "http": "lince.serving.instances.records",
        "notebook": "lince.notebook.detection.examples",
        "cli": "lince.cli.instances.commands:COMMANDS",
    }

    @property
    def title(self) -> str:
        """The name of the task in the current language."""
        return _("instance segmentation")

    @property
    def label_name(self) -> str:
        """What an image needs to be usable, in the current language."""
        return _("objects with outlines or masks")

    def fits(self, dataset: Dataset) -> bool:
        """Return whether any object of ``dataset`` has an outline or a mask."""
        objects = dataset.objects
        return objects is not None and bool((objects.has_mask | objects.has_polygons).any())

    def suits(self, dataset: Dataset) -> bool:
        """Return that the task is not a first choice, whatever the labels are."""
        del dataset
        return False
