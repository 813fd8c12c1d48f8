"""Loads weight files into networks, without unpickling code, and reports every tensor that did not fit."""

from __future__ import annotations

import argparse
import errno
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from lince.models.classification.efficientnet_names import map_timm_names
from lince.models.pretrained_network import PretrainedNetwork
from lince.models.weights_report import WeightsReport
from lince.models.weights_source import WeightsSource

StateDict = dict[str, Tensor]
MIN_FITTED_SHARE = 0.9  # fraction of the network's tensors that a file must contain
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
_BATCH_COUNTER = "num_batches_tracked"  # of a batch norm; absent from old files, and not used in inference
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
_TRUNCATION_ERRORS = (EOFError, IndexError, struct.error)  # raised on reading a truncated pickle
_STUBBED_MODULES = ("torch.nn.modules.", "ultralytics.")  # objects of these are read for their tensors alone
_MAX_DEPTH = 50  # of nested modules in a file
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # torch.hub's convention, such as resnet18-f37072fd.pth


class _ModuleStub:
    """Takes the place of a pickled module: it receives the module's attributes, and no code of its class runs."""

    def __init__(self, *_arguments: Any) -> None:
        pass


def _iter_tensors(module: _ModuleStub, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield (name, tensor) of the parameters and buffers of ``module`` and its submodules, named as torch does."""
    for kind in ("_parameters", "_buffers"):
        yield from ((prefix + str(name), value) for name, value in _stub_items(module, kind))
    for name, submodule in _stub_items(module, "_modules"):
        if isinstance(submodule, _ModuleStub) and depth < _MAX_DEPTH:
            yield from _iter_tensors(submodule, f"{prefix}{name}.", depth + 1)


def _stub_items(module: _ModuleStub, kind: str) -> list[tuple[Any, Any]]:
    """Return the items of the dictionary ``kind`` of ``module``, such as ``_parameters``; nothing if there is none."""
    items = vars(module).get(kind)
    return list(items.items()) if isinstance(items, dict) else []


def load_classifier_weights(network: Classifier, source: WeightsSource) -> WeightsReport:
    """Load the backbone of ``network`` from ``source`` and return what was loaded; the head keeps its weights.

    Files in timm's older layouts, or made for another input size, are converted by timm; those of EfficientNet-Lite0
    may have the names of the package efficientnet_pytorch. Raises ``WeightsError`` when the file is missing, truncated,
    contains more than tensors, or has fewer than 90 % of the backbone's tensors; the network is then unchanged.
    """
    body = network.body
    target = body if isinstance(body, CustomCnn) else body.get_submodule("network")
    if source.path is None:
        return WeightsReport(source.provenance, source.licence, 0, len(target.state_dict()))
    state = _strip_wrapper_and_prefixes(read_weights(source.path))
    fitting, report = _match_tensors(state, target, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count and not isinstance(body, CustomCnn):
        fitting, report = _match_tensors(_adapt_names(state, target), target, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count:
        raise _too_few_error(source, report)
    target.load_state_dict(fitting, strict=False)
    return report


def _adapt_names(state: StateDict, network: nn.Module) -> StateDict:
    """Return ``state`` with the names and shapes of timm's ``network``, where it is of a layout that is known."""
    names = map_timm_names(state)
    return timm_backbone.adapt_checkpoint({names[name]: value for name, value in state.items()}, network)


def load_network_weights(network: PretrainedNetwork, source: WeightsSource) -> WeightsReport:
    """Load ``network`` from ``source`` and return what was loaded.

    Layers that depend on the number of classes keep their weights when the file has another number; ``class_layers`` of
    the report names them. Weights of a classifier are loaded into the backbone of a network that has a timm backbone.
    Raises ``WeightsError`` as ``load_classifier_weights`` does.
    """
    if source.path is None:
        return WeightsReport(source.provenance, source.licence, 0, len(network.state_dict()))
    state = _strip_wrapper(read_weights(source.path))
    for prefix in _OUTER_PREFIXES:
        state = _strip_prefix(state, prefix)
    fitting, report = _match_tensors(network.adapt_state_dict(state), network, source)
    class_rows = [row for row in report.wrong_shape if network.is_class_layer(row[0])]
    if report.fitted_count + len(class_rows) < MIN_FITTED_SHARE * report.total_count:
        if network.get_backbone() is not network:
            return _load_backbone_weights(network.get_backbone(), state, source)
        raise _too_few_error(source, report)
    network.load_state_dict(fitting, strict=False)
    other_rows = tuple(row for row in report.wrong_shape if row not in class_rows)
    return replace(
        report, wrong_shape=other_rows, class_layers=tuple(name for name, _file_shape, _network_shape in class_rows)
    )


def _load_backbone_weights(backbone: nn.Module, state: StateDict, source: WeightsSource) -> WeightsReport:
    """Load the ``backbone`` of a network from a classifier's ``state``."""
    state = _strip_wrapper_and_prefixes(dict(state))
    fitting, report = _match_tensors(state, backbone, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count:
        fitting, report = _match_tensors(_adapt_names(state, backbone), backbone, source)
    if report.fitted_count < MIN_FITTED_SHARE * report.total_count:
        raise _too_few_error(source, report)
    backbone.load_state_dict(fitting, strict=False)
    return replace(
        report,
        notes=(*report.notes, _("Only the backbone was loaded; the rest of the network is initialised at random.")),
    )


def read_weights(path: Path) -> dict[str, Any]:
    """Return the content of the weight file at ``path``, a dictionary with its tensors on the CPU.

    Reads safetensors and files of ``torch.save``; code in them is never executed, and a pickled module becomes the
    dictionary of its tensors. Raises ``WeightsError`` when the file cannot be read, contains other objects, or does not
    match the hash in its name.
    """
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_torch(path)
    except OSError as error:
        if error.errno == errno.EINVAL:  # torch sought the archive's directory before the start of a truncated file
            raise _unreadable_error(path, error) from error
        raise WeightsError(_("{path} cannot be read: {error}.").format(path=path, error=error)) from error
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, ValueError, *_TRUNCATION_ERRORS) as error:
        raise _unreadable_error(path, error) from error
    if isinstance(content, _ModuleStub):
        content = {"model": content}
    if not isinstance(content, Mapping):
        raise _unreadable_error(path, TypeError(type(content).__name__))
    _check_hash(path)
    return {
        name: dict(_iter_tensors(value)) if isinstance(value, _ModuleStub) else value for name, value in content.items()
    }


def _read_torch(path: Path) -> Any:
    """Return the content of a file of ``torch.save``, with modules as stubs."""
    # Training scripts store their arguments as a Namespace: plain attributes, for which no code runs.
    safe_classes: list[Any] = [argparse.Namespace, *((_ModuleStub, name) for name in _list_module_classes(path))]
    with warnings.catch_warnings(), torch.serialization.safe_globals(safe_classes):
        warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)  # an error with the cause follows
        return torch.load(path, map_location="cpu", weights_only=True)


def _list_module_classes(path: Path) -> list[str]:
    """Return the full names of the module classes of which the file at ``path`` contains objects."""
    if not zipfile.is_zipfile(path):
        return []
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, AssertionError, pickle.UnpicklingError, *_TRUNCATION_ERRORS):
        return []  # reading the file raises an error with the cause
    return [name for name in names if name.startswith(_STUBBED_MODULES)]


def _unreadable_error(path: Path, error: Exception) -> WeightsError:
    """Return the error for ``error``, raised on reading ``path``: truncated, unsafe, or not a weight file."""
    remedy = _("Download or copy it again.")
    if _is_truncated(path, error):
        return WeightsError(
            _("{path} is truncated: it ends after {size:,} bytes.").format(path=path, size=path.stat().st_size),
            _("Expected a complete weight file."),
            remedy,
        )
    if isinstance(error, pickle.UnpicklingError) and "global" in str(error).lower():
        return WeightsError(
            _("{path} contains more than tensors, and loading it would run code from the file.").format(path=path),
            _("Expected tensors only: a safetensors file, or one that torch.save wrote from a state_dict."),
            _("Save it again with safetensors, where it was made."),
        )
    return WeightsError(
        _("{path} is not a weight file: {error}.").format(path=path, error=str(error).partition("\n")[0][:200]),
        _("Expected a safetensors file, or one that torch.save wrote from a state_dict."),
        remedy,
    )


def _is_truncated(path: Path, error: Exception) -> bool:
    """Return whether the file ends too early, from its start and its size or from ``error``."""
    with open(path, "rb") as stream:
        start = stream.read(8)
    if start.startswith(b"PK\x03\x04"):
        return not zipfile.is_zipfile(path)
    if path.suffix == ".safetensors":
        header = int.from_bytes(start, "little")
        return "not fully covered" in str(error) or path.stat().st_size - 8 < header < _MAX_HEADER_BYTES
    return bool(start) and (isinstance(error, _TRUNCATION_ERRORS) or "unexpected EOF" in str(error))


def _check_hash(path: Path) -> None:
    """Raise ``WeightsError`` when the file's name ends in a hash that is not that of its content."""
    match = _HASH_IN_NAME.search(path.name)
    if match and not fileio.compute_sha256(path).startswith(match[1]):
        raise WeightsError(
            _("The content of {path} does not match the hash in its name.").format(path=path),
            _("Expected a SHA-256 that begins with {digits}.").format(digits=match[1]),
            _("Download it again, or rename it if it was changed on purpose."),
        )


def _strip_wrapper_and_prefixes(content: dict[str, Any]) -> StateDict:
    """Return the tensors of a file without the dictionaries and name prefixes that training scripts add."""
    state = _strip_wrapper(content)
    for prefix in _PREFIXES:
        state = _strip_prefix(state, prefix)
    return state


def _strip_wrapper(content: dict[str, Any]) -> StateDict:
    """Return the tensors of ``content``, or of the dictionary in it that training scripts put them into."""
    for key in _WRAPPERS:
        inner = content.get(key)
        if isinstance(inner, Mapping):
            inner = inner.get("module", inner)  # an EMA is stored beside the number of its updates
        if isinstance(inner, Mapping) and any(isinstance(value, Tensor) for value in inner.values()):
            content = dict(inner)
            break
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _strip_prefix(state: StateDict, prefix: str) -> StateDict:
    """Return ``state`` without ``prefix`` in its names, if more than half of them have it (a head may not)."""
    if 2 * sum(name.startswith(prefix) for name in state) <= len(state):
        return state
    return {name.removeprefix(prefix): value for name, value in state.items()}


def _match_tensors(state: StateDict, network: nn.Module, source: WeightsSource) -> tuple[StateDict, WeightsReport]:
    """Return the tensors of ``state`` that fit ``network`` by name and shape, and the report on all of them."""
    expected = {name: value for name, value in network.state_dict().items() if _BATCH_COUNTER not in name}
    fitted = {name: state[name] for name in expected if name in state and state[name].shape == expected[name].shape}
    wrong_shape = tuple(
        (name, tuple(state[name].shape), tuple(expected[name].shape))
        for name in expected
        if name in state and name not in fitted
    )
    unexpected = [name for name in state if name not in expected and _BATCH_COUNTER not in name]
    class_layers = tuple(name for name in unexpected if name.partition(".")[0] in _HEAD_NAMES)
    report = WeightsReport(
        provenance=source.provenance,
        licence=source.licence,
        fitted_count=len(fitted),
        total_count=len(expected),
        missing=tuple(name for name in expected if name not in state),
        unexpected=tuple(name for name in unexpected if name not in class_layers),
        wrong_shape=wrong_shape,
        class_layers=class_layers,
        notes=source.notes,
    )
    return fitted, report


def _too_few_error(source: WeightsSource, report: WeightsReport) -> WeightsError:
    """Return the error for a file with too few fitting tensors, with up to eight names for each reason."""
    return WeightsError(
        _("{path} matches only {fitted} of the {total} tensors of {model}.").format(
            path=source.path, fitted=report.fitted_count, total=report.total_count, model=source.entry.pretrained_name
        )
        + "".join(f"\n{line}" for line in report.describe_misfits(8)),
        _("Expected at least {share:.0%}: weights of the same network.").format(share=MIN_FITTED_SHARE),
        _("Choose the matching network with --model, or another file with --weights."),
    )
