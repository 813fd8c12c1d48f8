"""From a run's model to one for another runtime, read from top to bottom: written, opened again, judged, then kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio
from lince.datasets import Dataset
from lince.errors import ModelError, UsageError
from lince.export import model_outputs
from lince.export.int8 import QuantisationResult, quantise_network
from lince.export.model_outputs import BATCH, EvaluationImages, Model
from lince.export.targets import ExportTarget, get_target
from lince.export.validator import ExportValidator, RecordedOutputs, ValidationReport
from lince.i18n import _
from lince.inference import packed_model
from lince.inference.backends.backend import Backend, open_network
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.detection.predictor import DetectionPredictor
from lince.model_card import CARD_FILE, ModelCard
from lince.preprocess import normalise_images
from lince.progress import SILENT, Progress
from lince.version import __version__

INT8, MAX_CALIBRATION_IMAGES, MAX_VALIDATION_IMAGES = (
    "int8",
    128,
    200,
)  # images that ranges are taken from, and that mixtures are judged on


@dataclass(frozen=True, eq=False)
class ExportInput:
    """What an export is made and judged from: the run's model in ``folder``, and parts of its data.

    ``test`` are the photos that both models are asked about, ``recorded`` the trained network's answers to photos of
    the run; ranges for eight bits come from ``train`` and are judged on ``val``.
    """

    folder: Path
    test: EvaluationImages
    train: Dataset | None = None
    val: Dataset | None = None
    recorded_outputs: RecordedOutputs | None = None


@dataclass(frozen=True)
class ExportOptions:
    """What was asked for: the target's name, ``fp32``, ``fp16`` or ``int8``, how many points may be lost.

    ``unchecked`` takes what cannot be run on this machine, and so not be judged.
    """

    target_name: str = "onnx"
    precision: str = "fp32"
    max_drop: float = 1.0
    allow_unchecked: bool = False


@dataclass(frozen=True)
class ExportResult:
    """A model that was exported to ``path``, its card, and how it was judged: ``None`` where it could not be."""

    path: Path
    card: ModelCard
    validation: ValidationReport | None


def export_model(
    export_input: ExportInput, options: ExportOptions, out: Path, progress: Progress = SILENT
) -> ExportResult:
    """Write the model of ``material`` as ``order`` says to ``out``, a new folder or a file ending in ``.lince``.

    Raises ``UsageError`` for what cannot be asked for, ``MissingExtraError`` when the target needs what is not
    installed, and ``ModelError`` when the export is unlike its run, or loses too much; nothing is left behind then.
    """
    target = _require_target(options, out)
    card = ModelCard.load(export_input.folder)
    if (card.target, card.precision) != ("onnx", "fp32"):
        raise ModelError(
            _("This model was exported to {target} in {precision} itself.").format(
                target=card.target, precision=card.precision
            ),
            _("Expected a run, or its model folder."),
        )
    source = export_input.folder / card.network
    reference = _build_predictor(card, open_network("onnx", source))
    with _output_folder(out) as folder:
        progress.show_message(
            _("Writing the model for {target} ({precision})").format(
                target=options.target_name, precision=options.precision
            )
        )
        path = folder / target.file_name
        more = _write_network(export_input, options, reference, path, progress)
        made = replace(
            card, network=target.file_name, target=target.name, precision=options.precision, lince=__version__
        )
        made.save(folder)
        judgement = None
        if target.open is not None:
            read = ModelCard.load(folder)  # what is judged is what was written
            judge = ExportValidator(
                reference, export_input.test, export_input.recorded_outputs, options.max_drop, progress
            )
            size = source.stat().st_size, _folder_bytes(folder)
            judgement = replace(judge.validate(_build_predictor(read, target.open(path)), size), extra=more)
        figures = {"checked": False, "why": target.unverifiable_reason()} if judgement is None else judgement.to_dict()
        made = replace(made, exported=figures)
        made.save(folder)
        if packed_model.is_packed_model(out):
            packed_model.pack_model(folder, out)
    return ExportResult(out, made, judgement)


def _require_target(order: ExportOptions, out: Path) -> ExportTarget:
    """Return the target that was asked for; raise when it cannot be had."""
    target = get_target(order.target_name)
    if order.precision not in target.precisions:
        raise UsageError(
            _("{target} cannot be had in {precision}.").format(target=target.name, precision=order.precision),
            _("Expected one of: {names}.").format(names=", ".join(target.precisions)),
        )
    target.get_writer()
    if target.open is None and not order.allow_unchecked:
        raise UsageError(
            _("A model for {target} cannot be checked on this machine: {why}.").format(
                target=target.name, why=target.unverifiable_reason()
            ),
            _("lince hands over no model unchecked unless it is told to."),
            _("Repeat with --unchecked, and check it where it is used."),
        )
    if packed_model.is_packed_model(out) and target.name != "onnx":
        raise UsageError(
            _("A model for {target} cannot be packed into one file.").format(target=target.name),
            _("Expected a folder: --out DIR"),
        )
    if out.exists() and not (out.is_dir() and next(out.iterdir(), None) is None):
        raise UsageError(
            _("{path} exists already.").format(path=out),
            _("Expected a new folder to write to, or an empty one."),
            _("Choose another name, or remove it."),
        )
    return target


@contextmanager
def _output_folder(out: Path) -> Iterator[Path]:
    """Yield the folder to write to: it becomes ``out``, or goes away when ``out`` is a packed file."""
    if packed_model.is_packed_model(out):
        with tempfile.TemporaryDirectory(prefix="lince-export-") as place:
            yield Path(place)
    else:
        with fileio.atomic_folder(out) as folder:
            yield folder


def _build_predictor(card: ModelCard, engine: Backend) -> Model:
    return DetectionPredictor(card, engine) if card.task == "detect" else ClassificationPredictor(card, engine)


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != CARD_FILE)


def _write_network(
    material: ExportInput, order: ExportOptions, reference: Model, path: Path, progress: Progress
) -> dict[str, Any]:
    """Write the network to ``path`` and return what else the card tells of how it was made."""
    source = material.folder / reference.card.network
    write = get_target(order.target_name).get_writer()
    if order.precision != INT8:
        write(source, path, order.precision)
        return {}
    with tempfile.TemporaryDirectory(prefix="lince-int8-") as place:
        small = Path(place) / "model.onnx"
        found = _quantise_int8(material, order, reference, small, progress)
        write(small, path, order.precision)
    return {"int8": found.to_dict()}


def _quantise_int8(
    material: ExportInput, order: ExportOptions, reference: Model, out: Path, progress: Progress
) -> QuantisationResult:
    if material.train is None or material.val is None or not len(material.train) or not len(material.val):
        raise UsageError(
            _("There are no training photos to take the ranges of eight bits from, or none to judge them on."),
            _("Expected the run's own data, or --data with photos to train and to validate on."),
        )
    learnt = _sample_rows(material.train, MAX_CALIBRATION_IMAGES)
    chosen = EvaluationImages(_sample_rows(material.val, MAX_VALIDATION_IMAGES), "val")
    spec = reference.card.preprocess
    seen = [reference.prepare(data).image for data in EvaluationImages(learnt, "train").iter_encoded()]
    fixed = reference.backend.input_shape[0]
    step = fixed if isinstance(fixed, int) else BATCH

    def batches() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(seen) - step + 1, step):
            yield normalise_images(seen[start : start + step], spec)

    def quality(path: Path) -> float:
        model = _build_predictor(reference.card, open_network("onnx", path))
        return model_outputs.collect_outputs(model, chosen, with_strips=False).compute_headline_metric(chosen) or 0.0

    source = material.folder / reference.card.network
    floor = quality(source) - order.max_drop / 100
    return quantise_network(source, out, batches, quality, floor, progress)


def _sample_rows(dataset: Dataset, count: int) -> Dataset:
    """Return ``count`` rows of ``dataset``, evenly taken."""
    return dataset.select(np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(np.int64)))
