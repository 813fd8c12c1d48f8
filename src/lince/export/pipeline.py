"""Exports the model of a run for another runtime: writes it, opens it again, validates it, and only then keeps it."""

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
from lince.export.float_weights import write_dequantised
from lince.export.int8 import QuantisationResult, quantise_network
from lince.export.model_outputs import BATCH, EvaluationImages, ModelOutputs
from lince.export.targets import get_target
from lince.export.targets.target import ExportTarget
from lince.export.validator import ExportValidator, ValidationReport, describe_coarse_validation
from lince.i18n import _
from lince.inference import packed_model
from lince.inference.backends.backend import Backend, open_network
from lince.inference.predictor import Predictor
from lince.model_card import CARD_FILE, ModelCard
from lince.preprocess import normalise_images
from lince.progress import SILENT, Progress
from lince.sampling import sample_evenly
from lince.tasks import get_task
from lince.version import __version__

INT8 = "int8"
MIN_CALIBRATION_IMAGES = 32  # below, int8 value ranges are called uncertain
MAX_CALIBRATION_IMAGES = 128  # training images from which int8 value ranges are taken
MAX_VALIDATION_IMAGES = 200  # validation images on which the choice of int8 layers is tested


@dataclass(frozen=True, eq=False)
class ExportInput:
    """What an export is made from and validated on.

    Attributes:
        folder: model folder of the run.
        test: images on which run and export are compared.
        train: images for int8 calibration.
        val: images on which the choice of int8 layers is tested.
        recorded_predictions: predictions that the run recorded after training; ``None`` where there are none.
    """

    folder: Path
    test: EvaluationImages
    train: Dataset | None = None
    val: Dataset | None = None
    recorded_predictions: Any = None


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export.

    Attributes:
        target_name: name of the runtime (``export.targets``).
        precision: ``fp32``, ``fp16`` or ``int8``; ``None`` for that of the run where the target has it, else ``fp32``.
        max_drop: percentage points of the headline metric that may be lost.
        allow_unchecked: keep an export that cannot be run, and so not be validated, on this machine.
    """

    target_name: str = "onnx"
    precision: str | None = None
    max_drop: float = 1.0
    allow_unchecked: bool = False


@dataclass(frozen=True)
class ExportResult:
    """The exported model at ``path`` with its card; ``validation`` is ``None`` where it could not be validated."""

    path: Path
    card: ModelCard
    validation: ValidationReport | None


def export_model(
    export_input: ExportInput, options: ExportOptions, out: Path, progress: Progress = SILENT
) -> ExportResult:
    """Write the model of ``export_input`` to ``out``, a new folder or a file ending in ``.lince``, and validate it.

    Raises ``UsageError`` for options that cannot be combined, ``MissingExtraError`` when the target needs a library
    that is not installed, and ``ModelError`` when the export differs too much from its run. Nothing is left behind
    then.
    """
    card = ModelCard.load(export_input.folder)
    options = resolve_precision(options, card)
    target = require_target(options, out)
    if card.target != "onnx" or card.precision not in ("fp32", INT8) or (card.precision == INT8 and card.exported):
        raise ModelError(
            _("This model is already an export ({target}, {precision}).").format(
                target=card.target, precision=card.precision
            ),
            _("Expected a training run, or its model folder."),
        )
    source = export_input.folder / card.network
    reference = _build_predictor(card, open_network("onnx", source))
    if card.precision == INT8 != options.precision:
        progress.show_message(
            _(
                "The features of this run are in int8, and its head was fitted on them. The export computes them in "
                "float32, without that rounding: what it loses is measured."
            )
        )
    with _output_folder(out) as folder:
        progress.show_message(
            _("Writing the model for {target} ({precision})").format(
                target=options.target_name, precision=options.precision
            )
        )
        if options.precision == INT8 and (coarse := _describe_coarse_figures(export_input, options.max_drop)):
            progress.show_message(coarse)
        path = folder / target.file_name
        extra_records = _write_network(export_input, options, reference, path, progress)
        card = replace(
            card,
            network=target.file_name,
            target=target.name,
            precision=options.precision or "fp32",
            lince=__version__,
        )
        card.save(folder)
        validation = None
        if target.open is not None:
            written_card = ModelCard.load(folder)  # the files as written are validated
            validator = ExportValidator(
                reference, export_input.test, export_input.recorded_predictions, options.max_drop, progress
            )
            size = source.stat().st_size, _folder_bytes(folder)
            validation = replace(
                validator.validate(_build_predictor(written_card, target.open(path)), size), extra=extra_records
            )
        record = {"checked": False, "why": target.unverifiable_reason()} if validation is None else validation.to_dict()
        card = replace(card, exported=record)
        card.save(folder)
        if packed_model.is_packed_model(out):
            packed_model.pack_model(folder, out)
    return ExportResult(out, card, validation)


def resolve_precision(options: ExportOptions, card: ModelCard) -> ExportOptions:
    """Return ``options`` with a precision: where none is asked for, that of the run if the target has it."""
    if options.precision is not None:
        return options
    precisions = get_target(options.target_name).precisions
    return replace(options, precision=card.precision if card.precision in precisions else "fp32")


def require_target(options: ExportOptions, out: Path) -> ExportTarget:
    """Return the target of ``options``; raise ``UsageError`` when it cannot be written to ``out``."""
    target = get_target(options.target_name)
    if options.precision not in target.precisions:
        raise UsageError(
            _("{target} does not support {precision}.").format(target=target.name, precision=options.precision),
            _("Expected one of: {names}.").format(names=", ".join(target.precisions)),
        )
    target.get_writer()
    if target.open is None and not options.allow_unchecked:
        raise UsageError(
            _("A model for {target} cannot be validated on this machine: {why}.").format(
                target=target.name, why=target.unverifiable_reason()
            ),
            _("Expected a target that can be validated, or --unchecked."),
            _("Repeat with --unchecked, and test the model where it is used."),
        )
    if packed_model.is_packed_model(out) and target.name != "onnx":
        raise UsageError(
            _("A model for {target} cannot be packed into one file.").format(target=target.name),
            _("Expected a folder: --out DIR"),
        )
    fileio.require_empty_folder(out)
    return target


@contextmanager
def _output_folder(out: Path) -> Iterator[Path]:
    """Yield the folder to write to.

    It becomes ``out`` at the end, or is temporary where ``out`` is a packed file.
    """
    if packed_model.is_packed_model(out):
        with tempfile.TemporaryDirectory(prefix="lince-export-") as temporary:
            yield Path(temporary)
    else:
        with fileio.atomic_folder(out) as folder:
            yield folder


def _build_predictor(card: ModelCard, backend: Backend) -> Predictor:
    """Return the predictor of the card's task for an open network."""
    predictor: Predictor = get_task(card.task).load_part("predictor")(card, backend)
    return predictor


def _folder_bytes(folder: Path) -> int:
    """Return the total size of the files in ``folder`` in bytes, without the model card."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != CARD_FILE)


def _write_network(
    export_input: ExportInput, options: ExportOptions, reference: Predictor, path: Path, progress: Progress
) -> dict[str, Any]:
    """Write the network to ``path``; return further records for the model card."""
    source, precision = export_input.folder / reference.card.network, options.precision or "fp32"
    write = get_target(options.target_name).get_writer()
    if INT8 not in (precision, reference.card.precision) or precision == reference.card.precision:
        write(source, path, precision)
        return {}
    with tempfile.TemporaryDirectory(prefix="lince-export-") as temporary:
        other_path = Path(temporary) / "model.onnx"
        if precision == INT8:
            records = {"int8": _quantise_int8(export_input, options, reference, other_path, progress).to_dict()}
        else:
            write_dequantised(source, other_path)
            records = {}
        write(other_path, path, precision)
    return records


def _quantise_int8(
    export_input: ExportInput, options: ExportOptions, reference: Predictor, out: Path, progress: Progress
) -> QuantisationResult:
    """Quantise the network of the run to int8 where that helps, and write it to ``out`` as ONNX.

    Value ranges come from the training images. The headline metric on the validation images may fall by ``max_drop``
    percentage points. Raises ``UsageError`` without training or validation images.
    """
    train, val = export_input.train, export_input.val
    if not train or not val:  # missing or empty
        raise UsageError(
            _("There are no training photos for INT8 calibration, or no validation photos."),
            _("Expected the run's own data, or --data with training and validation photos."),
        )
    train_images = EvaluationImages(_sample_rows(train, MAX_CALIBRATION_IMAGES), "train")
    val_images = EvaluationImages(_sample_rows(val, MAX_VALIDATION_IMAGES), "val")
    spec = reference.card.preprocess
    prepared = [reference.prepare(data).image for data in train_images.iter_encoded()]
    fixed_size = reference.backend.input_shape[0]
    batch_size = fixed_size if isinstance(fixed_size, int) else BATCH

    prepared *= max(1, -(-batch_size // len(prepared)))  # fewer photos than a batch are repeated, which adds no values
    if len(train_images) < MIN_CALIBRATION_IMAGES:
        progress.show_message(
            _(
                "Warning: the value ranges for INT8 come from only {count} photos; others may fall outside of them. "
                "Give at least {enough} training photos (--data)."
            ).format(count=len(train_images), enough=MIN_CALIBRATION_IMAGES)
        )

    def iter_batches() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(prepared) - batch_size + 1, batch_size):
            yield normalise_images(prepared[start : start + batch_size], spec)

    collect = get_task(reference.card.task).load_part("outputs")

    def compute_quality(path: Path) -> float:
        model = _build_predictor(reference.card, open_network("onnx", path))
        outputs: ModelOutputs = collect(model, val_images, with_strips=False)
        return outputs.compute_headline_metric(val_images) or 0.0

    source = export_input.folder / reference.card.network
    min_quality = compute_quality(source) - options.max_drop / 100
    return quantise_network(source, out, iter_batches, compute_quality, min_quality, progress)


def _describe_coarse_figures(export_input: ExportInput, max_drop: float) -> str:
    """Return the warning that a drop of ``max_drop`` cannot be told, on the fewest photos that one is measured on."""
    counts = [len(export_input.test), *([MAX_VALIDATION_IMAGES, len(export_input.val)] if export_input.val else [])]
    return describe_coarse_validation(min(counts), max_drop)


def _sample_rows(dataset: Dataset, count: int) -> Dataset:
    """Return ``count`` images of ``dataset``, evenly spread over its rows."""
    return dataset.select(sample_evenly(len(dataset), count))
