"""The whole check, from an opened dataset to findings and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lince.audit import boxes, classes, facts, pictures, refusals, shift, statistics, suspects, twins
from lince.audit.finding import Evidence, Finding, Severity
from lince.audit.statistics import Statistics
from lince.audit.suspects import Network
from lince.data import Dataset
from lince.data.alike import alike
from lince.data.groups import groups
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.version import __version__

FORMAT = 1
Check = Callable[[Evidence], list[Finding]]
CHECKS: tuple[Check, ...] = (
    refusals.check,
    pictures.check,
    boxes.check,
    classes.check,
    shift.check,
)


@dataclass(frozen=True, eq=False)
class Checkup:
    """What the doctor found in ``dataset``: ``findings``, the gravest first, and its ``statistics``."""

    dataset: Dataset
    findings: tuple[Finding, ...]
    statistics: Statistics

    def of(self, severity: Severity) -> list[Finding]:
        """Return the findings of one severity."""
        return [item for item in self.findings if item.severity is severity]

    def verdict(self) -> str:
        """Return in one sentence how the dataset does."""
        errors, warnings, notes = (len(self.of(severity)) for severity in Severity)
        if not self.findings:
            return _("Nothing was found that is wrong.")
        return _("Errors: {errors}. Warnings: {warnings}. Notes: {notes}.").format(
            errors=errors, warnings=warnings, notes=notes
        )

    def named(self, code: str) -> Finding | None:
        """Return the first finding called ``code``, if there is one."""
        return next((item for item in self.findings if item.code == code), None)

    def record(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "format": FORMAT,
            "lince": __version__,
            "data": str(self.dataset.root),
            "read_as": self.dataset.format,
            "used": self.dataset.total - len(self.dataset.rejected),
            "total": self.dataset.total,
            "classes": list(self.dataset.classes.names),
            "findings": [item.record() for item in self.findings],
            "statistics": self.statistics.record(),
        }


def examine(dataset: Dataset, progress: Progress = SILENT, network: Network | None = None) -> Checkup:
    """Return what all checks find in ``dataset``; each photo is opened once, and not again while it stays as it is.

    With ``network`` the labels are compared with what the photos look like to it, too.
    """
    evidence = Evidence(dataset, facts.look(dataset, progress))
    found = [item for check in CHECKS for item in check(evidence)]
    pairs = alike(dataset, progress)
    found += twins.check(evidence, pairs)
    if len(evidence.parts()) > 1:
        found += twins.families(evidence, groups(dataset, progress, pairs=pairs).ids, pairs)
    if network is not None:
        found += suspects.check(evidence, network, progress)
    return Checkup(dataset, tuple(sorted(found, key=_gravest)), statistics.measure(evidence))


def _gravest(item: Finding) -> tuple[int, int, str]:
    return (item.severity, -item.count, item.code)
