"""The task ``segment``: semantic segmentation, one class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.i18n import _
from lince.tasks.task import COMMON_OPTIONS, LOOP_OPTIONS, Task

if TYPE_CHECKING:
    from lince.datasets import Dataset


class SegmentationTask(Task):
    """Semantic segmentation: a class, or the background, for each pixel of an image.

    Learned from masks and outlines. The first choice for mask images, which say something of every pixel.
    """

    name = "segment"
    headline = "miou"
    annotation = "objects"
    monitors = ("val_loss", "val_miou")
    options_by_recipe: ClassVar[Mapping[str, frozenset[str]]] = {
        "scratch": COMMON_OPTIONS | LOOP_OPTIONS | {"mosaic"},
        "transfer": COMMON_OPTIONS | LOOP_OPTIONS | {"weights"},
        "finetune": COMMON_OPTIONS | LOOP_OPTIONS | {"weights", "from_layer", "mosaic"},
    }
    parts: ClassVar[Mapping[str, str]] = {
        "train": "lince.training.segmentation.train:train_segmenter",
        "list_models": "lince.models.segmentation.registry:list_segmenters",
        "get_model": "lince.models.segmentation.registry:get_segmenter_entry",
        "measure_latency": "lince.export.segmentation.latency:measure_latency",
        "predictor": "lince.inference.segmentation.predictor:SegmentationPredictor",
        "evaluate": "lince.training.segmentation.evaluate:evaluate_segmenter",
        "evaluation_report": "lince.training.segmentation.evaluation_report:build_evaluation_report",
        "predictions": "lince.evaluation.segmentation.predictions:SegmentationPredictions",
        "compare": "lince.evaluation.segmentation.comparison:compare_segmenters",
        "outputs": "lince.export.segmentation.outputs:collect_outputs",
        "standalone": "lince.export.segmentation.standalone",
        "videos": "lince.inference.video.segmented_video:prepare_videos",
        "save_results": "lince.inference.segmentation.results_folder:save_results",
        "http": "lince.serving.segmentation.records",
        "notebook": "lince.notebook.segmentation.examples",
        "cli": "lince.cli.segmentation.commands:COMMANDS",
    }

    @property
    def title(self) -> str:
        """The name of the task in the current language."""
        return _("semantic segmentation")

    @property
    def label_name(self) -> str:
        """What an image needs to be usable, in the current language."""
        return _("outlines or masks")

    def fits(self, dataset: Dataset) -> bool:
        """Return whether any object of ``dataset`` has an outline or a mask."""
        objects = dataset.objects
        return objects is not None and bool((objects.has_mask | objects.has_polygons).any())

    def suits(self, dataset: Dataset) -> bool:
        """Return whether the labels are mask images."""
        return dataset.is_pixelwise and self.fits(dataset)

    def usable_rows(self, dataset: Dataset) -> NDArray[np.bool_]:
        """Return bool (N,): the images with outlines or masks, and those without any label, which are background alone.

        An image with boxes alone says too little; so does one with a class as a whole and no object.
        """
        objects = dataset.objects
        if objects is None:
            return np.zeros(len(dataset), bool)
        has_shape = np.zeros(len(dataset), bool)
        has_shape[objects.image_ids[objects.has_mask | objects.has_polygons]] = True
        has_object = np.diff(objects.starts) > 0
        return np.asarray(has_shape | ~(has_object | dataset.has_image_labels))

    def keep_own_labels(self, dataset: Dataset) -> Dataset:
        """Return ``dataset`` without classes of whole images, and without the classes that only they have."""
        return dataset.without_image_labels()
