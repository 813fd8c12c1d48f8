"""Altered copies of images, so that a network sees more than was photographed: one warp, one table."""

from lince.augmentation.apply import Augmented, augment
from lince.augmentation.mix import cutmix, mixup
from lince.augmentation.operations import OPERATIONS
from lince.augmentation.policy import PRESETS, Policy, Step

__all__ = ["OPERATIONS", "PRESETS", "Augmented", "Policy", "Step", "augment", "cutmix", "mixup"]
