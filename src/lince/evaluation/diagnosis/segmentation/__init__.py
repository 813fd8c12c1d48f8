"""Diagnosis of models of semantic segmentation."""
