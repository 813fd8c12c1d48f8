"""Trains models that find several classes in an image."""
