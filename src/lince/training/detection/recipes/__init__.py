"""Training recipes of object detectors."""
