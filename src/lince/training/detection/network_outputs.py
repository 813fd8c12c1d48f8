"""Runs an exported detector over a loader with a low score threshold, for computing metrics; without torch."""

from __future__ import annotations

from lince.annotations import Detections, ObjectTable
from lince.i18n import _
from lince.inference.backends.backend import Backend
from lince.postprocess import get_decoder, make_evaluation_filter
from lince.progress import SILENT, Progress
from lince.training.detection.loader import DetectionLoader


def predict_with_backend(
    backend: Backend, decoder_name: str, loader: DetectionLoader, progress: Progress = SILENT
) -> list[Detections]:
    """Return the detections of the network file on the images of ``loader``, one per image in its order.

    Boxes are in pixels of the original images; scores go down to ``postprocess.MIN_SCORE``. ``decoder_name`` names the
    output decoder. Raises ``ImageError`` when an image cannot be read.
    """
    decoder, detection_filter, detections = (
        get_decoder(decoder_name),
        make_evaluation_filter(decoder_name),
        list[Detections](),
    )
    with progress.open_stage(_("Evaluating"), len(loader.rows)) as stage:
        for batch in loader.iter_batches():
            outputs = backend.run(batch.inputs, decoder.outputs)
            for position in range(len(batch)):
                height, width = loader.samples.image_sizes[loader.rows[len(detections)]].tolist()
                detections.append(
                    decoder.decode(
                        [output[position] for output in outputs], (height, width), loader.spec, detection_filter
                    )
                )
            stage.advance(len(batch))
    return detections


def select_ground_truth(loader: DetectionLoader) -> ObjectTable:
    """Return the labelled objects of the images of ``loader``, in its order, including crowds and difficult ones."""
    return loader.samples.select_truth(loader.rows)
