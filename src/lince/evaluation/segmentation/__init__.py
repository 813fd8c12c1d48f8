"""Metrics, predictions and comparison of models of semantic segmentation."""
