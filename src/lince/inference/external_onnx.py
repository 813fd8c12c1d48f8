"""Builds a model card for detectors that other tools exported as ONNX (Ultralytics, YOLOX).

Ultralytics writes class names, input size, task and licence into the file's metadata. The published YOLOX files carry
no metadata, so the user gives the class names and the rest follows from the shapes. No package of either tool is used.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince.annotations import Classes
from lince.errors import DataError, ModelError, UsageError
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.instances.predictor import InstancesPredictor
from lince.model_card import CARD_FILE, ModelCard, translate_licence
from lince.postprocess import DEFAULT_FILTER, DetectionFilter
from lince.postprocess.yolox import STRIDES
from lince.preprocess import PreprocessSpec

SUFFIX = ".onnx"
# The value of ``task`` in the metadata of an Ultralytics file, and the predictor of such files.
_PREDICTORS: dict[str, type[DetectionPredictor]] = {"detect": DetectionPredictor, "segment": InstancesPredictor}
_MAX_INPUT_SIDE = 8192  # pixels; a larger one in the metadata is taken for damage
# Ultralytics' own score and IoU thresholds, so that an image gives the same boxes as there.
_NMS_FILTER, _END_TO_END_FILTER = DetectionFilter(0.25, 0.7), DetectionFilter(0.25, 1.0)


@dataclass(frozen=True)
class UltralyticsMetadata:
    """The metadata of an Ultralytics ONNX file.

    ``names`` are the class names by id, ``size`` is the input's (height, width) in pixels, ``task`` is "detect",
    "segment" and so on, ``source`` author and description, ``licence`` the licence of the weights.
    """

    names: tuple[str, ...]
    size: tuple[int, int]
    task: str
    source: str
    licence: str


def is_external_model(path: str | os.PathLike[str]) -> bool:
    """Return whether ``path`` is an ONNX file without a lince model card beside it."""
    path = Path(path)
    return path.suffix.lower() == SUFFIX and path.is_file() and not (path.parent / CARD_FILE).is_file()


def infer_model_card(backend: OnnxRuntimeBackend, class_names: Sequence[str] | None = None) -> ModelCard:
    """Return a card for the file that ``backend`` has open: a YOLOX layout if it looks like one, else Ultralytics.

    ``class_names``, in the order of the class ids, replace those in the file; YOLOX files need them. Raises
    ``ModelError`` when it is no detector of a known layout, or lince's own self-contained export, and ``UsageError``
    when names are needed and not given, or their number is not that of the classes.
    """
    if "card" in backend.metadata:
        raise ModelError(
            _("{path} is a self-contained model, with its own preprocessing and postprocessing.").format(
                path=backend.path
            ),
            _("Expected a training run, a model folder, or a detector exported by Ultralytics or YOLOX."),
            _("Use it without lince, or give the run that it was exported from."),
        )
    if "output" in backend.outputs and not backend.metadata.get("names"):
        return _infer_yolox_card(backend, class_names)
    return _infer_ultralytics_card(backend, class_names)


def open_predictor(card: ModelCard, backend: OnnxRuntimeBackend, allow_urls: bool) -> DetectionPredictor:
    """Return the predictor of a file whose ``card`` is that of ``infer_model_card``."""
    predictor = next(cls for cls in _PREDICTORS.values() if cls.task == card.task)
    return predictor(card, backend, allow_urls)


def read_class_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the class names in a UTF-8 text file, one per line, without blank lines.

    Raises ``DataError`` when the file cannot be read.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            _("{path} cannot be read as a list of names: {error}.").format(path=path, error=error),
            _("Expected a UTF-8 text file with one name per line."),
        ) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def describe_card(model: ModelCard) -> str:
    """Return one line for the user: the file's name, which tool exported it, and its licence."""
    return _("{model}, from another tool: {source}; licence: {licence}").format(
        model=model.model, source=model.source, licence=translate_licence(model.licence)
    )


def _infer_ultralytics_card(backend: OnnxRuntimeBackend, class_names: Sequence[str] | None) -> ModelCard:
    """Return the card of an Ultralytics detector: letterbox input, scores already decoded."""
    metadata = _parse_metadata(backend.path, backend.metadata)
    if metadata.task not in _PREDICTORS:
        raise ModelError(
            _("{path} is an Ultralytics model for the task '{task}'.").format(path=backend.path, task=metadata.task),
            _("Expected a model that detects objects, or objects with masks (the tasks 'detect' and 'segment')."),
        )
    predictor = _PREDICTORS[metadata.task]
    height, width = metadata.size
    names = metadata.names
    if class_names:
        names = tuple(_require_name_count(class_names, len(metadata.names), backend.path))
    gives_masks = predictor.result_class.gives_masks
    decoder = _infer_mask_decoding(backend, len(names)) if gives_masks else _infer_decoding(backend, len(names))
    return ModelCard(
        predictor.task,
        Classes(names),
        PreprocessSpec(height, width, "letterbox"),
        backend.path.name,
        metadata.licence,
        metadata.source,
        decoder=decoder,
        detection_filter=_END_TO_END_FILTER if decoder == "ultralytics-end2end" else _NMS_FILTER,
    )


def _infer_decoding(backend: OnnxRuntimeBackend, class_count: int) -> str:
    """Return the decoder for the single output of an Ultralytics file, by its shape.

    (N, K, 6) holds final boxes (NMS-free models, "end2end"); (N, 4 + classes, K) needs NMS.
    """
    shape = backend.outputs.get("output0", ())
    is_end_to_end = backend.metadata.get("end2end", "").lower() == "true"
    if len(backend.outputs) == 1 and len(shape) == 3:
        if shape[2] == 6 or (is_end_to_end and not isinstance(shape[2], int)):
            return "ultralytics-end2end"
        if shape[1] == 4 + class_count or not isinstance(shape[1], int):
            return "ultralytics"
    raise _unknown_detector_error(backend, _("its outputs are {found}").format(found=_format_outputs(backend)))


def _infer_mask_decoding(backend: OnnxRuntimeBackend, class_count: int) -> str:
    """Return the decoder for an Ultralytics file with masks, by the shapes of its outputs.

    They are (N, 4 + classes + D, K) and (N, D, h, w), where D is the number of prototypes.
    """
    rows, prototypes = backend.outputs.get("output0", ()), backend.outputs.get("output1", ())
    if len(rows) == 3 and len(prototypes) == 4:
        count, maps = rows[1], prototypes[1]
        if not (isinstance(count, int) and isinstance(maps, int)) or count == 4 + class_count + maps:
            return "ultralytics-prototypes"
    raise _unknown_detector_error(backend, _("its outputs are {found}").format(found=_format_outputs(backend)))


def _parse_metadata(path: Path, metadata: dict[str, str]) -> UltralyticsMetadata:
    """Return the metadata of an Ultralytics file, parsed; raise ``ModelError`` when it is missing or damaged.

    ``names`` is a Python dict literal of id to name, with the ids 0, 1, 2, ... without gaps.
    """
    try:
        names = {int(key): str(name) for key, name in _parse_literal(metadata["names"]).items()}
        if not names or sorted(names) != list(range(len(names))):
            raise ValueError(metadata["names"])
        return UltralyticsMetadata(
            tuple(names[class_id] for class_id in range(len(names))),
            _parse_input_size(metadata["imgsz"]),
            metadata["task"],
            " ".join(part for part in (metadata.get("author"), metadata.get("description")) if part) or str(path),
            metadata.get("license") or _("unknown: the file does not say"),
        )
    except (KeyError, ValueError, TypeError, AttributeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ModelError(
            _("{path} has no model card and no metadata on how to use it ({reason}).").format(
                path=path, reason=repr(error)[:200]
            ),
            _("Expected a model folder of lince, or a detector exported by Ultralytics or YOLOX."),
            _("Export it again with its own tool, or train one with lince."),
        ) from error


def _parse_literal(text: str) -> Any:
    return ast.literal_eval(text)  # literals only: no code from the file is executed


def _parse_input_size(text: str) -> tuple[int, int]:
    """Return (height, width) of "[480, 640]" or "640"; raise ``ValueError`` outside 1..8192 pixels."""
    sides = [int(side) for side in re.findall(r"-?\d+", text)]
    height, width = sides if len(sides) == 2 else sides * 2
    if not (0 < height <= _MAX_INPUT_SIDE and 0 < width <= _MAX_INPUT_SIDE):
        raise ValueError(text)
    return height, width


def _infer_yolox_card(backend: OnnxRuntimeBackend, class_names: Sequence[str] | None) -> ModelCard:
    """Return the card of a published YOLOX file: BGR in 0..255, image at the top left, raw outputs.

    Accepted only with fixed sides, where the output's number of rows is that of the cells at the strides 8, 16 and 32.
    """
    output_shape, input_shape = backend.outputs["output"], backend.input_shape
    fixed_sides = [side for side in (*input_shape[2:], *output_shape[1:]) if isinstance(side, int)]
    if len(fixed_sides) != 4 or _count_yolox_cells(input_shape[2], input_shape[3]) != output_shape[1]:
        raise _unknown_detector_error(backend, _("its outputs are {found}").format(found=_format_outputs(backend)))
    class_count = output_shape[2] - 5
    if class_names is None:
        raise UsageError(
            _("{path} does not contain the names of its {count} classes.").format(path=backend.path, count=class_count),
            _("Expected a text file with one name per line: --names FILE"),
        )
    return ModelCard(
        DetectionPredictor.task,
        Classes(tuple(_require_name_count(class_names, class_count, backend.path))),
        PreprocessSpec(input_shape[2], input_shape[3], "corner", "bgr", (0.0,) * 3, (1.0,) * 3),
        backend.path.name,
        _("unknown: the file does not say"),
        _("a detector with YOLOX outputs"),
        decoder="yolox-published",
        detection_filter=DEFAULT_FILTER,
    )


def _count_yolox_cells(height: int, width: int) -> int:
    """Return the number of grid cells, one prediction each, of an input of ``height`` x ``width`` pixels."""
    return sum(height // stride * (width // stride) for stride in STRIDES)


def _require_name_count(names: Sequence[str], count: int, path: Path) -> Sequence[str]:
    """Return ``names``; raise ``UsageError`` when there are not ``count`` of them."""
    if len(names) != count:
        raise UsageError(
            _("{found} names were given for the {count} classes of {path}.").format(
                found=len(names), count=count, path=path
            ),
            _("Expected one name for each class, in the order of the class ids."),
        )
    return names


def _unknown_detector_error(backend: OnnxRuntimeBackend, reason: str) -> ModelError:
    return ModelError(
        _("{path} is not a supported detector: {reason}.").format(path=backend.path, reason=reason),
        _("Expected the outputs of a detector that Ultralytics or YOLOX exported."),
        _("Export it again with its own tool and its usual options."),
    )


def _format_outputs(backend: OnnxRuntimeBackend) -> str:
    """Return the names and shapes of the outputs for a message, such as "output0 1x84x8400"."""
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in backend.outputs.items())
