"""Classifier heads fitted on frozen features."""
