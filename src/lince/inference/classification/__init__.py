"""Prediction with image classifiers."""
