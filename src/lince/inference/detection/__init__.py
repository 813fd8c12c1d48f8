"""Prediction with object detectors."""
