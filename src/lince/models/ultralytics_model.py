"""Networks of Ultralytics, where its package is installed: its layers and its loss in lince's training loop.

The package is licensed under AGPL-3.0; lince does not install it, and imports it for these networks only. Names of
tensors are those of its weight files. Its reports, downloads and automatic installations are disabled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from lince import fileio, telemetry
from lince.errors import UsageError
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.box_ops import xyxy_to_cxcywh
from lince.models.detection.detector import DetectionTarget, Detector, FeatureMaps
from lince.models.detection.registry import DetectorEntry

telemetry.switch_off_ultralytics(fileio.get_cache_folder() / "ultralytics")

_LOSS_NAMES = ("box", "class", "distribution")
_MODEL_PREFIX = "model."


class UltralyticsDetector(Detector):
    """The ``layers`` of a network of Ultralytics; the last one is its head.

    ``saved_indices`` are those of layers whose outputs later layers read; ``strides`` those of the head's feature maps.
    Where the head has an end-to-end branch too, both are trained, and the one that needs NMS gives the outputs.
    """

    decoder_name = "ultralytics"

    def __init__(
        self, layers: nn.Sequential, saved_indices: Sequence[int], num_classes: int, strides: Sequence[float]
    ) -> None:
        super().__init__()
        self.model = layers
        self.num_classes = num_classes
        self._saved_indices = frozenset(saved_indices)
        self._strides = tuple(strides)

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps that the head reads, finest first."""
        saved: list[Tensor | None] = []
        x = images
        for layer in self.model[:-1]:
            x = layer(_select_layer_input(layer, x, saved))
            saved.append(x if layer.i in self._saved_indices else None)
        return tuple(_select_layer_input(self.model[-1], x, saved))

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return (N, 4 + C, A) for A cells: centre and sides in input pixels, and class probabilities."""
        head: Any = self.model[-1]
        raw = self._raw_outputs(maps)
        centres, strides = _make_grid(maps, self._strides)
        left_top, right_bottom = head.dfl(raw["boxes"]).float().chunk(2, 1)
        boxes = torch.cat((centres + (right_bottom - left_top) / 2, left_top + right_bottom), 1) * strides
        return (torch.cat((boxes, raw["scores"].float().sigmoid()), 1),)

    def compute_head_losses(
        self, maps: FeatureMaps, size: tuple[int, int], targets: Sequence[DetectionTarget], is_last_phase: bool
    ) -> dict[str, Tensor]:
        """Return the three parts of the package's own loss, means over the images."""
        from ultralytics.cfg import get_cfg  # noqa: PLC0415
        from ultralytics.utils.loss import E2ELoss, v8DetectionLoss  # noqa: PLC0415

        head: Any = self.model[-1]
        predictions: dict[str, Any] = self._raw_outputs(maps)
        has_end2end = getattr(head, "one2one_cv2", None) is not None
        if has_end2end:
            end2end_outputs = head.forward_head([feature_map.detach() for feature_map in maps], **head.one2one)
            predictions = {"one2many": predictions, "one2one": end2end_outputs}
        loss_model = SimpleNamespace(parameters=self.parameters, model=self.model, args=get_cfg())
        loss, _detached = (E2ELoss if has_end2end else v8DetectionLoss)(loss_model)(
            predictions, _make_loss_batch(targets, size)
        )
        return dict(zip(_LOSS_NAMES, loss / len(targets), strict=True))

    def list_blocks(self) -> list[Block]:
        """Return the layers with the package's numbers as names; the head is the last."""
        *body, head = self.model
        return [*((str(number), layer) for number, layer in enumerate(body)), ("head", head)]

    def adapt_key(self, name: str) -> str:
        """Return ``name`` with the prefix of the module that holds all layers."""
        return name if name.startswith(_MODEL_PREFIX) else _MODEL_PREFIX + name

    def is_class_layer(self, name: str) -> bool:
        """Return whether ``name`` belongs to the classification branch.

        Its hidden width depends on the number of classes too.
        """
        return name.startswith(f"{_MODEL_PREFIX}{len(self.model) - 1}.") and "cv3." in name

    def _raw_outputs(self, maps: FeatureMaps) -> dict[str, Tensor]:
        """Return the outputs of the branch that needs NMS: ``boxes`` and ``scores``."""
        head: Any = self.model[-1]
        raw: dict[str, Tensor] = head.forward_head(list(maps), **head.one2many)
        return raw


def create_detector(entry: DetectorEntry, num_classes: int, height: int, width: int) -> UltralyticsDetector:
    """Return the network of ``entry`` for ``num_classes`` classes with random weights, for inputs of (height, width).

    Raises ``UsageError`` when a side is not a multiple of the largest stride, and for an unknown version of the
    package.
    """
    from ultralytics.nn.tasks import DetectionModel  # noqa: PLC0415

    network = DetectionModel(_load_config(entry.name) | {"nc": num_classes}, verbose=False)
    _require_known_head(network.model[-1])
    strides = [float(stride) for stride in network.stride]
    if height % int(max(strides)) or width % int(max(strides)):
        raise UsageError(
            _("{model} cannot read images of {h} x {w} pixels.").format(model=entry.name, h=height, w=width),
            _("Expected sides that are multiples of {step}, such as {size}.").format(
                step=int(max(strides)), size=entry.size
            ),
        )
    return UltralyticsDetector(network.model, network.save, num_classes, strides)


def _load_config(name: str) -> dict[str, Any]:
    """Return the package's configuration of the network ``name``, such as ``yolov8n``."""
    import ultralytics  # noqa: PLC0415
    from ultralytics.utils import YAML  # noqa: PLC0415

    family, letter = name[:-1], name[-1]
    paths = sorted((Path(ultralytics.__file__).parent / "cfg" / "models").glob(f"*/{family}.yaml"))
    if not paths:
        raise _unknown_version_error(name)
    config: dict[str, Any] = YAML.load(paths[0])
    return config | {"scale": letter}


def _require_known_head(head: Any) -> None:
    """Raise ``UsageError`` unless ``head`` has the methods of the package's versions that lince supports."""
    if not all(hasattr(head, name) for name in ("forward_head", "one2many", "dfl")):
        raise _unknown_version_error(type(head).__name__)


def _unknown_version_error(missing: str) -> UsageError:
    """Return the error for a version of the package in which ``missing`` is not as expected."""
    import ultralytics  # noqa: PLC0415

    return UsageError(
        _("The installed Ultralytics {version} does not have {what} in the expected form.").format(
            version=ultralytics.__version__, what=missing
        ),
        _("Expected version {version} or a similar one.").format(version="8.4"),
    )


def _select_layer_input(layer: Any, previous: Tensor, saved: Sequence[Tensor | None]) -> Any:
    """Return the input of ``layer``: the ``previous`` output, or one or several of the ``saved`` ones."""
    if layer.f == -1:
        return previous
    if isinstance(layer.f, int):
        return saved[layer.f]
    return [previous if index == -1 else saved[index] for index in layer.f]


def _make_grid(maps: FeatureMaps, strides: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return the centres (2, A) of all cells, x and y in strides of their feature map, and those strides (1, A)."""
    centres, cell_strides = [], []
    for feature_map, stride in zip(maps, strides, strict=True):
        rows, columns = (
            torch.arange(side, device=feature_map.device, dtype=torch.float32) + 0.5 for side in feature_map.shape[2:]
        )
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres.append(torch.stack((x.flatten(), y.flatten())))
        cell_strides.append(torch.full((1, y.numel()), stride, device=feature_map.device))
    return torch.cat(centres, 1), torch.cat(cell_strides, 1)


def _make_loss_batch(targets: Sequence[DetectionTarget], size: tuple[int, int]) -> dict[str, Tensor]:
    """Return ``targets`` in the form of the package's loss: centres and sides as fractions of the input ``size``."""
    device = targets[0][0].device
    counts = torch.tensor([len(boxes) for boxes, _class_ids in targets], device=device)
    boxes = torch.cat([boxes for boxes, _class_ids in targets])
    sides = torch.tensor((size[1], size[0]) * 2, device=device, dtype=boxes.dtype)
    image_indices = torch.arange(len(targets), device=device).repeat_interleave(counts)
    class_ids = torch.cat([class_ids for _boxes, class_ids in targets])
    return {
        "batch_idx": image_indices.float(),
        "cls": class_ids[:, None].float(),
        "bboxes": xyxy_to_cxcywh(boxes) / sides,
    }
