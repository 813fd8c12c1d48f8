"""Altered copies of images, so that a network sees more than was photographed: one warp, one table."""

from lince.augmentation.apply import AugmentedImage, augment
from lince.augmentation.batch_mix import cutmix, mixup
from lince.augmentation.operations import OPERATIONS
from lince.augmentation.policy import PRESETS, Policy, PolicyStep

__all__ = ["OPERATIONS", "PRESETS", "AugmentedImage", "Policy", "PolicyStep", "augment", "cutmix", "mixup"]
