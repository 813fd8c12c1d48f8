"""Predictions of models that give each object a mask."""
