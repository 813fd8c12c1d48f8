"""Training recipes of semantic segmentation."""
