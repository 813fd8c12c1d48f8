"""Metrics, predictions and comparison of models that give each object a mask."""
