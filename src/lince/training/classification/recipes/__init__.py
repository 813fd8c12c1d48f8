"""Training recipes of image classifiers."""
