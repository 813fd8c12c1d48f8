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

from lince import files
from lince.card import CARD_FILE, ModelCard
from lince.data import Dataset
from lince.errors import ModelError, UsageError
from lince.exporting import asking
from lince.exporting.asking import BATCH, Model, Photos
from lince.exporting.judging import Judge, Judgement, Recorded
from lince.exporting.quantise import Quantised, quantise
from lince.exporting.targets import Target, find
from lince.messages import _
from lince.preprocess import normalise
from lince.progress import SILENT, Progress
from lince.runtime import modelfile
from lince.runtime.detection import DetectionPredictor
from lince.runtime.engines import Engine, open_network
from lince.runtime.predictor import Predictor
from lince.version import __version__

INT8, LEARNT, CHOSEN = "int8", 128, 200  # images that ranges are taken from, and that mixtures are judged on


@dataclass(frozen=True, eq=False)
class Material:
    """What an export is made and judged from: the run's model in ``folder``, and parts of its data.

    ``test`` are the photos that both models are asked about, ``recorded`` the trained network's answers to photos of
    the run; ranges for eight bits come from ``train`` and are judged on ``val``.
    """

    folder: Path
    test: Photos
    train: Dataset | None = None
    val: Dataset | None = None
    recorded: Recorded | None = None


@dataclass(frozen=True)
class Order:
    """What was asked for: the target's name, ``fp32``, ``fp16`` or ``int8``, how many points may be lost.

    ``unchecked`` takes what cannot be run on this machine, and so not be judged.
    """

    to: str = "onnx"
    precision: str = "fp32"
    max_drop: float = 1.0
    unchecked: bool = False


@dataclass(frozen=True)
class Exported:
    """A model that was exported to ``path``, its card, and how it was judged: ``None`` where it could not be."""

    path: Path
    card: ModelCard
    judgement: Judgement | None


def export(material: Material, order: Order, out: Path, progress: Progress = SILENT) -> Exported:
    """Write the model of ``material`` as ``order`` says to ``out``, a new folder or a file ending in ``.lince``.

    Raises ``UsageError`` for what cannot be asked for, ``MissingExtraError`` when the target needs what is not
    installed, and ``ModelError`` when the export is unlike its run, or loses too much; nothing is left behind then.
    """
    target = _target(order, out)
    card = ModelCard.load(material.folder)
    if (card.target, card.precision) != ("onnx", "fp32"):
        raise ModelError(
            _("This model was exported to {target} in {precision} itself.").format(
                target=card.target, precision=card.precision
            ),
            _("Expected a run, or its model folder."),
        )
    source = material.folder / card.network
    reference = _predictor(card, open_network("onnx", source))
    with _room(out) as folder:
        progress.say(
            _("Writing the model for {target} ({precision})").format(target=order.to, precision=order.precision)
        )
        path = folder / target.file
        more = _write(material, order, reference, path, progress)
        made = replace(card, network=target.file, target=target.name, precision=order.precision, lince=__version__)
        made.save(folder)
        judgement = None
        if target.open is not None:
            read = ModelCard.load(folder)  # what is judged is what was written
            judge = Judge(reference, material.test, material.recorded, order.max_drop, progress)
            size = source.stat().st_size, _weight(folder)
            judgement = replace(judge.judge(_predictor(read, target.open(path)), size), more=more)
        figures = {"checked": False, "why": target.why()} if judgement is None else judgement.record()
        made = replace(made, exported=figures)
        made.save(folder)
        if modelfile.is_packed(out):
            modelfile.pack(folder, out)
    return Exported(out, made, judgement)


def _target(order: Order, out: Path) -> Target:
    """Return the target that was asked for; raise when it cannot be had."""
    target = find(order.to)
    if order.precision not in target.precisions:
        raise UsageError(
            _("{target} cannot be had in {precision}.").format(target=target.name, precision=order.precision),
            _("Expected one of: {names}.").format(names=", ".join(target.precisions)),
        )
    target.writer()
    if target.open is None and not order.unchecked:
        raise UsageError(
            _("A model for {target} cannot be checked on this machine: {why}.").format(
                target=target.name, why=target.why()
            ),
            _("lince hands over no model unchecked unless it is told to."),
            _("Repeat with --unchecked, and check it where it is used."),
        )
    if modelfile.is_packed(out) and target.name != "onnx":
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
def _room(out: Path) -> Iterator[Path]:
    """Yield the folder to write to: it becomes ``out``, or goes away when ``out`` is a packed file."""
    if modelfile.is_packed(out):
        with tempfile.TemporaryDirectory(prefix="lince-export-") as place:
            yield Path(place)
    else:
        with files.building(out) as folder:
            yield folder


def _predictor(card: ModelCard, engine: Engine) -> Model:
    return DetectionPredictor(card, engine) if card.task == "detect" else Predictor(card, engine)


def _weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != CARD_FILE)


def _write(material: Material, order: Order, reference: Model, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the network to ``path`` and return what else the card tells of how it was made."""
    source = material.folder / reference.card.network
    write = find(order.to).writer()
    if order.precision != INT8:
        write(source, path, order.precision)
        return {}
    with tempfile.TemporaryDirectory(prefix="lince-int8-") as place:
        small = Path(place) / "model.onnx"
        found = _quantised(material, order, reference, small, progress)
        write(small, path, order.precision)
    return {"int8": found.record()}


def _quantised(material: Material, order: Order, reference: Model, out: Path, progress: Progress) -> Quantised:
    if material.train is None or material.val is None or not len(material.train) or not len(material.val):
        raise UsageError(
            _("There are no training photos to take the ranges of eight bits from, or none to judge them on."),
            _("Expected the run's own data, or --data with photos to train and to validate on."),
        )
    learnt = _spread(material.train, LEARNT)
    chosen = Photos(_spread(material.val, CHOSEN), "val")
    spec = reference.card.preprocess
    seen = [reference.look(data).image for data in Photos(learnt, "train").each()]
    fixed = reference.session.input_shape[0]
    step = fixed if isinstance(fixed, int) else BATCH

    def batches() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(seen) - step + 1, step):
            yield normalise(seen[start : start + step], spec)

    def quality(path: Path) -> float:
        model = _predictor(reference.card, open_network("onnx", path))
        return asking.ask(model, chosen, strips=False).quality(chosen) or 0.0

    source = material.folder / reference.card.network
    floor = quality(source) - order.max_drop / 100
    return quantise(source, out, batches, quality, floor, progress)


def _spread(dataset: Dataset, count: int) -> Dataset:
    """Return ``count`` rows of ``dataset``, evenly taken."""
    return dataset.select(np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(np.int64)))
