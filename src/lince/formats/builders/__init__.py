"""Builders of label tables, shared by the readers of all formats."""
