"""Sections of a detector's report."""
