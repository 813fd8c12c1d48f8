"""Diagnosis of classifiers."""
