"""Builders that grow a ``LabelTable`` while a format is read, shared by all readers."""
