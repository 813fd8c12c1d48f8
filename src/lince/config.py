"""Every choice that a user can make about a training run: frozen, validated, kept in the run as TOML."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import tomli_w

from lince import fileio
from lince.errors import UsageError
from lince.i18n import _
from lince.preprocess import RESIZE_MODES, STANDARDISE_MODES
from lince.validation import require_choice, require_in_range

RECIPES = ("scratch", "transfer", "finetune", "all")
HEADS = ("linear", "mlp")
MONITORS = ("val_loss", "val_accuracy", "val_map50", "val_map50_95")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
MIX_METHODS = ("none", "mixup", "cutmix")
_ALLOWED_VALUES = {
    "recipe": RECIPES,
    "head": HEADS,
    "monitor": MONITORS,
    "device": DEVICES,
    "precision": PRECISIONS,
    "mix": MIX_METHODS,
    "resize": RESIZE_MODES,
    "standardise": STANDARDISE_MODES,
}
_RANGES: dict[str, tuple[float, float]] = {
    "size": (8, 4096),
    "epochs": (1, 100_000),
    "batch": (1, 65_536),
    "rate": (1e-8, 100.0),
    "budget": (1.0, 1e8),
    "patience": (1, 100_000),
    "workers": (0, 1024),
    "val": (0.0, 0.9),
    "test": (0.0, 0.9),
    "label_smoothing": (0.0, 0.9),
    "mosaic": (0.0, 1.0),
    "scales": (0.0, 0.5),
}


@dataclass(frozen=True)
class TrainConfig:
    """The choices of ``lince train``; ``None`` means: derived from the hardware and the data, with the reason said.

    ``size`` is the side of the square input in pixels, ``rate`` the peak learning rate, ``budget`` seconds, ``val``
    and ``test`` shares of the images (a split that the data brings along goes first), ``weights`` is ``auto``,
    ``none``, a file or a folder, ``from_layer`` the first layer that fine-tuning changes (index or name). For
    detectors ``mosaic`` is the share of the images that are made of four, ``scales`` how far the input's side varies.
    """

    recipe: str = "transfer"
    model: str | None = None
    weights: str = "auto"
    size: int | None = None
    resize: str | None = None
    standardise: str = "none"
    head: str = "linear"
    from_layer: str | None = None
    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    label_smoothing: float | None = None
    augment: str | None = None
    mix: str = "none"
    mosaic: float | None = None
    scales: float | None = None
    monitor: str | None = None
    patience: int | None = None
    budget: float | None = None
    seed: int = 0
    val: float = 0.1
    test: float = 0.2
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED_VALUES.items():
            if getattr(self, name) is not None:
                require_choice(name, getattr(self, name), allowed)
        for name, (low, high) in _RANGES.items():
            require_in_range(name, getattr(self, name), low, high)
        if self.val + self.test >= 1:
            raise UsageError(
                _("val {val} and test {test} leave nothing to train on.").format(val=self.val, test=self.test),
                _("Together they must stay below 1."),
            )

    def with_changes(self, **changes: Any) -> TrainConfig:
        """Return a copy with ``changes``."""
        return replace(self, **changes)

    def save(self, path: Path) -> None:
        """Write the choices to ``path`` as TOML; those left open are left out."""
        chosen = {key: value for key, value in asdict(self).items() if value is not None}
        fileio.write_text(Path(path), tomli_w.dumps(chosen))

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read choices from a TOML file; raise ``UsageError`` on a broken file or an unknown name."""
        try:
            record = tomllib.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                _("{path} cannot be read: {error}.").format(path=path, error=error),
                _("Expected a TOML file with training choices."),
            ) from error
        known = [item.name for item in fields(cls)]
        unknown = sorted(set(record) - set(known))
        if unknown:
            raise UsageError(
                _("{path} names unknown choices: {names}.").format(path=path, names=", ".join(unknown)),
                _("Expected among: {names}.").format(names=", ".join(known)),
            )
        return cls(**record)
