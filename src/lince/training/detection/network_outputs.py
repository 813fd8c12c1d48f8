"""What a network file finds on labelled images, for figures: by the lines that prediction uses, and without torch."""

from __future__ import annotations

from lince.annotations import Detections, ObjectTable
from lince.i18n import _
from lince.inference.backends.backend import Backend
from lince.postprocess import DetectionFilter, get_decoder
from lince.progress import SILENT, Progress
from lince.training.detection.loader import DetectionLoader

MIN_SCORE = 0.005  # a curve is drawn from all that a detector finds, however unsure


def make_evaluation_filter(decoding: str) -> DetectionFilter:
    """Return which answers of the kind ``decoding`` count for figures: nearly all, but one for each object."""
    return DetectionFilter(
        score_threshold=MIN_SCORE, iou_threshold=get_decoder(decoding).iou_threshold, max_detections=300
    )


def predict_with_backend(
    session: Backend, decoding: str, loader: DetectionLoader, progress: Progress = SILENT
) -> list[Detections]:
    """Return what the network file finds on the images of ``loader``, in order, however unsurely."""
    kind, kept, found = get_decoder(decoding), make_evaluation_filter(decoding), list[Detections]()
    with progress.open_stage(_("Evaluating"), len(loader.rows)) as stage:
        for batch in loader.iter_batches():
            outputs = session.run(batch.inputs, kind.outputs)
            for at in range(len(batch)):
                height, width = loader.samples.image_sizes[loader.rows[len(found)]].tolist()
                found.append(kind.decode([output[at] for output in outputs], (height, width), loader.spec, kept))
            stage.advance(len(batch))
    return found


def select_ground_truth(loader: DetectionLoader) -> ObjectTable:
    """Return what is marked on the images of ``loader``, crowds included."""
    objects = loader.samples.dataset.objects
    return ObjectTable.empty(len(loader.rows)) if objects is None else objects.select_images(loader.rows)
