"""Sections of the report of a multilabel model."""
