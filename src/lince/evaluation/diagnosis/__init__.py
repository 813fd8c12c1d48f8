"""Diagnosis of trained models: rules that explain their metrics in words and say what to try next.

A rule is a function that takes the diagnosis input of its task and returns a ``Finding``, or ``None`` when it does not
apply. The codes of findings and the keys of their figures are part of ``report.json`` and stay as they are.
"""
