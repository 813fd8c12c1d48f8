"""Saves and loads training checkpoints: one safetensors file per checkpoint, replaced atomically, without pickle.

Tensors are named ``network.*`` (weights), ``average.*`` (averaged weights, when there is an average) and
``optimizer.<parameter index>.*``; the rest of the state is JSON in the header entry ``state``.
"""

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
    """Progress of a training run at the start of a batch; everything else in a checkpoint is tensors.

    ``epoch`` (from 0) and ``batch`` (from 0) name the batch that comes next. ``sums`` holds each training figure summed
    over the ``seen`` images of the current epoch. ``best`` is the number of the best epoch so far (from 1; 0: none
    yet), ``seconds`` the time spent in training batches, ``history`` one record per finished epoch. The fields are
    written to the checkpoint as JSON under these names.
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
    path: Path, state: TrainingState, network: nn.Module, ema_network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write ``state``, the weights and the optimiser's moments to ``path``, replacing the previous checkpoint.

    ``ema_network`` holds the averaged weights; it is not written when it is ``network`` itself (no averaging). Raises
    ``TrainingError`` when the file cannot be written; the previous file is then left as it was.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if ema_network is not network:
        tensors.update((f"average.{name}", value) for name, value in ema_network.state_dict().items())
    for index, values in optimizer.state_dict()["state"].items():
        tensors.update((f"optimizer.{index}.{name}", value) for name, value in values.items())
    write_tensor_file(path, tensors, asdict(state))


def load_checkpoint(
    path: Path, network: nn.Module, ema_network: nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState:
    """Load ``path`` into ``network``, ``ema_network`` and ``optimizer``, in place, and return the training state.

    The optimiser keeps its own hyper-parameters: only its moments and step counts come from the file. Raises
    ``TrainingError`` when the file is missing or damaged.
    """
    tensors, record = read_tensor_file(path)
    network.load_state_dict(_select_prefix(tensors, "network."))
    if ema_network is not network:
        ema_network.load_state_dict(_select_prefix(tensors, "average."))
    states: dict[int, TensorDict] = {}
    for key, value in _select_prefix(tensors, "optimizer.").items():
        index, _dot, name = key.partition(".")
        states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, values in optimizer.state.items():
        values.update({name: _match_layout(value, parameter) for name, value in values.items()})
    return TrainingState(**record)


def write_tensor_file(path: Path, tensors: TensorDict, record: dict[str, Any]) -> None:
    """Write ``tensors`` and ``record`` (JSON) to ``path`` atomically.

    Tensors are copied to the CPU and made contiguous first. Raises ``TrainingError`` when the disk refuses.
    """
    cpu_tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with fileio.atomic_file(path) as temp_path:
            save_file(cpu_tensors, temp_path, metadata={"state": json.dumps(record)})
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            _("The checkpoint {path} cannot be written: {error}.").format(path=path, error=error),
            _("Expected enough free disk space; the previous checkpoint is intact."),
            _("Free some disk space, then continue with: lince train --resume {run}").format(
                run=fileio.quote_path(path.parents[1])
            ),
        ) from error


def read_tensor_file(path: Path) -> tuple[TensorDict, dict[str, Any]]:
    """Return the tensors and the JSON record of a file that ``write_tensor_file`` wrote.

    Raises ``TrainingError`` when the file is missing, is not safetensors, or has no ``state`` entry.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})["state"])
            return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            _("The checkpoint {path} cannot be read: {error}.").format(path=path, error=error),
            _("Expected a complete checkpoint file."),
            _("Train again in a new folder."),
        ) from error


def _match_layout(value: Tensor, parameter: Tensor) -> Tensor:
    """Return ``value`` in the memory format of ``parameter``, which the fused optimiser expects of its moments.

    Values of another shape, such as the step count, are returned unchanged.
    """
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _select_prefix(tensors: TensorDict, prefix: str) -> TensorDict:
    """Return the tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
