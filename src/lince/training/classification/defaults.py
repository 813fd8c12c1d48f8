"""What lince chooses when nobody did: derived from the images and the recipe, each choice with its reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.errors import ImageError
from lince.i18n import _
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ModelEntry

PHOTO_SIDE = 96  # pixels: what a small network can learn from in minutes on two cores
SMALL_SIDE = 40  # pixels: drawings and digits rather than photos
SIDE_SAMPLE_SIZE = 64
MAX_EPOCHS, MIN_EPOCHS = 24, 6  # epochs over some thousands of images, and over tens of thousands
PHOTO_POLICY = (
    "crop 0.35, stretch 0.28, flip_x 0.5, rotation 10, "
    "brightness 0.3, contrast 0.3, saturation 0.3, erasing 0.2 p 0.25, fill reflect"
)
# Strong alterations pay over many epochs; in a few, a network has hardly learned the photos as they are.
SHORT_PHOTO_POLICY = "crop 0.7, flip_x 0.5, rotation 5, brightness 0.1, contrast 0.1, saturation 0.1, fill reflect"
SHORT_TRAINING_EPOCHS = 15  # epochs
DIGIT_POLICY = "rotation 12, shift_x 0.08, shift_y 0.08, zoom 0.1, fill constant 0"


@dataclass(frozen=True)
class ModelChoice:
    """The network to use, the side of its input in pixels, and why."""

    entry: ModelEntry
    size: int
    reasons: tuple[str, ...]


def choose_model(dataset: Dataset, config: TrainConfig) -> ModelChoice:
    """Return the network and the input size that ``config`` asks for, or those that suit the images."""
    reasons: list[str] = []
    name = config.model
    if name is None:
        name = classification_registry.CNN if config.recipe == "scratch" else "small"
        reasons.append(_("Model: {name} (the default of the recipe {recipe})").format(name=name, recipe=config.recipe))
    entry = classification_registry.get_model_entry(name)
    if entry.architecture != classification_registry.CNN:
        return ModelChoice(entry, config.size or entry.size, tuple(reasons))
    side = measure_native_side(dataset)
    size = config.size or min(PHOTO_SIDE, side)
    if config.size is None:
        reasons.append(
            _("Size: {size} pixels (the images measure {side}, and {most} are enough for a small network)").format(
                size=size, side=side, most=PHOTO_SIDE
            )
        )
    if name == classification_registry.CNN and size <= SMALL_SIDE:
        entry = classification_registry.get_model_entry(
            f"{classification_registry.CNN}: {classification_registry.SMALL_CNN}"
        )
    return ModelChoice(entry, size, tuple(reasons))


def choose_policy(dataset: Dataset, config: TrainConfig, size: int, epochs: int) -> str:
    """Return the augmentation asked for, or the one that suits ``epochs`` from scratch on images of ``size`` pixels."""
    if config.augment is not None:
        return config.augment
    if size <= SMALL_SIDE or dataset.images.grey:
        return DIGIT_POLICY
    return SHORT_PHOTO_POLICY if epochs < SHORT_TRAINING_EPOCHS else PHOTO_POLICY


def choose_epochs(images: int) -> tuple[int, str]:
    """Return how often to go over ``images`` training images from scratch, and why."""
    count = int(np.clip(round(MAX_EPOCHS * 10_000 / max(images, 1)), MIN_EPOCHS, MAX_EPOCHS))
    return count, _("{images:,} images to learn from").format(images=images)


def choose_batch_size(images: int) -> tuple[int, str]:
    """Return how many images make a step, and why: small steps for small sets, so that there are enough of them."""
    size = 32 if images < 10_000 else 128
    return size, _("some {steps:,} steps an epoch").format(steps=-(-images // size))


def choose_learning_rate(size: int, norms: bool) -> tuple[float, str]:
    """Return the peak learning rate for a batch of ``size``, and why: it grows with the square root of the batch.

    A network without norms learns at half of it: steps that the others shrug off stop it.
    """
    if norms:
        return 2e-3 * (size / 32) ** 0.5, _("2e-3 for 32 images, growing with the square root of the batch")
    return 1e-3 * (size / 32) ** 0.5, _("1e-3 for 32 images, as no layer of the network is a norm")


def choose_label_smoothing(norms: bool) -> float:
    """Return how much of the target goes to the other classes: a plain network has enough to do with the right one."""
    return 0.1 if norms else 0.0


def measure_native_side(dataset: Dataset) -> int:
    """Return the median of the longer sides, in pixels, over a spread sample of the images."""
    sides = []
    for row in np.unique(np.linspace(0, len(dataset) - 1, min(SIDE_SAMPLE_SIZE, len(dataset))).astype(np.int64)):
        try:
            sides.append(max(dataset.images.read_image(int(row)).shape[:2]))
        except ImageError:
            continue  # it is named with its reason when all images are looked at
    return int(np.median(sides)) if sides else PHOTO_SIDE
