"""Metrics, predictions and comparison of object detectors."""
