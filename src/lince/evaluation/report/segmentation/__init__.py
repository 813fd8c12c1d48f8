"""Sections of the report of a model of semantic segmentation."""
