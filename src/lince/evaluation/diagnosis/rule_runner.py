"""Applies the rules of a diagnosis and orders what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from lince.findings import Finding, Severity

Input = TypeVar("Input")


def apply_rules(
    rules: Iterable[Callable[[Input], Finding | None]], inputs: Input, make_all_well: Callable[[Input], Finding]
) -> tuple[Finding, ...]:
    """Return the findings of all ``rules`` on ``inputs``, the gravest first, else in the order of the rules.

    A rule returns ``None`` when it does not apply. When nothing is graver than a note, the finding of
    ``make_all_well`` comes first.
    """
    findings = [finding for rule in rules if (finding := rule(inputs)) is not None]
    findings.sort(key=lambda finding: finding.severity)
    if not findings or findings[0].severity > Severity.WARNING:
        findings.insert(0, make_all_well(inputs))
    return tuple(findings)
