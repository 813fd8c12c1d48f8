"""What a network file finds on labelled images, for figures: by the lines that prediction uses, and without torch."""

from __future__ import annotations

from lince.annotations import Detections, Objects
from lince.decode import Keeping, decoder
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime.engines import Engine
from lince.training.detection.loader import Loader

LEAST = 0.005  # a curve is drawn from all that a detector finds, however unsure


def curve(decoding: str) -> Keeping:
    """Return which answers of the kind ``decoding`` count for figures: nearly all, but one for each object."""
    return Keeping(threshold=LEAST, overlap=decoder(decoding).overlap, most=300)


def answers(session: Engine, decoding: str, loader: Loader, progress: Progress = SILENT) -> list[Detections]:
    """Return what the network file finds on the images of ``loader``, in order, however unsurely."""
    kind, kept, found = decoder(decoding), curve(decoding), list[Detections]()
    with progress.stage(_("Evaluating"), len(loader.rows)) as stage:
        for batch in loader.batches():
            outputs = session.run(batch.inputs, kind.outputs)
            for at in range(len(batch)):
                height, width = loader.samples.sizes[loader.rows[len(found)]].tolist()
                found.append(kind.read([output[at] for output in outputs], (height, width), loader.spec, kept))
            stage.advance(len(batch))
    return found


def truth(loader: Loader) -> Objects:
    """Return what is marked on the images of ``loader``, crowds included."""
    objects = loader.samples.dataset.objects
    return Objects.none(len(loader.rows)) if objects is None else objects.select(loader.rows)
