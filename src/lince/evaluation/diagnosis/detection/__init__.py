"""Diagnosis of detectors."""
