"""Diagnosis of multilabel models."""
