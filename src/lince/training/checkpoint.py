"""All that a fit needs to go on, in one safetensors file: whole or not there, and never a pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lince import fileio
from lince.errors import TrainingError
from lince.i18n import _

TensorDict = dict[str, Tensor]


@dataclass
class TrainingState:
    """Where a fit stands: the next batch of the current epoch, the sums over its batches so far, and the past epochs.

    ``best`` is the number of the best epoch so far (from 1; 0: none), ``seconds`` the time spent training.
    """

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seen: int = 0
    best: int = 0
    seconds: float = 0.0
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    path: Path, state: TrainingState, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write everything to ``path``; raise ``TrainingError`` when the disk refuses, the old file staying as it was."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if average is not network:
        tensors.update((f"average.{name}", value) for name, value in average.state_dict().items())
    for number, values in optimizer.state_dict()["state"].items():
        tensors.update((f"optimizer.{number}.{name}", value) for name, value in values.items())
    write_tensor_file(path, tensors, asdict(state))


def load_checkpoint(
    path: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState:
    """Bring ``network``, ``average`` and ``optimizer`` to what ``path`` holds and return where the fit stood."""
    tensors, record = read_tensor_file(path)
    network.load_state_dict(_select_prefix(tensors, "network."))
    if average is not network:
        average.load_state_dict(_select_prefix(tensors, "average."))
    states: dict[int, TensorDict] = {}
    for key, value in _select_prefix(tensors, "optimizer.").items():
        number, _dot, name = key.partition(".")
        states.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, values in optimizer.state.items():
        values.update({name: _match_layout(value, parameter) for name, value in values.items()})
    return TrainingState(**record)


def write_tensor_file(path: Path, tensors: TensorDict, record: dict[str, Any]) -> None:
    """Write ``tensors`` and ``record`` (JSON) to ``path``, whole or not at all."""
    flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with fileio.atomic_file(path) as aside:
            save_file(flat, aside, metadata={"state": json.dumps(record)})
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            _("The checkpoint {path} cannot be written: {error}.").format(path=path, error=error),
            _("The one before it is untouched."),
            _("Make room on the disk, then go on with: lince train --resume {run}").format(run=path.parents[1]),
        ) from error


def read_tensor_file(path: Path) -> tuple[TensorDict, dict[str, Any]]:
    """Return the tensors and the record of ``path``; raise ``TrainingError`` when it is missing or broken."""
    try:
        with safe_open(path, framework="pt") as stream:
            record = json.loads((stream.metadata() or {})["state"])
            return {name: stream.get_tensor(name) for name in stream.keys()}, record  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            _("The checkpoint {path} cannot be read: {error}.").format(path=path, error=error),
            _("Expected a whole file that training wrote."),
            _("Train again in a new folder."),
        ) from error


def _match_layout(value: Tensor, parameter: Tensor) -> Tensor:
    """Return ``value`` in memory as ``parameter`` is: the optimiser walks through both as they lie."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _select_prefix(tensors: TensorDict, prefix: str) -> TensorDict:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
