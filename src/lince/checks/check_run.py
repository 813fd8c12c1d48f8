"""The whole check, from an opened dataset to findings and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lince.checks import (
    box_checks,
    class_checks,
    dataset_stats,
    duplicate_checks,
    image_checks,
    image_stats,
    label_errors,
    rejected_labels,
    split_shift,
)
from lince.checks.dataset_stats import DatasetStats
from lince.checks.finding import CheckContext, Finding, Severity
from lince.checks.label_errors import FeatureModel
from lince.datasets import Dataset
from lince.datasets.duplicates.search import find_duplicates
from lince.datasets.groups import find_groups
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.version import __version__

FORMAT = 1
CheckFunction = Callable[[CheckContext], list[Finding]]
CHECKS: tuple[CheckFunction, ...] = (
    rejected_labels.check_rejected_labels,
    image_checks.check_images,
    box_checks.check_boxes,
    class_checks.check_classes,
    split_shift.check_split_shift,
)


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What the doctor found in ``dataset``: ``findings``, the gravest first, and its ``statistics``."""

    dataset: Dataset
    findings: tuple[Finding, ...]
    statistics: DatasetStats

    def filter_by_severity(self, severity: Severity) -> list[Finding]:
        """Return the findings of one severity."""
        return [item for item in self.findings if item.severity is severity]

    def summarise(self) -> str:
        """Return in one sentence how the dataset does."""
        errors, warnings, notes = (len(self.filter_by_severity(severity)) for severity in Severity)
        if not self.findings:
            return _("Nothing was found that is wrong.")
        return _("Errors: {errors}. Warnings: {warnings}. Notes: {notes}.").format(
            errors=errors, warnings=warnings, notes=notes
        )

    def find_by_code(self, code: str) -> Finding | None:
        """Return the first finding called ``code``, if there is one."""
        return next((item for item in self.findings if item.code == code), None)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "format": FORMAT,
            "lince": __version__,
            "data": str(self.dataset.root),
            "read_as": self.dataset.format,
            "used": self.dataset.total_count - len(self.dataset.rejected),
            "total": self.dataset.total_count,
            "classes": list(self.dataset.classes.names),
            "findings": [item.to_dict() for item in self.findings],
            "statistics": self.statistics.to_dict(),
        }


def run_checks(dataset: Dataset, progress: Progress = SILENT, feature_model: FeatureModel | None = None) -> CheckResult:
    """Return what all checks find in ``dataset``; each photo is opened once, and not again while it stays as it is.

    With ``network`` the labels are compared with what the photos look like to it, too.
    """
    evidence = CheckContext(dataset, image_stats.compute_image_stats(dataset, progress))
    found = [item for check in CHECKS for item in check(evidence)]
    pairs = find_duplicates(dataset, progress)
    found += duplicate_checks.check_duplicates(evidence, pairs)
    if len(evidence.get_split_rows()) > 1:
        found += duplicate_checks.check_group_leaks(evidence, find_groups(dataset, progress, pairs=pairs).ids, pairs)
    if feature_model is not None:
        found += label_errors.check_label_errors(evidence, feature_model, progress)
    return CheckResult(dataset, tuple(sorted(found, key=_severity_key)), dataset_stats.compute_dataset_stats(evidence))


def _severity_key(item: Finding) -> tuple[int, int, str]:
    return (item.severity, -item.count, item.code)
