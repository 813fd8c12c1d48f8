"""Multilabel classification in the HTTP API: records and corrections."""
