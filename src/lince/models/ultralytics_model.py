"""Networks of Ultralytics, where its package is installed: their layers and their loss under lince's trainer.

The package is AGPL-3.0, is never installed by lince, and is loaded for these networks alone. Its letters are the sizes;
names of tensors are those of its files. It is kept from the network: lince has no telemetry and downloads by itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from lince.errors import UsageError
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry

os.environ.setdefault("YOLO_OFFLINE", "true")  # read when the package is loaded
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

_LOSS_NAMES = ("box", "class", "distribution")
_MODEL_PREFIX = "model."


class UltralyticsDetector(Detector):
    """``layers`` of a network of Ultralytics, of which the last, its head, looks at every place of several maps.

    Where the head has a second branch that chooses for itself, both learn, and the one with suppression answers.
    """

    decoding = "ultralytics"

    def __init__(self, layers: nn.Sequential, kept: Sequence[int], classes: int, strides: Sequence[float]) -> None:
        super().__init__()
        self.model = layers
        self.classes = classes
        self._kept = frozenset(kept)
        self._strides = tuple(strides)

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the maps that the head reads, finest first."""
        made: list[Tensor | None] = []
        found = images
        for layer in self.model[:-1]:
            found = layer(_select_layer_input(layer, found, made))
            made.append(found if layer.i in self._kept else None)
        return tuple(_select_layer_input(self.model[-1], found, made))

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return (N, 4 + C, A): middles and sides in pixels of the input, and probabilities, of A places."""
        head: Any = self.model[-1]
        raw = self._raw_outputs(maps)
        middles, strides = _make_grid(maps, self._strides)
        before, after = head.dfl(raw["boxes"]).float().chunk(2, 1)
        boxes = torch.cat((middles + (after - before) / 2, before + after), 1) * strides
        return (torch.cat((boxes, raw["scores"].float().sigmoid()), 1),)

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the three parts of the package's own loss, means over the images."""
        from ultralytics.cfg import get_cfg  # noqa: PLC0415
        from ultralytics.utils.loss import E2ELoss, v8DetectionLoss  # noqa: PLC0415

        head: Any = self.model[-1]
        seen: dict[str, Any] = self._raw_outputs(maps)
        double = getattr(head, "one2one_cv2", None) is not None
        if double:
            second = head.forward_head([one.detach() for one in maps], **head.one2one)
            seen = {"one2many": seen, "one2one": second}
        known = SimpleNamespace(parameters=self.parameters, model=self.model, args=get_cfg())
        summed, _figures = (E2ELoss if double else v8DetectionLoss)(known)(seen, _make_loss_batch(targets, size))
        return dict(zip(_LOSS_NAMES, summed / len(targets), strict=True))

    def list_blocks(self) -> list[Block]:
        """Return the layers as the package numbers them; the head is the last."""
        *body, head = self.model
        return [*((str(number), layer) for number, layer in enumerate(body)), ("head", head)]

    def adapt_key(self, name: str) -> str:
        """Return ``name`` below the module that holds all layers."""
        return name if name.startswith(_MODEL_PREFIX) else _MODEL_PREFIX + name

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` is of the branch for classes, whose width depends on their number too."""
        return name.startswith(f"{_MODEL_PREFIX}{len(self.model) - 1}.") and "cv3." in name

    def _raw_outputs(self, maps: FeatureMaps) -> dict[str, Tensor]:
        head: Any = self.model[-1]
        raw: dict[str, Tensor] = head.forward_head(list(maps), **head.one2many)
        return raw


def create_detector(entry: DetectorEntry, classes: int, height: int, width: int) -> UltralyticsDetector:
    """Return the network of ``entry`` with ``classes`` classes at random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side does not fit the strides, or when the installed package is not one that is known.
    """
    from ultralytics.nn.tasks import DetectionModel  # noqa: PLC0415

    network = DetectionModel(_load_config(entry.name) | {"nc": classes}, verbose=False)
    _require_known_head(network.model[-1])
    strides = [float(one) for one in network.stride]
    if height % int(max(strides)) or width % int(max(strides)):
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(
                step=int(max(strides)), size=entry.size
            ),
        )
    return UltralyticsDetector(network.model, network.save, classes, strides)


def _load_config(name: str) -> dict[str, Any]:
    """Return the package's own description of the network ``name``, such as ``yolov8n``."""
    import ultralytics  # noqa: PLC0415
    from ultralytics.utils import YAML  # noqa: PLC0415

    family, letter = name[:-1], name[-1]
    found = sorted((Path(ultralytics.__file__).parent / "cfg" / "models").glob(f"*/{family}.yaml"))
    if not found:
        raise _unknown_version_error(name)
    described: dict[str, Any] = YAML.load(found[0])
    return described | {"scale": letter}


def _require_known_head(head: Any) -> None:
    if not all(hasattr(head, name) for name in ("forward_head", "one2many", "dfl")):
        raise _unknown_version_error(type(head).__name__)


def _unknown_version_error(what: str) -> UsageError:
    import ultralytics  # noqa: PLC0415

    return UsageError(
        _("The installed Ultralytics {version} has {what} not in the way that lince knows.").format(
            version=ultralytics.__version__, what=what
        ),
        _("Expected version {version} or one near it.").format(version="8.4"),
    )


def _select_layer_input(layer: Any, before: Tensor, made: Sequence[Tensor | None]) -> Any:
    """Return what ``layer`` reads: the output before it, or some of all that were ``made``."""
    if layer.f == -1:
        return before
    if isinstance(layer.f, int):
        return made[layer.f]
    return [before if number == -1 else made[number] for number in layer.f]


def _make_grid(maps: FeatureMaps, strides: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return the middles (2, A) of all places, x and y in strides of their map, and those strides (1, A)."""
    middles, steps = [], []
    for one, stride in zip(maps, strides, strict=True):
        rows, columns = (torch.arange(side, device=one.device, dtype=torch.float32) + 0.5 for side in one.shape[2:])
        down, across = torch.meshgrid(rows, columns, indexing="ij")
        middles.append(torch.stack((across.flatten(), down.flatten())))
        steps.append(torch.full((1, down.numel()), stride, device=one.device))
    return torch.cat(middles, 1), torch.cat(steps, 1)


def _make_loss_batch(targets: Sequence[DetectionTarget], size: tuple[int, int]) -> dict[str, Tensor]:
    """Return ``targets`` as the package's loss reads them: middles and sides as shares of the input's."""
    device = targets[0][0].device
    counts = torch.tensor([len(boxes) for boxes, _classes in targets], device=device)
    boxes = torch.cat([boxes for boxes, _classes in targets])
    shares = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)
    sides = torch.tensor((size[1], size[0]) * 2, device=device, dtype=shares.dtype)
    numbers = torch.arange(len(targets), device=device).repeat_interleave(counts)
    classes = torch.cat([classes for _boxes, classes in targets])
    return {"batch_idx": numbers.float(), "cls": classes[:, None].float(), "bboxes": shares / sides}
