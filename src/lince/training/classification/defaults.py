"""Default model, input size, augmentation and hyper-parameters of classification, each derived from the data.

Every choice is returned with its reason, a translated phrase for the log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.errors import ImageError
from lince.i18n import _, translate_plural
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ModelEntry
from lince.sampling import sample_evenly

PHOTO_SIDE = 96  # pixels: a small network trains on such photos in minutes on two cores
SMALL_SIDE = 40  # pixels: drawings and digits rather than photos
SIDE_SAMPLE_SIZE = 64
MAX_EPOCHS, MIN_EPOCHS = 24, 6  # epochs over some thousands of images, and over tens of thousands
PHOTO_POLICY = (
    "crop 0.35, stretch 0.28, flip_x 0.5, rotation 10, "
    "brightness 0.3, contrast 0.3, saturation 0.3, erasing 0.2 p 0.25, fill reflect"
)
# Strong augmentation helps over many epochs; in a few, the network has hardly learned the unaltered photos.
SHORT_PHOTO_POLICY = "crop 0.7, flip_x 0.5, rotation 5, brightness 0.1, contrast 0.1, saturation 0.1, fill reflect"
SHORT_TRAINING_EPOCHS = 15  # epochs
DIGIT_POLICY = "rotation 12, shift_x 0.08, shift_y 0.08, zoom 0.1, fill constant 0"


@dataclass(frozen=True)
class ModelChoice:
    """The network to use, the side of its input in pixels, and one line per choice that was made by default."""

    entry: ModelEntry
    size: int
    reasons: tuple[str, ...]


def choose_model(dataset: Dataset, config: TrainConfig) -> ModelChoice:
    """Return the network and the input size that ``config`` requests, or those that suit the images.

    A published model keeps the size it was trained with. A network declared layer by layer takes the images' own size,
    at most ``PHOTO_SIDE``, and its smaller variant for images of at most ``SMALL_SIDE`` pixels. Raises ``UsageError``
    for an unknown model.
    """
    reasons: list[str] = []
    model_name = config.model
    if model_name is None:
        model_name = (
            classification_registry.CNN if config.recipe == "scratch" else classification_registry.DEFAULT_MODEL
        )
        reasons.append(
            _("Model: {name} (default of the recipe {recipe})").format(name=model_name, recipe=config.recipe)
        )
    entry = classification_registry.get_model_entry(model_name)
    if entry.architecture != classification_registry.CNN:
        return ModelChoice(entry, config.size or entry.size, tuple(reasons))
    native_side = measure_native_side(dataset)
    size = config.size or min(PHOTO_SIDE, native_side)
    if config.size is None:
        reasons.append(
            _("Input size: {size} pixels (images measure {side}; {most} is enough for a small network)").format(
                size=size, side=native_side, most=PHOTO_SIDE
            )
        )
    if model_name == classification_registry.CNN and size <= SMALL_SIDE:
        entry = classification_registry.get_model_entry(
            f"{classification_registry.CNN}: {classification_registry.SMALL_CNN}"
        )
    return ModelChoice(entry, size, tuple(reasons))


def choose_policy(dataset: Dataset, config: TrainConfig, size: int, epochs: int) -> str:
    """Return the augmentation policy requested, or a default for training from scratch, in text form.

    The default depends on the input ``size`` in pixels (small or grey images are treated as digits or drawings) and on
    the number of ``epochs``.
    """
    if config.augment is not None:
        return config.augment
    if size <= SMALL_SIDE or dataset.images.grey:
        return DIGIT_POLICY
    return SHORT_PHOTO_POLICY if epochs < SHORT_TRAINING_EPOCHS else PHOTO_POLICY


def choose_epochs(images: int) -> tuple[int, str]:
    """Return (epochs, reason) for training from scratch on ``images`` training images; fewer for larger sets."""
    count = int(np.clip(round(MAX_EPOCHS * 10_000 / max(images, 1)), MIN_EPOCHS, MAX_EPOCHS))
    return count, _("{images:,} training images").format(images=images)


def choose_batch_size(images: int) -> tuple[int, str]:
    """Return (batch size, reason) for ``images`` training images.

    Small sets get small batches, so that an epoch has enough steps.
    """
    size = 32 if images < 10_000 else 128
    steps = -(-images // size)
    return size, translate_plural("{steps:,} step per epoch", "{steps:,} steps per epoch", steps).format(steps=steps)


def choose_learning_rate(batch_size: int, has_norms: bool) -> tuple[float, str]:
    """Return (peak learning rate, reason) for a batch size, growing with its square root.

    Networks without normalisation layers get half the rate: steps of the usual size make them stop learning.
    """
    if has_norms:
        return 2e-3 * (batch_size / 32) ** 0.5, _(
            "2e-3 for batch size 32, scaled with the square root of the batch size"
        )
    return 1e-3 * (batch_size / 32) ** 0.5, _("1e-3 for batch size 32, because the network has no normalisation layers")


def choose_label_smoothing(has_norms: bool) -> float:
    """Return the label smoothing factor: 0.1, or 0 for networks without normalisation layers, which underfit."""
    return 0.1 if has_norms else 0.0


def measure_native_side(dataset: Dataset) -> int:
    """Return the median of the images' longer sides, in pixels, over an evenly spread sample.

    Images that cannot be read are skipped; ``PHOTO_SIDE`` when none can.
    """
    sides = []
    for row in sample_evenly(len(dataset), SIDE_SAMPLE_SIZE):
        try:
            sides.append(max(dataset.images.read_image(int(row)).shape[:2]))
        except ImageError:
            continue  # the check of all images, which comes later, reports it
    return int(np.median(sides)) if sides else PHOTO_SIDE
