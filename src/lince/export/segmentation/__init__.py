"""The parts of an export that are specific to semantic segmentation."""
