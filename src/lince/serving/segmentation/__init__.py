"""Semantic segmentation in the HTTP API."""
