"""Sections of a classifier's report."""
