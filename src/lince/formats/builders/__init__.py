"""Builders that grow a ``Table`` while a format is read, shared by all readers."""
