"""Faster R-CNN over any timm backbone."""
