"""Data augmentation: random geometric, colour and pixel changes of training images, with their boxes."""

from lince.augmentation.apply import AugmentedImage, augment
from lince.augmentation.batch_mix import cutmix, mixup
from lince.augmentation.operations import OPERATIONS
from lince.augmentation.policy import PRESETS, Policy, PolicyStep

__all__ = ["OPERATIONS", "PRESETS", "AugmentedImage", "Policy", "PolicyStep", "augment", "cutmix", "mixup"]
