"""Mask images: one PNG per image, one value or colour per class."""
