"""The command line of segmentation models."""
