"""Weights into a network: read without unpickling, matched name by name, everything that did not fit said."""

from __future__ import annotations

import argparse
import errno
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lince import fileio
from lince.errors import WeightsError
from lince.i18n import _
from lince.models.classification import timm_backbone
from lince.models.classification.classifier import Classifier
from lince.models.classification.cnn import CustomCnn
from lince.models.detection.detector import Detector
from lince.models.weights_source import WeightsSource

StateDict = dict[str, Tensor]
MIN_FITTED_SHARE = 0.9  # the share of the network's tensors that a file must fill
_WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "weights",
)
_OUTER_PREFIXES = ("module.", "_orig_mod.", "model.")
_PREFIXES = (*_OUTER_PREFIXES, "backbone.", "encoder.", "body.network.", "body.", "network.")
_HEAD_NAMES = (*timm_backbone.HEAD_PARTS, "AuxLogits")
_BATCH_COUNTER = "num_batches_tracked"  # absent from old files, and of no use to a network that is evaluated
_MAX_HEADER_BYTES = 100_000_000  # bytes, safetensors' own limit
_TRUNCATION_ERRORS = (EOFError, IndexError, struct.error)  # how the reading of a pickle ends where its bytes do
_STUBBED_MODULES = (
    "torch.nn.modules.",
    "ultralytics.",
)  # whose objects in a file are read for the tensors that they hold
_MAX_DEPTH = 50  # modules within modules
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


class _ModuleStub:
    """Stands for a module in a file: it takes what the file gives it, and no code of the module's class ever runs."""

    def __init__(self, *_given: Any) -> None:
        pass


def _iter_tensors(module: _ModuleStub, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield what ``module`` and those within it hold, by torch's names."""
    for kind in ("_parameters", "_buffers"):
        yield from ((prefix + str(name), value) for name, value in _stub_items(module, kind))
    for name, inner in _stub_items(module, "_modules"):
        if isinstance(inner, _ModuleStub) and depth < _MAX_DEPTH:
            yield from _iter_tensors(inner, f"{prefix}{name}.", depth + 1)


def _stub_items(module: _ModuleStub, kind: str) -> list[tuple[Any, Any]]:
    held = vars(module).get(kind)
    return list(held.items()) if isinstance(held, dict) else []


@dataclass(frozen=True)
class WeightsReport:
    """What became of a weight file: ``fitted`` of ``total`` tensors of the network were filled from ``origin``.

    ``wrong_shape`` holds (name, shape in the file, shape in the network); ``head`` names the tensors of the file's own
    classifier, which is left out because it names other classes.
    """

    provenance: str
    licence: str
    fitted_count: int
    total_count: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    class_layers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def format_lines(self) -> list[str]:
        """Return the report as sentences, every key that did not fit named."""
        if self.fitted_count == 0:
            return [_("Weights: random.")]
        text = [
            _("Weights: {origin} (licence: {licence}), {fitted} of {total} tensors filled.").format(
                origin=self.provenance, licence=self.licence, fitted=self.fitted_count, total=self.total_count
            ),
            *self.notes,
        ]
        if self.class_layers:
            text.append(_("Left out, the file's own classifier: {names}.").format(names=", ".join(self.class_layers)))
        return text + self.describe_misfits()

    def describe_misfits(self, max_names: int | None = None) -> list[str]:
        """Return one sentence for each way in which keys did not fit, with ``most`` names in each."""
        text = []
        if self.missing:
            text.append(_("Not in the file, left random: {names}.").format(names=_join_names(self.missing, max_names)))
        if self.unexpected:
            text.append(
                _("In the file, not in the network: {names}.").format(names=_join_names(self.unexpected, max_names))
            )
        if self.wrong_shape:
            shapes = _join_names(
                [f"{name} {found} / {expected}" for name, found, expected in self.wrong_shape], max_names
            )
            text.append(_("Of another shape (file / network), left random: {shapes}.").format(shapes=shapes))
        return text


def _join_names(names: Sequence[str], most: int | None) -> str:
    if most is None or len(names) <= most:
        return ", ".join(names)
    return _("{names} and {count} more").format(names=", ".join(names[:most]), count=len(names) - most)


def load_classifier_weights(network: Classifier, source: WeightsSource) -> WeightsReport:
    """Fill the body of ``network`` from ``source`` and return what fitted; its head stays as it is.

    Raises ``WeightsError`` when the file is missing, cut off, holds more than tensors, or fills fewer than 90 % of the
    body's tensors; the network is then unchanged.
    """
    body = network.body
    target = body if isinstance(body, CustomCnn) else body.get_submodule("network")
    if source.path is None:
        return WeightsReport(source.provenance, source.licence, 0, len(target.state_dict()))
    state = _strip_wrapper_and_prefixes(read_weights(source.path))
    fitting, report = _match_tensors(state, target, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count and not isinstance(body, CustomCnn):
        # Files in another layout, or made for another size: as timm would bring them in.
        fitting, report = _match_tensors(timm_backbone.adapt_checkpoint(state, target), target, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count:
        raise _too_few_error(source, report)
    target.load_state_dict(fitting, strict=False)
    return report


def load_detector_weights(network: Detector, source: WeightsSource) -> WeightsReport:
    """Fill ``network`` from ``source`` and return what fitted.

    Weights made for another number of classes leave the layers that name classes as they are; ``head`` tells which.
    Those of a classifier fill the body of a detector that is built on one.
    Raises ``WeightsError`` as ``load`` does.
    """
    if source.path is None:
        return WeightsReport(source.provenance, source.licence, 0, len(network.state_dict()))
    state = _strip_wrapper(read_weights(source.path))
    for prefix in _OUTER_PREFIXES:
        state = _strip_prefix(state, prefix)
    fitting, report = _match_tensors(network.adapt_state_dict(state), network, source)
    classes = [row for row in report.wrong_shape if network.is_class_layer(row[0])]
    if report.fitted_count + len(classes) < MIN_FITTED_SHARE * report.total_count:
        if network.get_backbone() is not network:
            return _load_backbone_weights(network.get_backbone(), state, source)
        raise _too_few_error(source, report)
    network.load_state_dict(fitting, strict=False)
    others = tuple(row for row in report.wrong_shape if row not in classes)
    return replace(report, wrong_shape=others, class_layers=tuple(name for name, _found, _expected in classes))


def _load_backbone_weights(body: nn.Module, state: StateDict, source: WeightsSource) -> WeightsReport:
    state = _strip_wrapper_and_prefixes(dict(state))
    fitting, report = _match_tensors(state, body, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count:
        fitting, report = _match_tensors(timm_backbone.adapt_checkpoint(state, body), body, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count:
        raise _too_few_error(source, report)
    body.load_state_dict(fitting, strict=False)
    return replace(report, notes=(*report.notes, _("They fill the backbone; the rest of the detector is random.")))


def read_weights(path: Path) -> dict[str, Any]:
    """Return what the weight file at ``path`` holds, tensors on the CPU; nothing in it is ever executed."""
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_torch(path)
    except OSError as error:
        if error.errno == errno.EINVAL:  # torch looked for the directory of an archive before the start of the file
            raise _unreadable_error(path, error) from error
        raise WeightsError(_("{path} cannot be read: {error}.").format(path=path, error=error)) from error
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, ValueError, *_TRUNCATION_ERRORS) as error:
        raise _unreadable_error(path, error) from error
    if isinstance(content, _ModuleStub):
        content = {"model": content}
    if not isinstance(content, Mapping):
        raise _unreadable_error(path, TypeError(type(content).__name__))
    _check_hash(path)
    return {name: dict(_iter_tensors(one)) if isinstance(one, _ModuleStub) else one for name, one in content.items()}


def _read_torch(path: Path) -> Any:
    # Training scripts keep what they were started with beside the tensors: attributes alone, no code runs for them.
    known: list[Any] = [argparse.Namespace, *((_ModuleStub, name) for name in _list_module_classes(path))]
    with warnings.catch_warnings(), torch.serialization.safe_globals(known):
        warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)  # the error that follows says more
        return torch.load(path, map_location="cpu", weights_only=True)


def _list_module_classes(path: Path) -> list[str]:
    """Return the names of the classes of modules that the file at ``path`` holds objects of."""
    if not zipfile.is_zipfile(path):
        return []
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, AssertionError, pickle.UnpicklingError, *_TRUNCATION_ERRORS):
        return []  # whoever reads on says why
    return [name for name in found if name.startswith(_STUBBED_MODULES)]


def _unreadable_error(path: Path, error: Exception) -> WeightsError:
    again = _("Download or copy it again.")
    if _is_truncated(path, error):
        return WeightsError(
            _("{path} is cut off: it ends after {size:,} bytes.").format(path=path, size=path.stat().st_size),
            _("Expected a whole weight file."),
            again,
        )
    if isinstance(error, pickle.UnpicklingError) and "global" in str(error).lower():
        return WeightsError(
            _("{path} holds more than tensors, and loading it would run code from the file.").format(path=path),
            _("Expected tensors only: a safetensors file, or one that torch.save wrote from a state_dict."),
            _("Save it again with safetensors, where it was made."),
        )
    return WeightsError(
        _("{path} is not a weight file: {error}.").format(path=path, error=str(error).partition("\n")[0][:200]),
        _("Expected a safetensors file, or one that torch.save wrote from a state_dict."),
        again,
    )


def _is_truncated(path: Path, error: Exception) -> bool:
    with open(path, "rb") as stream:
        start = stream.read(8)
    if start.startswith(b"PK\x03\x04"):
        return not zipfile.is_zipfile(path)
    if path.suffix == ".safetensors":
        header = int.from_bytes(start, "little")
        return "not fully covered" in str(error) or path.stat().st_size - 8 < header < _MAX_HEADER_BYTES
    return bool(start) and (isinstance(error, _TRUNCATION_ERRORS) or "unexpected EOF" in str(error))


def _check_hash(path: Path) -> None:
    said = _HASH_IN_NAME.search(path.name)
    if said and not fileio.compute_sha256(path).startswith(said[1]):
        raise WeightsError(
            _("{path} is not the file that its name promises.").format(path=path),
            _("Expected a SHA-256 that begins with {digits}.").format(digits=said[1]),
            _("Download it again, or rename it if it was changed on purpose."),
        )


def _strip_wrapper_and_prefixes(content: dict[str, Any]) -> StateDict:
    """Return the tensors of a file without the wrappings that training scripts put around them and their names."""
    state = _strip_wrapper(content)
    for prefix in _PREFIXES:
        state = _strip_prefix(state, prefix)
    return state


def _strip_wrapper(content: dict[str, Any]) -> StateDict:
    for key in _WRAPPERS:
        inner = content.get(key)
        if isinstance(inner, Mapping):
            inner = inner.get("module", inner)  # averages are often kept beside the number of their updates
        if isinstance(inner, Mapping) and any(isinstance(value, Tensor) for value in inner.values()):
            content = dict(inner)
            break
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _strip_prefix(state: StateDict, prefix: str) -> StateDict:
    # More than half: a head may stand beside the rest.
    if 2 * sum(name.startswith(prefix) for name in state) <= len(state):
        return state
    return {name.removeprefix(prefix): value for name, value in state.items()}


def _match_tensors(state: StateDict, target: nn.Module, source: WeightsSource) -> tuple[StateDict, WeightsReport]:
    wanted = {name: value for name, value in target.state_dict().items() if _BATCH_COUNTER not in name}
    fitting = {name: state[name] for name in wanted if name in state and state[name].shape == wanted[name].shape}
    wrong = tuple(
        (name, tuple(state[name].shape), tuple(wanted[name].shape))
        for name in wanted
        if name in state and name not in fitting
    )
    strangers = [name for name in state if name not in wanted and _BATCH_COUNTER not in name]
    head = tuple(name for name in strangers if name.partition(".")[0] in _HEAD_NAMES)
    report = WeightsReport(
        provenance=source.provenance,
        licence=source.licence,
        fitted_count=len(fitting),
        total_count=len(wanted),
        missing=tuple(name for name in wanted if name not in state),
        unexpected=tuple(name for name in strangers if name not in head),
        wrong_shape=wrong,
        class_layers=head,
        notes=source.notes,
    )
    return fitting, report


def _too_few_error(source: WeightsSource, report: WeightsReport) -> WeightsError:
    return WeightsError(
        _("{path} fills {fitted} of the {total} tensors of {model}.").format(
            path=source.path, fitted=report.fitted_count, total=report.total_count, model=source.entry.pretrained_name
        )
        + "".join(f"\n{line}" for line in report.describe_misfits(8)),
        _("Expected at least {share:.0%}: weights of the same network.").format(share=MIN_FITTED_SHARE),
        _("Give the file's own network with --model, or another file with --weights."),
    )
