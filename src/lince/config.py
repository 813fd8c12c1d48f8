"""The configuration of a training run: options, their allowed values, and their TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import tomli_w

from lince import fileio
from lince.errors import UsageError
from lince.i18n import _
from lince.option_aliases import describe_option, resolve_aliases
from lince.preprocess import RESIZE_MODES, STANDARDISE_MODES
from lince.tasks import list_tasks
from lince.validation import require_choice, require_in_range

RECIPES = ("scratch", "transfer", "finetune", "all")
HEADS = ("linear", "mlp")
MONITORS = tuple(dict.fromkeys(name for task in list_tasks() for name in task.monitors))
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
MIX_METHODS = ("none", "mixup", "cutmix")
ALLOWED_VALUES = {
    "recipe": RECIPES,
    "head": HEADS,
    "monitor": MONITORS,
    "device": DEVICES,
    "precision": PRECISIONS,
    "mix": MIX_METHODS,
    "resize": RESIZE_MODES,
    "standardise": STANDARDISE_MODES,
}
_RANGES: dict[str, tuple[float, float]] = {  # lowest and highest value, both allowed
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
    """The options of ``lince train``, validated at construction; ``UsageError`` for a value that is not allowed.

    ``None`` means that training chooses the value from the hardware and the data, and reports what it chose and why.
    The field names are the keys of ``config.toml`` in a run's folder.

    Attributes:
        recipe: ``scratch``, ``transfer``, ``finetune``, or ``all`` to train every recipe and compare.
        model: name of the network, as ``lince models`` lists them.
        weights: ``auto``, ``none`` (random), or the path of a file or folder.
        size: side of the square network input, in pixels.
        resize: one of ``preprocess.RESIZE_MODES``.
        standardise: one of ``preprocess.STANDARDISE_MODES``.
        head: classifier of a transfer run, ``linear`` or ``mlp``.
        from_layer: first layer that fine-tuning trains, as an index or a name; those before it are frozen.
        epochs: passes over the training images, at most.
        batch: images per step.
        rate: peak learning rate.
        label_smoothing: in 0..0.9 (Szegedy et al. 2016).
        augment: name of an augmentation policy, or its declaration.
        mix: ``none``, ``mixup`` or ``cutmix``; of classifiers.
        mosaic: fraction of the training images that are composed of four; of detectors.
        scales: relative range of multi-scale training, 0.5 for half to one and a half times ``size``; of detectors.
        monitor: metric that chooses the best epoch and stops the training.
        patience: epochs without improvement after which training stops early.
        budget: time limit in seconds.
        seed: of all random numbers.
        val: fraction of the images for validation; ignored where the data defines a split.
        test: fraction of the images for testing; ignored where the data defines a split.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto``, ``fp32`` or ``bf16``; for transfer ``auto`` (int8 where it loses nothing) or ``fp32``.
        workers: data-loading threads.
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
    task: str | None = None

    def __post_init__(self) -> None:
        for name, allowed in ALLOWED_VALUES.items():
            if getattr(self, name) is not None:
                require_choice(describe_option(name), getattr(self, name), allowed)
        for name, (low, high) in _RANGES.items():
            require_in_range(describe_option(name), getattr(self, name), low, high)
        if self.val + self.test >= 1:
            raise UsageError(
                _("val {val} and test {test} leave no images for training.").format(val=self.val, test=self.test),
                _("Expected fractions whose sum is below 1."),
            )

    def with_changes(self, **changes: Any) -> TrainConfig:
        """Return a copy with the fields named in ``changes`` replaced, validated again.

        Other names of a field, such as ``lr`` (``option_aliases.ALIASES``), count too; ``UsageError`` for two of one.
        """
        return replace(self, **resolve_aliases(changes))

    def save(self, path: Path) -> None:
        """Write the options to ``path`` as TOML, atomically; those that are ``None`` are left out.

        Raises ``UsageError`` when there is a file that holds no such options.
        """
        if Path(path).exists():
            self.load(path)
        options = {key: value for key, value in asdict(self).items() if value is not None}
        fileio.write_text(Path(path), tomli_w.dumps(options))

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read the options from the TOML file ``path``.

        Raises ``UsageError`` when the file cannot be read or parsed, and for an unknown key or a value not allowed.
        """
        try:
            record = tomllib.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                _("{path} cannot be read: {error}.").format(path=path, error=error),
                _("Expected a TOML file with training settings."),
            ) from error
        record = resolve_aliases(record)
        names = [item.name for item in fields(cls)]
        unknown = sorted(set(record) - set(names))
        if unknown:
            raise UsageError(
                _("{path} contains unknown settings: {names}.").format(path=path, names=", ".join(unknown)),
                _("Expected only: {names}.").format(names=", ".join(names)),
            )
        return cls(**record)
