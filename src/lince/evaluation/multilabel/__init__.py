"""Metrics, predictions and comparison of models that find several classes in an image."""
