"""Metrics, predictions and comparison of image classifiers."""
