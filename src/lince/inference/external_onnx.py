"""Detectors that others exported as ONNX: what they say of themselves becomes a card, without their packages.

Ultralytics writes names, size, task and licence into the file; the published files of YOLOX say nothing, so their
names come from the user.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince import tasks
from lince.annotations import Classes
from lince.errors import DataError, ModelError, UsageError
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import CARD_FILE, ModelCard
from lince.postprocess import DEFAULT_FILTER, DetectionFilter
from lince.postprocess.yolox import STRIDES
from lince.preprocess import PreprocessSpec

SUFFIX = ".onnx"
_DETECT_TASK = "detect"  # the name of the task in files of Ultralytics
_MAX_INPUT_SIDE = 8192  # pixels of a side
# Their own thresholds, so that the same photo gives the same answer.
_NMS_FILTER, _END_TO_END_FILTER = DetectionFilter(0.25, 0.7), DetectionFilter(0.25, 1.0)


@dataclass(frozen=True)
class UltralyticsMetadata:
    """What a file of Ultralytics says of itself: class names by id, size of its input (h, w), task, maker, licence."""

    names: tuple[str, ...]
    size: tuple[int, int]
    task: str
    source: str
    licence: str


def is_external_model(path: str | Path) -> bool:
    """Tell whether ``path`` is an ONNX file without a card of lince beside it."""
    path = Path(path)
    return path.suffix.lower() == SUFFIX and path.is_file() and not (path.parent / CARD_FILE).is_file()


def infer_model_card(backend: OnnxRuntimeBackend, class_names: Sequence[str] | None = None) -> ModelCard:
    """Return the card of the file that ``session`` runs; ``names`` are those of the classes, if it holds none.

    Raises ``ModelError`` when it is no detector of a known kind, and ``UsageError`` when names are missing or their
    number is not that of the classes.
    """
    if "card" in backend.metadata:
        raise ModelError(
            _("{path} is self-contained: it prepares photos and reads answers by itself.").format(path=backend.path),
            _("Expected a run, a model folder, or a detector as Ultralytics or YOLOX export it."),
            _("Run it without lince, or give lince the run that it came from."),
        )
    if "output" in backend.outputs and not backend.metadata.get("names"):
        return _infer_yolox_card(backend, class_names)
    return _infer_ultralytics_card(backend, class_names)


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Return the class names in a text file, one a line; raise ``DataError`` when it cannot be read."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            _("{path} cannot be read as a list of names: {error}.").format(path=path, error=error),
            _("Expected a text file in UTF-8 with one name a line."),
        ) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def describe_card(model: ModelCard) -> str:
    """Return in words what kind of file is used, and its licence."""
    return _("{model}, not made by lince: {source}; its licence: {licence}").format(
        model=model.model, source=model.source, licence=model.licence
    )


def _infer_ultralytics_card(session: OnnxRuntimeBackend, names: Sequence[str] | None) -> ModelCard:
    said = _parse_metadata(session.path, session.metadata)
    if said.task != _DETECT_TASK:
        raise ModelError(
            _("{path} is a model of Ultralytics for the task '{task}'.").format(path=session.path, task=said.task),
            _("Of foreign files, lince runs those that find boxes (the task 'detect')."),
        )
    height, width = said.size
    own = tuple(_require_name_count(names, len(said.names), session.path)) if names else said.names
    kind = _infer_decoding(session, len(own))
    return ModelCard(
        tasks.DETECT.name,
        Classes(own),
        PreprocessSpec(height, width, "letterbox"),
        session.path.name,
        said.licence,
        said.source,
        decoder=kind,
        detection_filter=_NMS_FILTER if kind == "ultralytics" else _END_TO_END_FILTER,
    )


def _infer_decoding(session: OnnxRuntimeBackend, classes: int) -> str:
    """Return the decoding that suits the one output of a file of Ultralytics."""
    sides = session.outputs.get("output0", ())
    ended = session.metadata.get("end2end", "").lower() == "true"
    if len(session.outputs) == 1 and len(sides) == 3:
        if sides[2] == 6 or (ended and not isinstance(sides[2], int)):
            return "ultralytics-end2end"
        if sides[1] == 4 + classes or not isinstance(sides[1], int):
            return "ultralytics"
    raise _unknown_detector_error(session, _("its outputs are {found}").format(found=_format_outputs(session)))


def _parse_metadata(path: Path, metadata: dict[str, str]) -> UltralyticsMetadata:
    """Return what the metadata of a file of Ultralytics says; raise ``ModelError`` when it cannot be."""
    try:
        numbered = {int(key): str(name) for key, name in _parse_literal(metadata["names"]).items()}
        if not numbered or sorted(numbered) != list(range(len(numbered))):
            raise ValueError(metadata["names"])
        return UltralyticsMetadata(
            tuple(numbered[number] for number in range(len(numbered))),
            _parse_input_size(metadata["imgsz"]),
            metadata["task"],
            " ".join(part for part in (metadata.get("author"), metadata.get("description")) if part) or str(path),
            metadata.get("license") or _("unknown: the file does not say"),
        )
    except (KeyError, ValueError, TypeError, AttributeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ModelError(
            _("{path} has no card beside it and does not say how it is used ({reason}).").format(
                path=path, reason=repr(error)[:200]
            ),
            _("Expected a model folder of lince, or a detector as Ultralytics or YOLOX export it."),
            _("Export it again with its own tool, or train one with lince."),
        ) from error


def _parse_literal(text: str) -> Any:
    return ast.literal_eval(text)  # numbers and texts alone: nothing in the file is run


def _parse_input_size(text: str) -> tuple[int, int]:
    sides = [int(side) for side in re.findall(r"-?\d+", text)]
    height, width = sides if len(sides) == 2 else sides * 2
    if not (0 < height <= _MAX_INPUT_SIDE and 0 < width <= _MAX_INPUT_SIDE):
        raise ValueError(text)
    return height, width


def _infer_yolox_card(session: OnnxRuntimeBackend, names: Sequence[str] | None) -> ModelCard:
    """Return the card of a published YOLOX: BGR of 0 to 255, at the top left, answers not decoded."""
    sides, inputs = session.outputs["output"], session.input_shape
    whole = [side for side in (*inputs[2:], *sides[1:]) if isinstance(side, int)]
    if len(whole) != 4 or sum(inputs[2] // step * (inputs[3] // step) for step in STRIDES) != sides[1]:
        raise _unknown_detector_error(session, _("its outputs are {found}").format(found=_format_outputs(session)))
    if names is None:
        raise UsageError(
            _("{path} does not hold the names of its {count} classes.").format(path=session.path, count=sides[2] - 5),
            _("Expected a text file with one name a line: --names FILE"),
        )
    return ModelCard(
        tasks.DETECT.name,
        Classes(tuple(_require_name_count(names, sides[2] - 5, session.path))),
        PreprocessSpec(inputs[2], inputs[3], "corner", "bgr", (0.0,) * 3, (1.0,) * 3),
        session.path.name,
        _("unknown: the file does not say"),
        _("a detector in the layout of YOLOX"),
        decoder="yolox-published",
        detection_filter=DEFAULT_FILTER,
    )


def _require_name_count(names: Sequence[str], count: int, path: Path) -> Sequence[str]:
    if len(names) != count:
        raise UsageError(
            _("{found} names were given for the {count} classes of {path}.").format(
                found=len(names), count=count, path=path
            ),
            _("Expected one name for each class, in the order of their numbers."),
        )
    return names


def _unknown_detector_error(session: OnnxRuntimeBackend, reason: str) -> ModelError:
    return ModelError(
        _("{path} is not a detector that lince knows: {reason}.").format(path=session.path, reason=reason),
        _("Expected the outputs of a detector that Ultralytics or YOLOX exported."),
        _("Export it again with its own tool and its usual options."),
    )


def _format_outputs(session: OnnxRuntimeBackend) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, sides))}" for name, sides in session.outputs.items())
