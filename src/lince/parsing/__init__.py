"""Bounded readers of JSON and XML that report line numbers."""
