"""Lists networks, their layers and their latency: ``lince.models``, ``lince.summary`` and ``lince.measure``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.api.extras import require_training_extra
from lince.models.classification.registry import ModelEntry
from lince.option_aliases import choose_given
from lince.tasks import get_task

if TYPE_CHECKING:
    from lince.models.layer_summary import ModelSummary


def models(task: str = "classify") -> dict[str, ModelEntry]:
    """Return the networks of ``task`` by name, with cost, published accuracy and licence.

    For ``classify`` these are the presets, the cheapest first; for ``detect`` all detectors as ``DetectorEntry``,
    family by family. Raises ``UsageError`` for an unknown task.
    """
    return {**get_task(task).load_part("list_models")()}


def summary(
    model: str,
    *,
    size: int | None = None,
    imgsz: int | None = None,
    classes: int = 10,
    grey: bool = False,
    task: str = "classify",
) -> ModelSummary:
    """Return the layers of ``model`` with output shapes, parameters and multiply-accumulates, at random weights.

    ``size``, also called ``imgsz``, is the side of the input in pixels (by default the network's own), ``classes`` the
    number of outputs, and ``grey`` builds it for one input channel.

    Raises ``UsageError`` for an unknown name, and for a task that does not list layers.
    """
    side = choose_given("size", size, imgsz=imgsz)
    selected_task = get_task(task)
    selected_task.load_part("get_model")(model)  # an unknown name is reported where torch is not installed, too
    with require_training_extra():
        model_summary: ModelSummary = selected_task.load_part("layers")(model, side, classes, grey)
        return model_summary


def measure(
    model: str,
    *,
    size: int | None = None,
    imgsz: int | None = None,
    classes: int = 10,
    grey: bool = False,
    task: str = "classify",
) -> float:
    """Return the latency of ``model`` in milliseconds per image on this machine, exported to ONNX at random weights.

    Only the network is measured: without decoding the image and without postprocessing. Arguments are as in
    ``summary``.
    """
    side = choose_given("size", size, imgsz=imgsz)
    selected_task = get_task(task)
    with require_training_extra():
        milliseconds: float = selected_task.load_part("measure_latency")(model, side, classes, grey)
        return milliseconds
