"""Metrics, confidence intervals and reports of a model; numpy only, so that it runs where torch is not installed.

This package imports nothing itself, so that importing one module (such as the intervals) does not load the others.
"""
